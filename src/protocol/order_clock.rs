use crate::sync::{AtomicU64, CachePadded, CycleCounter, Ordering};

/// The clock that order stamps are taken from.
///
/// A producer takes a stamp before each push. The writer takes a horizon, then looks into the rings,
/// and may give a `seq` to everything in view that was stamped before the horizon, in the order of
/// the stamps. Why that respects happens-before: let message y be accepted before the code runs that
/// causes x. Then y's push was complete before x's stamp was taken (by loads that came before it),
/// so `stamp(y) <= stamp(x)`, and if `stamp(x) < horizon`, y's push was complete before the horizon
/// was taken, hence before the rings were looked into: y is in view too.
///
/// One case has no such load: a thread that pushes y and then x through two producers of its own. There a
/// fence between the two does it, see `engine/producer/switch.rs`.
#[derive(Debug)]
pub(crate) enum OrderClock {
    /// The processor's cycle counter. Two stamps of one value can only be taken on two cores within
    /// one cycle, and no message crosses cores in one cycle.
    Cycles(CycleCounter),
    /// A counter shared by all producers: costs a contended cache line, works everywhere.
    Counter(CachePadded<AtomicU64>),
}

impl OrderClock {
    /// The cycle counter where it can be trusted, else the shared counter.
    pub(crate) fn detect() -> Self {
        CycleCounter::detect().map_or_else(Self::counter, Self::Cycles)
    }

    pub(crate) fn counter() -> Self {
        Self::Counter(CachePadded::new(AtomicU64::new(1)))
    }

    /// Producer: the stamp of the message that is about to be pushed.
    #[inline]
    pub(crate) fn stamp(&self) -> u64 {
        match self {
            // After all earlier loads: the cause of this message was received by one of them.
            Self::Cycles(counter) => counter.after_loads(),
            // SeqCst is what the argument above is made with. Of it, AcqRel is needed: each stamp
            // sees all that came before every lower stamp.
            Self::Counter(counter) => counter.fetch_add(1, Ordering::SeqCst),
        }
    }

    /// Writer: everything stamped before this was pushed, or is unrelated to all that was.
    #[inline]
    pub(crate) fn horizon(&self) -> u64 {
        match self {
            // Before all later loads: those of the rings' tails must not be done earlier.
            Self::Cycles(counter) => counter.before_loads(),
            Self::Counter(counter) => counter.load(Ordering::SeqCst),
        }
    }
}
