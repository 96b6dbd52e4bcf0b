//! Helpers that several tests share, each once: engines and stores that fail, messages to record,
//! frames built from them, places to record to, and a way to tamper with a sealed run without the
//! engine.

pub(crate) mod doctored;
mod engine;
mod faulty;
pub(crate) mod files;
pub(crate) mod frames;
pub(crate) mod hex;
pub(crate) mod ledger;
pub(crate) mod marker;
pub(crate) mod message;
pub(crate) mod pages;
pub(crate) mod places;
pub(crate) mod prefix;
pub(crate) mod raw;
pub(crate) mod steps;
pub(crate) mod tamper;

pub(crate) use engine::{Engine, MODES, PATIENCE, Start, counts_by_topic, draft, ended, entries};
pub(crate) use faulty::{Fault, FaultyStore, Gate};
pub(crate) use frames::FrameMaker;
pub(crate) use message::Message;
pub(crate) use places::{Place, instance, key_rows, manifest, run_id};

/// Asserts that a value matches a pattern, and says what it was if not.
macro_rules! assert_matches {
    ($value:expr, $($pattern:tt)+) => {
        match $value {
            $($pattern)+ => {}
            other => panic!("expected {}, got {other:?}", stringify!($($pattern)+)),
        }
    };
}
pub(crate) use assert_matches;
