use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How large the direct writes to a file are: as large as they come, or so small that what others
/// write meanwhile does not wait for long.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace(Arc<AtomicBool>);

impl Pace {
    /// A disk takes 0.1 to 0.2 ms for them.
    const GENTLE_BYTES: usize = 128 << 10;

    /// Does work whose writes are small.
    pub(crate) fn gently<T>(&self, work: impl FnOnce() -> T) -> T {
        // Relaxed: whoever sees it late writes at another pace, and nothing else.
        self.0.store(true, Ordering::Relaxed);
        let done = work();
        self.0.store(false, Ordering::Relaxed);
        done
    }

    /// The most bytes of one write.
    pub(super) fn write_bytes_max(&self) -> usize {
        if self.0.load(Ordering::Relaxed) { Self::GENTLE_BYTES } else { usize::MAX }
    }
}
