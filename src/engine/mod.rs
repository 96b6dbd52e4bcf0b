//! The engine of one run.
//!
//! ```text
//! producer/   takes a stamp, builds a record, pushes it into its ring, asks the gate
//! writer/     looks into the rings, merges by stamp, seals frames, commits, publishes
//! shared      what both sides and whoever waits share: gate, halt, watermark, clocks, settings
//! driver      who runs the writer: a thread of its own, or inline, whoever submits
//! handle      the way in from outside: starts, waits, closes
//! ```
//!
//! `EventStoreWriter` is the handle. The hot path is `producer/mod.rs`, `writer/mod.rs`,
//! `writer/collector.rs` and `writer/lane.rs`, over the protocol in `crate::protocol`.

mod anchorer;
mod command;
mod config;
mod core_pin;
mod driver;
mod durability;
mod error;
mod handle;
mod large_records;
mod lone_record;
mod producer;
mod run_names;
mod shared;
mod writer;

#[cfg(test)]
mod close_tests;
#[cfg(test)]
mod test_log;

pub use anchorer::SnapshotAnchorer;
pub use config::{ConfigError, WaitStrategy, WriterConfig};
pub use core_pin::CorePin;
pub use durability::Durability;
pub use error::{
    AnchorRequestError, CloseError, CloseReport, ProducerError, SubmitError, WaitError,
};
pub use handle::Producers;
pub use producer::Producer;

// A node starts the engine by opening a run.
internal!(error::SpawnError);
internal!(handle::EventStoreWriter);

pub(crate) use config::check_range;
pub(crate) use handle::{Drive, Setup};
pub(crate) use lone_record::lone_record;
pub(crate) use producer::{Announced, NameMap};
pub(crate) use shared::Shared;
pub(crate) use writer::{MarkerInlet, MarkerOutlet, marker_channel};
