use crate::sync::{AtomicU64, Ordering};

/// What one tap has done so far. Can be read from any thread while the tap is at work; the counts
/// may lag behind by the message that is just being captured.
#[derive(Debug, Default)]
pub struct CaptureCounts {
    captured: AtomicU64,
    repeated: AtomicU64,
    payload_bytes: AtomicU64,
    encode_errors: AtomicU64,
}

impl CaptureCounts {
    /// Messages captured.
    pub fn captured(&self) -> u64 {
        self.captured.load(Ordering::Relaxed)
    }

    /// Messages that repeated one that this tap had captured before.
    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// Bytes of payload of the messages captured.
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes.load(Ordering::Relaxed)
    }

    /// Messages that could not be encoded.
    pub fn encode_errors(&self) -> u64 {
        self.encode_errors.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn add_captured(&self, payload_bytes: u64) {
        add(&self.captured, 1);
        add(&self.payload_bytes, payload_bytes);
    }

    pub(super) fn add_repeated(&self) {
        add(&self.repeated, 1);
    }

    pub(super) fn add_encode_error(&self) {
        add(&self.encode_errors, 1);
    }
}

/// Only the tap's thread counts, so a load and a store do. Relaxed: the counts stand alone.
#[inline]
fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}
