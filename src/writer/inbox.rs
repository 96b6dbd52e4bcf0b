use super::{Lane, ProducerError};
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};

/// Where new producers hand their rings to the writer.
#[derive(Default)]
pub(crate) struct LaneInbox {
    /// Whether `lanes` has something for the writer.
    has_new: AtomicBool,
    lanes: Mutex<NewLanes>,
    /// Producers whose ring the writer still keeps.
    producers: AtomicUsize,
}

#[derive(Default)]
struct NewLanes {
    closed: bool,
    waiting: Vec<Lane>,
}

impl LaneInbox {
    /// Producer: hands over a ring, before the first push into it.
    pub(crate) fn register(&self, lane: Lane, max: usize) -> Result<(), ProducerError> {
        let mut lanes = self.lock();
        if lanes.closed {
            return Err(ProducerError::Closed);
        }
        // Relaxed: counted under the lock; the writer's decrements only make room.
        if self.producers.load(Ordering::Relaxed) >= max {
            return Err(ProducerError::TooMany { max });
        }
        self.producers.fetch_add(1, Ordering::Relaxed);
        lanes.waiting.push(lane);
        // Release pairs with the Acquire in `admit`. It comes before every push into the ring, so a
        // writer that, after taking its horizon, finds no new ring has missed no message either.
        self.has_new.store(true, Ordering::Release);
        Ok(())
    }

    /// Writer: takes over new rings.
    pub(super) fn admit(&self, lanes: &mut Vec<Lane>) {
        // Acquire pairs with the Release in `register`.
        if self.has_new.load(Ordering::Acquire) {
            let mut new = self.lock();
            self.has_new.store(false, Ordering::Relaxed);
            lanes.append(&mut new.waiting);
        }
    }

    /// Writer: lets go of rings.
    pub(super) fn released(&self, count: usize) {
        if count > 0 {
            self.producers.fetch_sub(count, Ordering::Relaxed);
        }
    }

    /// Writer: no more rings are taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    fn lock(&self) -> crate::sync::MutexGuard<'_, NewLanes> {
        self.lanes.lock().expect("no holder of this lock can panic")
    }
}

impl std::fmt::Debug for LaneInbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaneInbox").field("producers", &self.producers).finish_non_exhaustive()
    }
}
