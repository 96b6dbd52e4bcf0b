//! What producers, writer and waiters say to each other through memory. Each file is a leaf without
//! any I/O, checked by a loom model in `loom-tests`.

mod gate;
mod halt;
mod inbox;
mod lane_state;
mod latest_entry;
mod order_clock;
mod parking;
mod watermark;

pub(crate) use gate::{Admission, RunGate};
pub use halt::{HaltOutcome, HaltReason, HaltSignal};
pub(crate) use inbox::{LaneInbox, RegisterError};
pub(crate) use lane_state::LaneState;
pub(crate) use latest_entry::{LatestEntry, MarkStamp};
pub(crate) use order_clock::OrderClock;
pub(crate) use parking::Parking;
pub(crate) use watermark::Watermark;
