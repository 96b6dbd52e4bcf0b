//! What several tests need. Each helper lives here once.

mod engine;
mod faulty;

pub(crate) use engine::{Engine, PATIENCE, counts_by_topic, draft, ended, entries, manifest};
pub(crate) use faulty::{Fault, FaultyStore, Gate};
