use crate::sync::{AtomicU64, CachePadded, Ordering};

/// What the writer and one producer tell each other. Ordinals count the producer's own messages
/// from 1.
#[derive(Debug)]
pub(crate) struct LaneState {
    /// All messages up to this ordinal are durable. Only rises.
    durable: CachePadded<AtomicU64>,
    /// The last ordinal that is in the log, once the run is closing. `UNDECIDED` before.
    last_admitted: CachePadded<AtomicU64>,
    /// How many marks of market data the producer has shed.
    marks_shed: AtomicU64,
}

const UNDECIDED: u64 = u64::MAX;

impl LaneState {
    pub(crate) fn new() -> Self {
        Self {
            durable: CachePadded::new(AtomicU64::new(0)),
            last_admitted: CachePadded::new(AtomicU64::new(UNDECIDED)),
            marks_shed: AtomicU64::new(0),
        }
    }

    /// Called by the writer: everything up to `ordinal` is durable.
    pub(crate) fn set_durable(&self, ordinal: u64) {
        // Release pairs with the Acquire in `durable`: who sees an entry durable can read it back.
        self.durable.store(ordinal, Ordering::Release);
    }

    pub(crate) fn durable(&self) -> u64 {
        // Acquire pairs with the Release in `set_durable`.
        self.durable.load(Ordering::Acquire)
    }

    /// Called by the closing writer, after it found the producer's ring empty: it takes nothing
    /// after `ordinal`.
    pub(crate) fn set_last_admitted(&self, ordinal: u64) {
        // Release pairs with the Acquire in `last_admitted`.
        self.last_admitted.store(ordinal, Ordering::Release);
    }

    /// Called by the producer: it has shed `marks` so far.
    pub(crate) fn set_marks_shed(&self, marks: u64) {
        // Relaxed: the writer reads this after the ring. So it learns of shed marks before it
        // handles anything that it takes from there.
        self.marks_shed.store(marks, Ordering::Relaxed);
    }

    pub(crate) fn marks_shed(&self) -> u64 {
        self.marks_shed.load(Ordering::Relaxed)
    }

    /// The verdict of a closing writer; `None` before.
    pub(crate) fn last_admitted(&self) -> Option<u64> {
        // Acquire pairs with the Release in `set_last_admitted`.
        let ordinal = self.last_admitted.load(Ordering::Acquire);
        (ordinal != UNDECIDED).then_some(ordinal)
    }
}
