use std::cell::Cell;

use crate::protocol::LaneState;
use crate::sync::{Ordering, fence};

/// Pushed through several producers, and not ordered since. No state has this address.
const SEVERAL: usize = 0;

thread_local! {
    /// The producer this thread pushed through last, by the address of its state.
    static LAST: Cell<usize> = const { Cell::new(SEVERAL) };
}

/// Before a stamp is taken: makes what this thread has pushed through *another* producer visible.
///
/// A push is complete for its own thread while it still sits in the core's store buffer. The cycle
/// counter does not wait for that buffer, so a second push, through another ring, could be stamped
/// before the first can be seen, and be taken in a round that missed the first. A thread that keeps
/// to one producer, as it should, pays one comparison; pushes of one ring keep their order anyway.
///
/// (An address can be that of a producer that is gone. To get a new one takes a lock, which is a
/// full fence as well.)
#[inline]
pub(super) fn order_after_other_producers(state: &LaneState) {
    let this = std::ptr::from_ref(state).addr();
    if LAST.get() != this {
        LAST.set(this);
        fence(Ordering::SeqCst);
    }
}

/// Before something is told that takes no stamp, or goes by one that was taken long ago, as a mark
/// of market data may: makes the next [`order_after_other_producers`] of this thread order what it
/// has pushed by then, through whichever producers.
#[inline]
pub(super) fn note_other_producers(state: &LaneState) {
    if LAST.get() != std::ptr::from_ref(state).addr() {
        LAST.set(SEVERAL);
    }
}
