//! An instance's runs as a whole.
//!
//! | question | file |
//! |---|---|
//! | which runs are there? | `folder.rs` |
//! | who may record into the folder? | `lock.rs` |
//! | what does a boot do with runs that a crash left? | `sweep.rs` |
//! | how is one of them sealed? | `recovery.rs` |
//! | how much memory may that take? | `recovery_options.rs` |
//! | which run does the next one continue? | `lineage.rs` |
//! | how does a node get its state back? | `restore_parents.rs` |
//! | which runs may be removed? | `retention.rs`, by the rule in `retention_rule.rs` |
//! | how are they removed? | `retention_apply.rs` |

mod folder;
mod lineage;
mod lock;
mod recovery;
pub(crate) mod recovery_options;
mod restore_parents;
mod retention;
mod retention_apply;
mod retention_decision;
mod retention_rule;
#[cfg(test)]
mod retention_rule_tests;
mod skipped;
pub(crate) mod sweep;
mod sweep_error;

#[cfg(feature = "internals")]
pub(crate) use folder::run_files;
pub use folder::{RunListing, list_runs};
pub(crate) use lock::InstanceLock;
pub(crate) use recovery::RUN_ENDED_TOPIC;
#[cfg(feature = "internals")]
pub(crate) use recovery::is_run_ended;
pub(crate) use recovery_options::RecoveryOptions;
pub use restore_parents::{ParentRestore, RestoreParentError};
pub(crate) use restore_parents::{check_replay_run, restore_parent};
pub(crate) use retention::check_mode;
pub use retention::{PlannedRun, RetentionError, RetentionPlan};
pub use retention_decision::{KeepReason, ReclaimReason, RetentionDecision};
pub use skipped::{SkipKind, SkippedFile};
#[cfg(feature = "internals")]
pub(crate) use sweep::recover_predecessors_with;
pub(crate) use sweep::sweep;
pub use sweep::{RecoveredRun, SweepReport, recover_predecessors};
pub use sweep_error::SweepError;

internal!(recovery::RUN_ENDED_TYPE);
