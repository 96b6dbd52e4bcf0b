use super::{HaltSignal, LaneState};
use crate::sync::{AsymmetricBarrier, AtomicU8, CachePadded, Ordering};

/// Decides whether a push that raced with `close` is in the log or refused: never both, never
/// neither.
///
/// ```text
/// producer                          writer, closing
/// 1. push: publish the ring's tail  a. state = CLOSING
/// 2. light barrier                  b. heavy barrier
/// 3. read state                     c. drain every ring until it is empty
///    OPEN: accepted                 d. publish each lane's last admitted ordinal
///    CLOSING: await d, compare
/// ```
///
/// By the pair of barriers either 3 sees CLOSING, and then d decides, or c sees the push, and then
/// it is in the log. Without them a store could still be in the core's store buffer while the load
/// behind it is done, on both sides at once.
///
/// On a cache line of its own: every push reads it, and beside memory that the writer writes each of
/// those reads took 70 ns.
#[derive(Debug)]
pub(crate) struct RunGate(CachePadded<State>);

#[derive(Debug)]
struct State {
    /// `OPEN` → `CLOSING` → `CLOSED`, by the writer alone.
    state: AtomicU8,
    barrier: AsymmetricBarrier,
}

/// Pushes are accepted.
const OPEN: u8 = 0;
/// No new push begins; the writer drains what is in the rings.
const CLOSING: u8 = 1;
/// The writer has ended; what it had not taken by now it never will.
const CLOSED: u8 = 2;

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It will be in the log, unless the run halts.
    Accepted,
    /// It is not in the log and will not be.
    Refused,
    /// The run halted meanwhile; whether it is in the log, recovery will tell.
    Halted,
}

impl RunGate {
    pub(crate) fn new(barrier: AsymmetricBarrier) -> Self {
        Self(CachePadded::new(State { state: AtomicU8::new(OPEN), barrier }))
    }

    /// Producer, before a push: whether there is any point in pushing.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        // Relaxed: a hint only, `admit` decides after the push.
        self.0.state.load(Ordering::Relaxed) == OPEN
    }

    /// Producer, after the push of `ordinal`: whether it made it. Blocks, spinning, only while the
    /// writer is between CLOSING and its verdict.
    #[inline]
    pub(crate) fn admit(&self, lane: &LaneState, ordinal: u64, halt: &HaltSignal) -> Admission {
        self.0.barrier.light();
        // Relaxed: the barrier before it orders this load after the push; what CLOSING announces is
        // read from the lane, with Acquire.
        if self.0.state.load(Ordering::Relaxed) == OPEN && !halt.is_halted() {
            return Admission::Accepted;
        }
        self.await_verdict(lane, ordinal, halt)
    }

    #[cold]
    fn await_verdict(&self, lane: &LaneState, ordinal: u64, halt: &HaltSignal) -> Admission {
        loop {
            // In this order, for each may come between two questions. Who sees the end sees the verdict,
            // or the halt that kept the writer from giving one: asked for the end last, it could take a
            // message that is durable for refused. Who sees a halt of a node whose run has ended in order
            // sees the verdict: asked for the halt last, it could take such a message for uncertain.
            let closed = self.is_closed();
            let halted = halt.is_halted();
            if let Some(last) = lane.last_admitted() {
                return if ordinal <= last { Admission::Accepted } else { Admission::Refused };
            }
            if halted {
                return Admission::Halted;
            }
            if closed {
                // Every lane that the writer knew has its verdict: this one was registered too late
                // to be drained.
                return Admission::Refused;
            }
            crate::sync::yield_now();
        }
    }

    /// Writer: from here on a push that the rings do not show yet waits for the verdict.
    pub(crate) fn begin_close(&self) {
        // The heavy barrier orders it before the loads of the rings' tails. Release pairs with the Acquire in
        // `is_closing`.
        self.0.state.store(CLOSING, Ordering::Release);
        self.0.barrier.heavy();
    }

    /// Anybody: whether the writer has begun to end. Who sees that sees all that it did before; what it was asked since it
    /// never answers.
    pub(crate) fn is_closing(&self) -> bool {
        // Acquire pairs with the Release in `begin_close` and `close`.
        self.0.state.load(Ordering::Acquire) != OPEN
    }

    /// Anybody: whether the writer has ended.
    pub(crate) fn is_closed(&self) -> bool {
        // Acquire pairs with the Release in `close`.
        self.0.state.load(Ordering::Acquire) == CLOSED
    }

    /// Writer: every lane has its verdict, or the run is halted.
    pub(crate) fn close(&self) {
        // Release pairs with the Acquire in `is_closed`: who sees the end sees every verdict, and the
        // halt that kept the writer from giving one.
        self.0.state.store(CLOSED, Ordering::Release);
    }
}
