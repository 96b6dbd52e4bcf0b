use std::cell::Cell;

use crate::protocol::LaneState;
use crate::sync::{Ordering, fence};

thread_local! {
    /// The producer this thread pushed through last, by the address of its state.
    static LAST: Cell<usize> = const { Cell::new(0) };
}

/// Before a stamp is taken: makes what this thread has pushed through *another* producer visible.
///
/// A push is complete for its own thread while it still sits in the core's store buffer. The cycle
/// counter does not wait for that buffer, so a second push, through another ring, could be stamped
/// before the first can be seen, and be taken in a round that missed the first. A thread that keeps to
/// one producer, as it should, pays one comparison; pushes of one ring keep their order anyway.
///
/// (An address can be that of a producer that is gone. To get a new one takes a lock, which is a full
/// fence as well.)
#[inline]
pub(super) fn order_after_other_producers(state: &LaneState) {
    let this = std::ptr::from_ref(state).addr();
    if LAST.get() != this {
        LAST.set(this);
        fence(Ordering::SeqCst);
    }
}
