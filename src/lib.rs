//! Embedded, lock-free, durable event ingest for latency-sensitive live nodes.
//!
//! **A message whose capture returned `Ok(true)` is in the log, in one total order that respects
//! cause and effect across threads, unless the run halts, and then the node is told.**
//!
//! - [`bus`]: the message bus of one thread, and the tap that sees every message before any handler.
//! - [`capture`]: which message types are captured and how.
//! - [`Producer`]: a thread's way into the engine; [`engine`]: the engine itself.
//! - [`store`]: where runs are kept; [`read`]: reading and verifying them.
//! - [`replay`]: a node's state rebuilt from a run, and a run joined with market data.
//! - [`markers`]: which market data the node had seen, in a file beside the run.
//! - [`runs`]: an instance's runs as a whole: what a crash left, which run continues which, retention.
//! - [`lifecycle`]: configuration, and a run from its opening to its seal.
//!
//! ```
//! use std::time::Duration;
//!
//! use tapline::lifecycle::{EventStoreConfig, RunSession};
//! use tapline::{Clock, EntryDraft, HaltSignal, RegisteredComponents};
//!
//! # let folder = tempfile::tempdir()?;
//! # let runs = folder.path();
//! let session = RunSession::open(
//!     &EventStoreConfig::new(runs),
//!     "node-1".parse()?,
//!     RegisteredComponents::default(),
//!     Clock::Realtime,
//!     HaltSignal::with_callback(|reason| eprintln!("stop trading: {reason}")),
//! )?;
//! let mut producer = session.producers().producer()?;
//! let ticket = producer.submit(&EntryDraft {
//!     topic: "orders.es",
//!     payload_type: "OrderFilled",
//!     payload: br#"{"price":4799}"#,
//!     ..EntryDraft::default()
//! })?;
//! producer.durability().wait(ticket, Duration::from_secs(1))?;
//! assert_eq!(session.seal()?.watermark, 3); // RunStarted, OrderFilled, RunEnded
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bus;
pub mod capture;
pub mod engine;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
pub mod lifecycle;
pub mod markers;
pub mod read;
pub mod replay;
pub mod runs;
pub mod store;

// Without `internals` part of it is unused, and none of it is public.
#[cfg_attr(
    not(feature = "internals"),
    allow(dead_code, unreachable_pub, unused_imports, clippy::struct_field_names)
)]
mod format;
mod model;
mod protocol;
mod sync;

pub use engine::{Durability, Producer, Producers, SubmitError};
pub use model::*;
pub use protocol::{HaltOutcome, HaltReason, HaltSignal};

/// The README's quick start, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
