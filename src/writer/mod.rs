//! The writer: waits, collects what the producers pushed, seals it into frames, commits them, and
//! publishes how far durability reaches. [`EventStoreWriter`] is its handle; `thread` is its loop;
//! `core` is what it shares with inline mode.

mod anchorer;
mod batch_timer;
mod collect;
mod command;
mod committer;
mod config;
mod connection;
mod core;
mod dedup;
mod error;
mod handle;
mod idle;
mod inline;
mod lane;
mod marker_outlet;
mod names;
mod os_thread;
mod publish_time;
mod ring_record;
mod thread;

pub use anchorer::SnapshotAnchorer;
pub use config::{ConfigError, WaitStrategy, WriterConfig};
pub use error::{
    AnchorRequestError, CloseError, CloseReport, ProducerError, SpawnError, WaitError,
};
pub use handle::EventStoreWriter;

pub(crate) use config::{check_range, duration_ms};
pub(crate) use connection::{Connection, Mode, lock_inline};
pub(crate) use inline::{InlineOutcome, InlineWriter};
pub(crate) use lane::Lane;
pub(crate) use marker_outlet::{MarkerInlet, MarkerOutlet, marker_channel};
pub(crate) use ring_record::InlineRecord;

#[cfg(test)]
mod close_tests;
#[cfg(test)]
mod test_log;
