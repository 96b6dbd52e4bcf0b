use crate::sync::{AtomicU64, CachePadded, Ordering};

/// The largest `seq` that is durable. Only the writer writes it, and it only rises.
#[derive(Debug)]
pub(crate) struct Watermark(CachePadded<AtomicU64>);

impl Watermark {
    pub(crate) fn new(durable: u64) -> Self {
        Self(CachePadded::new(AtomicU64::new(durable)))
    }

    /// Publishes that everything up to `seq` is durable. The caller has the backend's word for it.
    pub(crate) fn advance(&self, seq: u64) {
        debug_assert!(seq >= self.0.load(Ordering::Relaxed), "the watermark only rises");
        // Release pairs with the Acquire in `get`: who sees `seq` durable can read it back.
        self.0.store(seq, Ordering::Release);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        // Acquire pairs with the Release in `advance`.
        self.0.load(Ordering::Acquire)
    }
}
