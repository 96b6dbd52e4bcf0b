/// The receipt for one accepted message. It names the message, its producer and the run, so that it
/// cannot be used for another message.
///
/// Wait for it with [`RunSession::wait_durable`](crate::RunSession::wait_durable), or with any
/// [`Durability`](crate::Durability) of the same run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The run's number within this process.
    pub(crate) run: u32,
    /// The producer's number within the run.
    pub(crate) producer: u32,
    /// The message's number within the producer, from 1.
    pub(crate) ordinal: u64,
}

impl Ticket {
    /// The message's number within its producer, from 1.
    pub const fn ordinal(self) -> u64 {
        self.ordinal
    }
}

/// What capturing did with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Captured {
    /// It is accepted: it will be in the log, unless the run halts.
    Logged(Ticket),
    /// It repeats a message that this tap has captured before. The ticket is the earlier message's.
    Repeated(Ticket),
    /// Its type is not on the allow-list of the tap. It is not recorded.
    NotListed,
    /// Its encoder failed, and its type is delivered all the same. It is not recorded.
    NotEncoded,
    /// The bus has no tap. It is not recorded.
    Untapped,
}

/// A message is not recorded, so it can never be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotCaptured {
    /// No encoder is registered for its type.
    #[error("the message's type has no encoder, so it is not recorded; register one")]
    NotListed,
    /// Its encoder failed.
    #[error("the message could not be encoded, so it is not recorded; a warning says why")]
    NotEncoded,
    /// The bus has no tap.
    #[error("the bus has no tap, so its messages are not recorded; tap it")]
    Untapped,
}

impl Captured {
    /// The ticket to wait for before acting on the message, or why the message will never be
    /// durable.
    pub const fn ticket(self) -> Result<Ticket, NotCaptured> {
        match self {
            Self::Logged(ticket) | Self::Repeated(ticket) => Ok(ticket),
            Self::NotListed => Err(NotCaptured::NotListed),
            Self::NotEncoded => Err(NotCaptured::NotEncoded),
            Self::Untapped => Err(NotCaptured::Untapped),
        }
    }
}
