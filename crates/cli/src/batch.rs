//! Messages on their way from the reader to a producer's thread.

use std::time::Instant;

use crossbeam_channel::Sender;

use super::ndjson::InputMessage;

/// Messages that are handed over together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) messages: Vec<Dealt>,
    bytes: usize,
}

/// A message on its way.
pub(super) struct Dealt {
    pub(super) message: InputMessage,
    /// When to publish it; `None` means at once.
    pub(super) due: Option<Instant>,
    /// The bytes of its line, if they are to be kept should the engine refuse it.
    pub(super) raw: Option<Box<[u8]>>,
}

/// Batches that may wait for a producer's thread. Two more are being filled and published.
pub(super) const BATCHES_WAITING: usize = 8;
/// Enough messages to make the cost of a handover small.
const MESSAGES_MAX: usize = 256;
/// The size of the largest record. A batch may exceed it by one record. With all batches that wait,
/// this is less than 6 MiB a producer, however large the messages are. 256 messages of usual size
/// have less.
const BYTES_MAX: usize = 256 << 10;

impl Batch {
    pub(super) fn push(&mut self, dealt: Dealt) {
        let raw_bytes = dealt.raw.as_ref().map_or(0, |raw| raw.len());
        self.bytes += dealt.message.bytes_in_memory() + raw_bytes;
        self.messages.push(dealt);
    }

    pub(super) fn is_full(&self) -> bool {
        self.messages.len() >= MESSAGES_MAX || self.bytes >= BYTES_MAX
    }

    /// Hands over what there is, if there is room at once. True if nothing is left.
    pub(super) fn offer(&mut self, queue: &Sender<Self>) -> bool {
        if !self.messages.is_empty()
            && let Err(refused) = queue.try_send(std::mem::take(self))
        {
            *self = refused.into_inner();
        }
        self.messages.is_empty()
    }

    /// Hands over what there is, once there is room. False if the producer's thread has ended.
    pub(super) fn hand_over(&mut self, queue: &Sender<Self>) -> bool {
        self.messages.is_empty() || queue.send(std::mem::take(self)).is_ok()
    }
}
