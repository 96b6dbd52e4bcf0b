use std::sync::atomic::{Ordering, compiler_fence, fence};

/// A pair of full barriers of unequal price: [`light`](Self::light) on the side that runs for every
/// message, [`heavy`](Self::heavy) on the side that runs once.
///
/// If one thread does *store A, light, load B* and another *store B, heavy, load A*, then at least
/// one of the two loads sees the other's store.
///
/// On Linux `heavy` is `membarrier(PRIVATE_EXPEDITED)`, which makes every running thread of the
/// process pass a full barrier, so `light` only has to hold the compiler back. Where that call is
/// missing both are `fence(SeqCst)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsymmetricBarrier {
    membarrier: bool,
}

impl AsymmetricBarrier {
    /// Registers the process for `membarrier`, where there is one.
    pub(crate) fn new() -> Self {
        Self { membarrier: membarrier::register() }
    }

    /// Fences only, as on a system without `membarrier`.
    #[cfg(test)]
    pub(crate) const fn fenced() -> Self {
        Self { membarrier: false }
    }

    #[inline]
    pub(crate) fn light(self) {
        if self.membarrier {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    pub(crate) fn heavy(self) {
        fence(Ordering::SeqCst);
        if self.membarrier {
            membarrier::expedite();
        }
    }
}

#[cfg(target_os = "linux")]
mod membarrier {
    use rustix::thread::{MembarrierCommand, membarrier};

    pub(super) fn register() -> bool {
        membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
    }

    pub(super) fn expedite() {
        // The call can fail only for a process that did not register, and this one did.
        membarrier(MembarrierCommand::PrivateExpedited)
            .expect("membarrier works for a registered process");
    }
}

#[cfg(not(target_os = "linux"))]
mod membarrier {
    pub(super) fn register() -> bool {
        false
    }

    pub(super) fn expedite() {}
}
