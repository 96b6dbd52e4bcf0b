use std::error::Error;
use std::time::Duration;

use crate::engine::{ConfigError, ProducerError, SpawnError, SubmitError};
use crate::model::RunId;
use crate::protocol::HaltReason;
use crate::replay::FollowError;
use crate::runs::{RestoreParentError, SkipKind, SkippedFile, SweepError};
use crate::store::OpenRunError;

/// Why a run could not be opened. If the failure fired the run's halt signal, the reason is here
/// too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A setting is outside its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A run is open on this lifecycle.
    #[error("run {open} is open; seal it first")]
    RunOpen {
        /// The open run.
        open: RunId,
    },
    /// The instance's folder could not be swept: another process has it, or it cannot be read.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// What the next run continues could not be restored. The cache must not be used then, unless
    /// nothing was to be restored yet.
    #[error(transparent)]
    Restore(#[from] RestoreParentError),
    /// A run may hold what happened last, and cannot be continued. No run was opened.
    #[error(
        "run {run_id} may hold what happened last, and cannot be continued: {}: {}; {}",
        file.path.display(), file.error, what_to_do(file.kind)
    )]
    PassedOver {
        /// The newest such run.
        run_id: RunId,
        /// Its file, and what is wrong with it.
        file: SkippedFile,
    },
    /// The run to replay from is none that can be. No new run was opened.
    #[error("cannot replay the run that replay_from_run_id names")]
    ReplayRun(#[source] RestoreParentError),
    /// The encoders could not be made. No new run was opened.
    #[error("the encoder registry could not be made")]
    Encoders(#[source] Box<dyn Error + Send + Sync>),
    /// The node's own backend could not be opened.
    #[error("the backend could not be opened")]
    Backend(#[source] Box<dyn Error + Send + Sync>),
    /// The store could not open the run.
    #[error(transparent)]
    Store(#[from] OpenRunError),
    /// The writer could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The writer took no producer.
    #[error("the first entry was not taken")]
    Producer(#[from] ProducerError),
    /// `RunStarted` was refused.
    #[error("RunStarted was not accepted")]
    RunStartedSubmit {
        /// Why.
        source: SubmitError,
        /// What the run is halted for.
        reason: HaltReason,
    },
    /// `RunStarted` was not durable in time.
    #[error("RunStarted was not durable within {waited:?} (setting run_started_timeout_ms)")]
    RunStartedTimeout {
        /// The setting `run_started_timeout`.
        waited: Duration,
        /// What the run is halted for.
        reason: HaltReason,
    },
    /// The first snapshot was not taken. The run is left for the next start, which restores the
    /// same state.
    #[error("the run's first snapshot was not taken")]
    FirstSnapshot(#[from] FollowError),
    /// The run halted before it was open.
    #[error("the run halted while it was opened: {0}")]
    HaltedDuringBoot(HaltReason),
}

impl OpenError {
    /// What the run is halted for, if it came as far as having a halt signal that fired.
    pub fn halt_reason(&self) -> Option<&HaltReason> {
        match self {
            Self::RunStartedSubmit { reason, .. }
            | Self::RunStartedTimeout { reason, .. }
            | Self::HaltedDuringBoot(reason)
            | Self::Producer(ProducerError::Halted(reason)) => Some(reason),
            _ => None,
        }
    }
}

/// What helps against a run that cannot be continued.
fn what_to_do(kind: SkipKind) -> &'static str {
    match kind {
        SkipKind::OtherVersion => "start the version of the program that wrote it",
        SkipKind::InUse | SkipKind::Io => {
            "see to that file and start again, or go on from an older state for good with \
             on_unreadable_run set to pass_over"
        }
        SkipKind::Damaged | SkipKind::Foreign => {
            "put a copy in its place and start again, or go on from an older state for good with \
             on_unreadable_run set to pass_over"
        }
    }
}
