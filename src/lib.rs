//! Embedded, lock-free, durable event ingest for latency-sensitive live nodes.

pub mod bus;
pub mod capture;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod format;
pub mod lifecycle;
pub mod read;
pub mod store;
pub mod writer;

mod model;
mod protocol;
mod ring;
mod sync;

pub use model::*;
pub use protocol::{HaltReason, HaltSignal};
pub use ring::{Durability, Producer, Producers, SubmitError, Ticket};
