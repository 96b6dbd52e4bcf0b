use crate::engine::SubmitError;
use crate::protocol::HaltReason;

/// Why an encoder could not encode a message: whatever the encoder met.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct EncodeError(Box<dyn std::error::Error + Send + Sync>);

impl EncodeError {
    /// Wraps what the encoder met: an error, or a text.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

impl From<std::io::Error> for EncodeError {
    fn from(source: std::io::Error) -> Self {
        Self::new(source)
    }
}

impl From<serde_json::Error> for EncodeError {
    fn from(source: serde_json::Error) -> Self {
        Self::new(source)
    }
}

/// What a tap does with a message that its encoder cannot encode. It is counted in either case, and
/// the run goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnEncodeError {
    /// The message is delivered, and is not recorded
    /// ([`Captured::NotEncoded`](crate::Captured::NotEncoded)).
    #[default]
    Deliver,
    /// The message is refused: no handler sees it, and its sender gets
    /// [`CaptureError::Encode`]. For messages that must not act before
    /// they are recorded, such as orders.
    Refuse,
}

/// Why a message was not captured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The message could not be encoded, or does not fit the limits. Counted; the run goes on, and
    /// the next message can be captured.
    #[error("{payload_type} was not captured")]
    Encode {
        /// The payload type the encoder is registered for.
        payload_type: String,
        /// If a tap delivers the message all the same.
        policy: OnEncodeError,
        /// What went wrong.
        source: EncodeError,
    },
    /// The message's type has no encoder, and the registry is
    /// [strict](super::EncoderRegistry::strict). The run goes on.
    #[error(
        "a message to {topic} has a type without an encoder, and the registry is strict; \
             register an encoder for it, or let the type pass"
    )]
    NotListed {
        /// The topic or endpoint.
        topic: String,
    },
    /// The engine refused the message: the run is halted, closing or closed. A message to a
    /// closed run halts the node.
    #[error("{payload_type} was not captured")]
    Submit {
        /// The payload type the encoder is registered for.
        payload_type: String,
        /// Why it was refused.
        source: SubmitError,
    },
    /// A message was refused before, and the run is closing still; nothing was tried.
    #[error("nothing is captured any more, the run is closing")]
    Closing,
    /// The run was halted before; nothing was tried.
    #[error("nothing is captured any more, the run is halted: {reason}")]
    Halted {
        /// Why the run was halted.
        reason: HaltReason,
    },
}
