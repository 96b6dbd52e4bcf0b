use std::time::Duration;

use super::ConfigError;
use crate::format::RecordLimitError;
use crate::model::{Hash, MarkerCounts, RunManifest, THREAD_ADVICE};
use crate::protocol::{HaltReason, RegisterError};
use crate::store::{AnchorError, ReadFault, SealError};

/// Why a writer could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// A setting is outside its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `open_run` was not called on the backend.
    #[error("the backend has no open run; call open_run first")]
    NoOpenRun,
    /// The run is sealed.
    #[error("the backend's run is sealed and takes no more entries; open another run")]
    Sealed,
    /// What the run has so far could not be read.
    #[error("cannot continue the run")]
    Read(#[from] ReadFault),
    /// The system gave no thread.
    #[error("cannot start the writer thread; {THREAD_ADVICE}")]
    Thread(#[source] std::io::Error),
}

/// Why a producer handle was not given out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// The run is closing or closed.
    #[error("the run is closed")]
    Closed,
    /// The run is halted.
    #[error("the run is halted: {0}")]
    Halted(HaltReason),
    /// There are as many producers as the settings allow.
    #[error("there are {max} producers already (setting producers_max)")]
    TooMany {
        /// The setting `producers_max`.
        max: usize,
    },
    /// This process was forked while the run was open. Only its parent records the run.
    #[error("this process was forked from the one that records the run, and cannot use it")]
    Forked,
}

impl From<RegisterError> for ProducerError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Closed => Self::Closed,
            RegisterError::TooMany { max } => Self::TooMany { max },
        }
    }
}

/// Why a wait for durability ended without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// Not within the time given; it may still become durable.
    #[error("not durable after {waited:?}")]
    TimedOut {
        /// The time given.
        waited: Duration,
    },
    /// The run halted first. What is not on its way to the disk by now will never be durable.
    #[error("the run is halted: {0}")]
    Halted(HaltReason),
    /// The run was closed first.
    #[error("the run is closed")]
    Closed,
    /// The ticket is of another run.
    #[error("the ticket is of another run")]
    ForeignTicket,
    /// This process was forked while the run was open. Only its parent records the run.
    #[error("this process was forked from the one that records the run, and cannot use it")]
    Forked,
}

/// Why an anchor was not recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorRequestError {
    /// The store refused it.
    #[error(transparent)]
    Store(#[from] AnchorError),
    /// The run is halted.
    #[error("the run is halted: {0}")]
    Halted(HaltReason),
    /// The run is closing or closed.
    #[error("the run is closed")]
    Closed,
    /// This process was forked while the run was open. Only its parent records the run.
    #[error("this process was forked from the one that records the run, and cannot use it")]
    Forked,
}

/// Why a run was not closed in order. It is left unsealed; recovery will find it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The run is halted.
    #[error("the run is halted: {0}")]
    Halted(HaltReason),
    /// The `RunEnded` draft does not fit into a record, or its names are empty or too long. The run
    /// is left unsealed.
    #[error("the final entry cannot be recorded")]
    Draft(#[from] SubmitError),
    /// This process was forked while the run was open. Only its parent records the run.
    #[error("this process was forked from the one that records the run, and cannot use it")]
    Forked,
    /// The store refused to seal.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// A run that was closed in order.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseReport {
    /// The final watermark: the `seq` of `RunEnded`.
    pub watermark: u64,
    /// The run's root hash; with it any later change to the run can be found.
    pub root: Hash,
    /// The manifest as sealed.
    pub manifest: RunManifest,
    /// What is in its data-marker sidecar; `None` where it has none that is sound.
    pub markers: Option<MarkerCounts>,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The ring stayed full for too long; this submit halted the run.
    #[error(
        "the run is halted: the ring stayed full for {stalled_for:?}, allowed are {threshold:?}"
    )]
    HaltSignaled {
        /// How long this submit had waited.
        stalled_for: Duration,
        /// The setting `halt_threshold`.
        threshold: Duration,
    },
    /// The run is closed, closing or halted. The message is not in the log. A submit that waits for
    /// room when that happens returns it then; one that races with `close` waits for the writer's
    /// verdict, which comes when all that was accepted is durable.
    #[error("the run takes no more messages: it is closed or halted")]
    Closed,
    /// The run halted while the message was on its way. Recovery decides if it is in the log.
    #[error("the run halted while the message was on its way; the log may or may not have it")]
    HaltedMeanwhile,
    /// This process was forked while the run was open. Only its parent records the run.
    #[error("this process was forked from the one that records the run, and cannot use it")]
    Forked,
    /// The message does not fit into a record. The run goes on.
    #[error(transparent)]
    Limit(#[from] RecordLimitError),
    /// Topic or payload type is empty or too long. The run goes on.
    #[error(
        "a topic or payload type of {bytes} bytes: allowed are 1 to {max} (setting name_bytes_max)"
    )]
    NameLength {
        /// Bytes of the name.
        bytes: usize,
        /// The setting `name_bytes_max`.
        max: usize,
    },
    /// This producer has used too many different topics and payload types. The run goes on.
    #[error(
        "more than {max} different topics and payload types on one producer (setting names_max)"
    )]
    TooManyNames {
        /// The setting `names_max`.
        max: usize,
    },
    /// All producers of the run together have used too many different topics and payload types.
    /// Messages with names that the run knows are accepted. The run goes on.
    #[error(
        "more than {max} different topics and payload types in one run (setting run_names_max)"
    )]
    TooManyRunNames {
        /// The setting `run_names_max`.
        max: usize,
    },
}

impl SubmitError {
    /// Whether the run takes no more messages; if not, only this message was refused.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::HaltSignaled { .. } | Self::Closed | Self::HaltedMeanwhile | Self::Forked
        )
    }
}
