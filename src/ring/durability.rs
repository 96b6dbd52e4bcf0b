use std::time::Duration;

use crate::protocol::LaneState;
use crate::sync::Arc;
use crate::writer::{Connection, WaitError};

/// Receipt for one submitted message, valid with the producer that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

impl Ticket {
    pub(super) const fn new(ordinal: u64) -> Self {
        Self(ordinal)
    }

    /// The message's place among this producer's messages, from 1.
    pub const fn ordinal(self) -> u64 {
        self.0
    }
}

/// Tells how far one producer's messages are durable. Can be handed to another thread, and outlives
/// its producer.
#[derive(Debug, Clone)]
pub struct Durability {
    state: Arc<LaneState>,
    connection: Connection,
}

impl Durability {
    pub(super) fn new(state: Arc<LaneState>, connection: Connection) -> Self {
        Self { state, connection }
    }

    /// Whether the message of `ticket` is durable. One load.
    pub fn is_durable(&self, ticket: Ticket) -> bool {
        self.state.durable() >= ticket.0
    }

    /// The ordinal of the producer's last durable message; 0 for none.
    pub fn durable_ordinal(&self) -> u64 {
        self.state.durable()
    }

    /// Blocks until the message of `ticket` is durable, for at most `timeout`.
    pub fn wait(&self, ticket: Ticket, timeout: Duration) -> Result<(), WaitError> {
        self.connection.wait(timeout, || self.is_durable(ticket))
    }
}
