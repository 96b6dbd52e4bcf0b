use crate::sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard, Ordering};

/// Where new producers hand their rings to the writer. `L` is a lane.
pub(crate) struct LaneInbox<L> {
    /// True while `lanes` has something for the writer.
    has_new: AtomicBool,
    lanes: Mutex<NewLanes<L>>,
    /// Producers whose ring the writer still keeps.
    producers: AtomicUsize,
}

struct NewLanes<L> {
    closed: bool,
    waiting: Vec<L>,
}

/// Why a ring was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RegisterError {
    /// The run is closing or closed.
    Closed,
    /// There are as many producers as allowed.
    TooMany {
        /// The number allowed.
        max: usize,
    },
}

impl<L> LaneInbox<L> {
    pub(crate) fn new() -> Self {
        let lanes = NewLanes { closed: false, waiting: Vec::new() };
        Self {
            has_new: AtomicBool::new(false),
            lanes: Mutex::new(lanes),
            producers: AtomicUsize::new(0),
        }
    }

    /// Called by a producer before its first push: hands over its ring.
    pub(crate) fn register(&self, lane: L, max: usize) -> Result<(), RegisterError> {
        let mut lanes = self.lock();
        if lanes.closed {
            return Err(RegisterError::Closed);
        }
        // Relaxed: counted under the lock. The writer's decrements only make room.
        if self.producers.load(Ordering::Relaxed) >= max {
            return Err(RegisterError::TooMany { max });
        }
        self.producers.fetch_add(1, Ordering::Relaxed);
        lanes.waiting.push(lane);
        // Release pairs with the Acquire in `take_new`. This store comes before every push into the
        // ring. So a writer that finds no new ring after taking its horizon has missed no message
        // either.
        self.has_new.store(true, Ordering::Release);
        Ok(())
    }

    /// Called by the writer: takes over new rings.
    pub(crate) fn take_new(&self, lanes: &mut Vec<L>) {
        // Acquire pairs with the Release in `register`.
        if self.has_new.load(Ordering::Acquire) {
            let mut new = self.lock();
            self.has_new.store(false, Ordering::Relaxed);
            lanes.append(&mut new.waiting);
        }
    }

    /// Called by the writer: gives `count` rings back.
    pub(crate) fn released(&self, count: usize) {
        if count > 0 {
            self.producers.fetch_sub(count, Ordering::Relaxed);
        }
    }

    /// Called by the writer: from now on no ring is taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    fn lock(&self) -> MutexGuard<'_, NewLanes<L>> {
        self.lanes.lock().expect("no holder of this lock can panic")
    }
}

impl<L> std::fmt::Debug for LaneInbox<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaneInbox").field("producers", &self.producers).finish_non_exhaustive()
    }
}
