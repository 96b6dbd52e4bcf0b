use super::{HaltSignal, LaneState};
use crate::sync::{AsymmetricBarrier, Ordering, WipedOnFork};

/// Decides about a push that races with `close`: either it is in the log, or it is refused. Never
/// both, never neither.
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
/// The pair of barriers leaves two cases. Either step 3 sees CLOSING, and then d decides. Or step c
/// sees the push, and then it is in the log. Without the barriers, both sides could miss each
/// other: a store could still be in the core's store buffer while the load after it is already
/// done.
///
/// The state has a cache line of its own, because every push reads it. Beside memory that the
/// writer writes, each of these reads took 70 ns.
#[derive(Debug)]
pub(crate) struct RunGate {
    /// `OPEN` → `CLOSING` → `CLOSED`. Only the writer changes it. `FORKED` in a forked child.
    state: WipedOnFork,
    barrier: AsymmetricBarrier,
}

/// This process was forked while the run was open. There is no writer here, and nothing is
/// accepted.
const FORKED: u8 = 0;
/// Pushes are accepted.
const OPEN: u8 = 3;
/// No new push begins; the writer drains what is in the rings.
const CLOSING: u8 = 1;
/// The writer has ended. It takes nothing more.
const CLOSED: u8 = 2;

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It will be in the log, unless the run halts.
    Accepted,
    /// It is not in the log and will not be.
    Refused,
    /// The run halted meanwhile. Recovery decides if the message is in the log.
    Halted,
}

impl RunGate {
    pub(crate) fn new(barrier: AsymmetricBarrier) -> Self {
        Self { state: WipedOnFork::new(OPEN), barrier }
    }

    /// Called by a producer before a push. False if a push is pointless.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        // Relaxed: only a hint. `admit` decides after the push.
        self.state.load(Ordering::Relaxed) == OPEN
    }

    /// True in a child that was forked while the run was open: it belongs to the parent.
    pub(crate) fn is_forked(&self) -> bool {
        // Relaxed: the system wiped it before the child ran.
        self.state.load(Ordering::Relaxed) == FORKED
    }

    /// Called by a producer after the push of `ordinal`: decides about it. Spins only while the
    /// writer is between CLOSING and its verdict.
    #[inline]
    pub(crate) fn admit(&self, lane: &LaneState, ordinal: u64, halt: &HaltSignal) -> Admission {
        self.barrier.light();
        // Relaxed: the barrier above orders this load after the push. What CLOSING announces is
        // read from the lane, with Acquire.
        if self.state.load(Ordering::Relaxed) == OPEN && !halt.is_halted() {
            return Admission::Accepted;
        }
        self.await_verdict(lane, ordinal, halt)
    }

    #[cold]
    fn await_verdict(&self, lane: &LaneState, ordinal: u64, halt: &HaltSignal) -> Admission {
        loop {
            // The order of these three loads matters, because the writer can act between any two of
            // them.
            //
            // The end comes before the verdict: who sees the end also sees the verdict, or the halt
            // that kept the writer from giving one. Read last, the end could turn a durable message
            // into a refused one.
            //
            // The halt comes before the verdict too: a run that ended in order has its verdict
            // before a halt of its node. Read last, such a halt could turn a durable message into
            // an uncertain one.
            let closed = self.is_closed();
            let halted = halt.is_halted();
            if let Some(last) = lane.last_admitted() {
                return if ordinal <= last { Admission::Accepted } else { Admission::Refused };
            }
            if halted {
                return Admission::Halted;
            }
            if closed {
                // Every lane that the writer knew has its verdict. This lane was registered too
                // late to be drained.
                return Admission::Refused;
            }
            crate::sync::yield_now();
        }
    }

    /// Called by the writer. From now on, a push that the rings do not show yet waits for the
    /// verdict.
    pub(crate) fn begin_close(&self) {
        // The heavy barrier orders this store before the loads of the rings' tails. Release pairs
        // with the Acquire in `is_closing`.
        self.state.store(CLOSING, Ordering::Release);
        self.barrier.heavy();
    }

    /// True once the writer has begun to end. Any thread may ask. Who sees true also sees
    /// everything that the writer did before. The writer answers nothing that it is asked later.
    pub(crate) fn is_closing(&self) -> bool {
        // Acquire pairs with the Release in `begin_close` and `close`.
        self.state.load(Ordering::Acquire) != OPEN
    }

    /// True once the writer has ended, and in a forked child, which has none. Any thread may ask.
    pub(crate) fn is_closed(&self) -> bool {
        // Acquire pairs with the Release in `close`.
        matches!(self.state.load(Ordering::Acquire), CLOSED | FORKED)
    }

    /// Called by the writer, once every lane has its verdict or the run is halted.
    pub(crate) fn close(&self) {
        // Release pairs with the Acquire in `is_closed`: who sees the end also sees every verdict,
        // and the halt that kept the writer from giving one.
        self.state.store(CLOSED, Ordering::Release);
    }
}
