//! Embedded, lock-free, durable event ingest for latency-sensitive live nodes.
//!
//! **A captured message is in the log, in one total order that respects cause and effect across
//! threads, unless the run halts, and then the node is told.** No handler sees it before.
//!
//! ```
//! use std::rc::Rc;
//! use std::time::Duration;
//!
//! use tapline::{Encoder, EncoderRegistry, EventStoreConfig, MessageBus, RunSession};
//!
//! struct Order { id: String, price: u64 }
//!
//! # let folder = tempfile::tempdir()?;
//! # let runs = folder.path();
//! let mut registry = EncoderRegistry::new();
//! registry.register(Encoder::new("Order", |order: &Order, record| {
//!     record.write_payload(&order.price.to_le_bytes());
//!     Ok(())
//! }))?;
//! let session = RunSession::builder(EventStoreConfig::new(runs), "node-1".parse()?)
//!     .encoders(registry)
//!     .on_halt(|reason| eprintln!("stop trading: {reason}"))
//!     .open()?;
//!
//! let bus = Rc::new(MessageBus::new());
//! session.tap(&bus)?;
//! let order = Order { id: "O-1".to_owned(), price: 4799 };
//! // Durable before it is sent.
//! session.wait_durable(bus.publish("orders", &order)?.ticket()?, Duration::from_secs(1))?;
//! assert_eq!(session.seal()?.watermark, 3); // RunStarted, Order, RunEnded
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The modules, from a node's side to the disk and back:
//!
//! - [`session`]: configuration, and a run from its opening to its seal.
//! - [`bus`]: the message bus of one thread, and the tap that sees every message before any
//!   handler.
//! - [`capture`]: which message types are captured, and how.
//! - [`engine`]: producers, tickets, the writer.
//! - [`store`]: where runs are kept. [`read`]: reading and verifying them.
//! - [`replay`]: a node's state rebuilt from its runs.
//! - [`runs`]: an instance's runs as a whole: what a crash left, which continues which, retention.
//! - [`markers`]: which market data the node had seen, in a file beside the run.

// Much that is public behind `internals` is not reachable without it.
#![cfg_attr(not(feature = "internals"), allow(dead_code, unreachable_pub))]

/// Re-exports what is public with the feature `internals` alone.
macro_rules! internal {
    ($($tree:tt)*) => {
        #[cfg(feature = "internals")]
        pub use $($tree)*;
        #[cfg(not(feature = "internals"))]
        #[allow(unused_imports)]
        pub(crate) use $($tree)*;
    };
}

pub mod bus;
pub mod capture;
pub mod engine;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
pub mod markers;
pub mod read;
pub mod replay;
pub mod runs;
pub mod session;
pub mod store;

#[cfg_attr(not(feature = "internals"), allow(unused_imports, clippy::struct_field_names))]
mod format;
mod model;
mod protocol;
mod sync;

pub use bus::{BusTap, MessageBus, Published};
pub use capture::{BusCaptureAdapter, Encoder, EncoderRegistry};
pub use engine::{Durability, Producer, Producers, SnapshotAnchorer, SubmitError};
pub use model::*;
internal!(protocol::HaltOutcome);
pub use protocol::{HaltReason, HaltSignal};
pub use read::EventStoreReader;
pub use replay::{CacheFollower, StateCache};
pub use session::{Environment, EventStoreConfig, KernelEventStore, LifecycleOptions, RunSession};
// What a node's code has to name of other crates.
pub use uuid;

/// The README's quick start, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
