use crate::plain::Plain;
use crate::sync::{Arc, AtomicUsize, Ordering};

/// Enough for any model here: no ring is ever full.
const CAPACITY: usize = 3;

/// A stand-in for an `rtrb` ring, into which loom cannot see. It keeps the contract that the engine
/// relies on: a push writes the slot, then stores the tail with Release; a look at the ring loads
/// the tail with Acquire. The way back, by which a ring tells of free slots, is left out, since a
/// model's ring never fills.
pub(crate) fn ring<T: Copy>() -> (Pusher<T>, Taker<T>) {
    let shared = Arc::new(Shared {
        slots: std::array::from_fn(|_| Plain::new(None)),
        tail: AtomicUsize::new(0),
    });
    (Pusher { shared: Arc::clone(&shared), tail: 0 }, Taker { shared, head: 0, in_view: 0 })
}

struct Shared<T> {
    slots: [Plain<Option<T>>; CAPACITY],
    tail: AtomicUsize,
}

/// The producer's end.
pub(crate) struct Pusher<T> {
    shared: Arc<Shared<T>>,
    tail: usize,
}

/// The writer's end.
pub(crate) struct Taker<T> {
    shared: Arc<Shared<T>>,
    head: usize,
    /// Messages seen by the last look and not taken yet.
    in_view: usize,
}

impl<T: Copy> Pusher<T> {
    pub(crate) fn push(&mut self, message: T) {
        self.shared.slots[self.tail].set(Some(message));
        self.tail += 1;
        self.shared.tail.store(self.tail, Ordering::Release);
    }
}

impl<T: Copy> Taker<T> {
    /// Brings what was pushed by now into view, as `Consumer::slots` does.
    pub(crate) fn look(&mut self) {
        self.in_view = self.shared.tail.load(Ordering::Acquire) - self.head;
    }

    /// The first message in view.
    pub(crate) fn front(&self) -> Option<T> {
        (self.in_view > 0).then(|| self.shared.slots[self.head].get().expect("pushed"))
    }

    pub(crate) fn take(&mut self) -> Option<T> {
        let message = self.front()?;
        self.head += 1;
        self.in_view -= 1;
        Some(message)
    }

    /// Whether there is nothing to take, asked of the ring itself.
    pub(crate) fn is_empty(&self) -> bool {
        self.shared.tail.load(Ordering::Acquire) == self.head
    }
}
