//! Recording a run: its configuration, how it opens, and how it is sealed. A node uses
//! [`RunSession`]. A kernel that is given its event store uses [`KernelEventStore`].

mod boot;
mod builder;
mod config;
mod environment;
mod events;
mod kernel;
mod lifecycle;
mod open_error;
mod options;
mod run_session;
mod sidecar;

pub use builder::SessionBuilder;
pub use config::EventStoreConfig;
pub use environment::Environment;
#[cfg(feature = "internals")]
pub(crate) use events::RUN_STARTED_TOPIC;
pub use kernel::{KernelEventStore, KernelEventStoreFactory};
pub use lifecycle::EventStoreLifecycle;
pub use open_error::OpenError;
pub use options::LifecycleOptions;
pub use run_session::RunSession;
pub use sidecar::MarkerStatus;
