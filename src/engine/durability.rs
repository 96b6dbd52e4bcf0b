use std::time::Duration;

use super::WaitError;
use super::shared::Shared;
use crate::model::Ticket;
use crate::protocol::LaneState;
use crate::sync::Arc;

/// Tells how far a run's messages are durable. Can be handed to another thread, and outlives the
/// producer it came from.
///
/// It answers for every ticket of its run, and fastest for those of its own producer.
#[derive(Debug, Clone)]
pub struct Durability {
    shared: Arc<Shared>,
    producer: u32,
    state: Arc<LaneState>,
}

impl Durability {
    pub(super) fn new(shared: Arc<Shared>, producer: u32, state: Arc<LaneState>) -> Self {
        Self { shared, producer, state }
    }

    /// True once the message of `ticket` is durable; false for a ticket of another run. One load
    /// for a ticket of its own producer, a short lock for another.
    pub fn is_durable(&self, ticket: Ticket) -> bool {
        if !self.shared.issued(ticket) {
            false
        } else if ticket.producer == self.producer {
            self.state.durable() >= ticket.ordinal
        } else {
            let state = self.shared.producer_of(ticket);
            state.is_none_or(|state| state.durable() >= ticket.ordinal)
        }
    }

    /// The ordinal of the producer's last durable message; 0 for none.
    pub fn durable_ordinal(&self) -> u64 {
        self.state.durable()
    }

    /// Blocks until the message of `ticket` is durable, for at most `timeout`.
    pub fn wait(&self, ticket: Ticket, timeout: Duration) -> Result<(), WaitError> {
        self.shared.wait_durable(ticket, timeout)
    }
}
