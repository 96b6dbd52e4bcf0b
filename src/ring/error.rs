use std::time::Duration;

use crate::format::RecordLimitError;

/// Why a message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// The run is closed, closing or halted. A submit that waits for room when that happens returns it then; one that
    /// races with `close` waits for the writer's verdict, which comes when all that was accepted is durable.
    #[error("the run takes no more messages: it is closed or halted")]
    Closed,
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
}

impl SubmitError {
    /// Whether the run takes no more messages; if not, only this message was refused.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::HaltSignaled { .. } | Self::Closed)
    }
}
