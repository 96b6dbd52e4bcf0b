use crate::sync::{AtomicU64, CachePadded, CycleCounter, Ordering};

/// The clock that order stamps are taken from.
///
/// A producer takes a stamp before each push. The writer takes a horizon, then looks into the
/// rings. It may give a `seq` to everything that it sees there with a stamp before the horizon, in
/// the order of the stamps.
///
/// Why this respects happens-before: let message y be accepted before the code runs that causes x.
/// Then y's push was complete before x's stamp was taken, because that code read something first.
/// So `stamp(y) <= stamp(x)`. If `stamp(x) < horizon`, y's push was complete before the horizon was
/// taken, and so before the writer looked into the rings. The writer sees y too.
///
/// One case has no such read: a thread that pushes y and then x through two producers of its own.
/// There a fence between the two pushes does it, see `engine/producer/switch_fence.rs`.
#[derive(Debug)]
pub(crate) enum OrderClock {
    /// The processor's cycle counter. Two stamps can only be equal if two cores take them within
    /// one cycle, and no message crosses cores in one cycle.
    Cycles(CycleCounter),
    /// A counter that all producers share. It costs a contended cache line and works everywhere.
    Counter(CachePadded<AtomicU64>),
}

impl OrderClock {
    /// The cycle counter where it can be trusted, the shared counter elsewhere.
    pub(crate) fn detect() -> Self {
        CycleCounter::detect().map_or_else(Self::counter, Self::Cycles)
    }

    pub(crate) fn counter() -> Self {
        Self::Counter(CachePadded::new(AtomicU64::new(1)))
    }

    /// Called by a producer: the stamp of the message that is about to be pushed.
    #[inline]
    pub(crate) fn stamp(&self) -> u64 {
        match self {
            // After all earlier loads: one of them received the cause of this message.
            Self::Cycles(counter) => counter.after_loads(),
            // The argument above is made with SeqCst. It needs AcqRel: each stamp sees everything
            // that came before every lower stamp.
            Self::Counter(counter) => counter.fetch_add(1, Ordering::SeqCst),
        }
    }

    /// Called by the writer. Everything stamped before this was pushed, or is unrelated to all that
    /// was.
    #[inline]
    pub(crate) fn horizon(&self) -> u64 {
        match self {
            // Before all later loads: the rings' tails must not be loaded earlier.
            Self::Cycles(counter) => counter.before_loads(),
            Self::Counter(counter) => counter.load(Ordering::SeqCst),
        }
    }
}
