use std::time::Instant;

use crate::sync::{Arc, AtomicUsize, Condvar, Mutex, Ordering, fence};

/// Where threads wait for a condition that other threads make true. Neither side needs a lock for
/// the condition.
///
/// The waker changes what the condition reads, then calls [`wake_all`](Self::wake_all). While
/// nobody waits, this costs a fence and a load.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parking(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiters: AtomicUsize,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Parking {
    /// Blocks until `is_done` returns true or `deadline` has passed. Returns true if it is done.
    pub(crate) fn wait_until(
        &self,
        deadline: Option<Instant>,
        mut is_done: impl FnMut() -> bool,
    ) -> bool {
        if is_done() {
            return true;
        }
        self.0.waiters.fetch_add(1, Ordering::Relaxed);
        // Pairs with the fence in `wake_all`. A waiter counts itself and then reads the condition;
        // a waker changes the condition and then reads the count. At least one of the two sees the
        // other's store. Acquire and Release would let both miss.
        fence(Ordering::SeqCst);
        let done = self.block(deadline, &mut is_done);
        self.0.waiters.fetch_sub(1, Ordering::Relaxed);
        done
    }

    fn block(&self, deadline: Option<Instant>, is_done: &mut dyn FnMut() -> bool) -> bool {
        let mut guard = self.0.lock.lock().expect("no holder of this lock can panic");
        loop {
            // Checked under the lock. A waker that changes the condition after this check needs the
            // lock before it notifies, and it gets the lock only once this thread sleeps.
            if is_done() {
                return true;
            }
            guard = match deadline {
                None => self.0.changed.wait(guard).expect("no holder of this lock can panic"),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    let woken = self.0.changed.wait_timeout(guard, left);
                    woken.expect("no holder of this lock can panic").0
                }
            };
        }
    }

    /// Wakes all waiters. They check their condition again.
    pub(crate) fn wake_all(&self) {
        // Pairs with the fence in `wait_until`.
        fence(Ordering::SeqCst);
        if self.0.waiters.load(Ordering::Relaxed) > 0 {
            // A waiter that found its condition false holds the lock until it sleeps.
            drop(self.0.lock.lock().expect("no holder of this lock can panic"));
            self.0.changed.notify_all();
        }
    }
}
