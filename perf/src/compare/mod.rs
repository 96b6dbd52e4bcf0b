//! The comparison: its workloads, and what tapline is to reach in them.

mod targets;
mod workloads;

pub(crate) use targets::{Judged, judge, render_targets};
pub(crate) use workloads::{MEMORY, Scale, WORKLOADS, cases};
