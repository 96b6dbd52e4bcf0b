//! Around a run: its configuration, how it opens and how it is sealed.

mod boot_sweep;
mod config;
mod environment;
mod events;
mod instance_lock;
mod kernel;
mod open_error;
mod options;
mod recover_run;
mod recovery_table;
mod replay_run;
mod restore_parent;
mod session;
mod sidecar;
mod store_lifecycle;

pub use boot_sweep::{
    RecoveredRun, SkippedFile, SweepError, SweepProgress, SweepReport, recover_predecessors,
    recover_predecessors_with,
};
pub use config::EventStoreConfig;
pub use environment::Environment;
pub use events::{
    RUN_ENDED_TOPIC, RUN_ENDED_TYPE, RUN_STARTED_TOPIC, RUN_STARTED_TYPE, is_run_ended,
};
pub use instance_lock::{LockError, LockHolder};
pub use kernel::{KernelEventStore, KernelEventStoreFactory};
pub use open_error::OpenError;
pub use options::LifecycleOptions;
pub use replay_run::ReplayRunError;
pub use restore_parent::{ParentRestore, RestoreParentError};
pub use session::RunSession;
pub use store_lifecycle::EventStoreLifecycle;

pub use crate::markers::DataMarkerConfig;
pub use crate::model::{DataMarkerClass, RetentionMode};
