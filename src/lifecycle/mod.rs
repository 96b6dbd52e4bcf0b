//! Around a run: its configuration, how it opens and how it is sealed.

mod config;
mod environment;
mod events;
mod kernel;
mod open_error;
mod options;
mod session;
mod sidecar;
mod store_lifecycle;

pub use config::EventStoreConfig;
pub use environment::Environment;
pub use events::{RUN_STARTED_TOPIC, RUN_STARTED_TYPE};
pub use kernel::{KernelEventStore, KernelEventStoreFactory};
pub use open_error::OpenError;
pub use options::LifecycleOptions;
pub use session::RunSession;
pub use store_lifecycle::EventStoreLifecycle;

pub use crate::markers::DataMarkerConfig;
pub use crate::model::{DataMarkerClass, RetentionMode};
