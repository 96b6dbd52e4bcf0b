//! Stand-ins for the producer and the writer thread around a close.

use crate::protocol::{Admission, HaltReason, HaltSignal, LaneState, RunGate};
use crate::ring::{Pusher, Taker, ring};
use crate::sync::Arc;

/// A message: its producer, and its ordinal there.
pub(crate) type Message = (usize, u64);

/// Both ends of the ring of producer `id`.
pub(crate) fn lane(id: usize) -> (Submitter, Lane) {
    let (pusher, taker) = ring();
    let state = Arc::new(LaneState::new());
    let submitter = Submitter { id, ring: pusher, state: Arc::clone(&state), ordinal: 0 };
    (submitter, Lane { ring: taker, state, taken: 0 })
}

/// A stand-in for `Producer`, with the same steps in the same order.
pub(crate) struct Submitter {
    id: usize,
    ring: Pusher<Message>,
    state: Arc<LaneState>,
    ordinal: u64,
}

/// What a submitter was told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// Refused without a push.
    NotPushed,
    Accepted,
    Refused,
    Halted,
}

impl Submitter {
    pub(crate) fn submit(&mut self, gate: &RunGate, halt: &HaltSignal) -> (Message, Answer) {
        let message = (self.id, self.ordinal + 1);
        if halt.is_halted() || !gate.is_open() {
            return (message, Answer::NotPushed);
        }
        self.ring.push(message);
        self.ordinal += 1;
        let answer = match gate.admit(&self.state, self.ordinal, halt) {
            Admission::Accepted => Answer::Accepted,
            Admission::Refused => Answer::Refused,
            Admission::Halted => Answer::Halted,
        };
        (message, answer)
    }
}

/// The writer's end of one ring.
pub(crate) struct Lane {
    ring: Taker<Message>,
    state: Arc<LaneState>,
    taken: u64,
}

/// A stand-in for the writer thread, with the same steps in the same order. A frame holds one
/// message, so that a halt can come between two of them.
pub(crate) struct Writer {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) gate: Arc<RunGate>,
    pub(crate) halt: HaltSignal,
    /// What is durable.
    pub(crate) log: Vec<Message>,
    /// Commits before the store fails.
    pub(crate) commits_left: usize,
}

/// The run is halted.
#[derive(Debug)]
pub(crate) struct Halted;

impl Writer {
    pub(crate) fn new(gate: &Arc<RunGate>, halt: &HaltSignal, lanes: Vec<Lane>) -> Self {
        let (gate, halt) = (Arc::clone(gate), halt.clone());
        Self { lanes, gate, halt, log: Vec::new(), commits_left: usize::MAX }
    }

    /// A round: takes and commits what is in view.
    pub(crate) fn flush(&mut self, take_new: impl FnOnce(&mut Vec<Lane>)) -> Result<(), Halted> {
        take_new(&mut self.lanes);
        self.lanes.iter_mut().for_each(|lane| lane.ring.look());
        for index in 0..self.lanes.len() {
            while let Some(message) = self.lanes[index].ring.take() {
                self.lanes[index].taken += 1;
                self.commit(message)?;
            }
        }
        Ok(())
    }

    fn commit(&mut self, frame: Message) -> Result<(), Halted> {
        if self.halt.is_halted() {
            return Err(Halted);
        }
        if self.commits_left == 0 {
            self.halt.fire(HaltReason::BackendError(String::new()));
            return Err(Halted);
        }
        self.commits_left -= 1;
        self.log.push(frame);
        Ok(())
    }

    /// Ends the run: takes no more, makes everything accepted durable. `close_inbox` and `take_new`
    /// are the inbox's part in it.
    pub(crate) fn close(
        &mut self,
        close_inbox: impl FnOnce(),
        take_new: impl FnMut(&mut Vec<Lane>),
    ) {
        let _: Result<(), Halted> = self.drain(close_inbox, take_new);
        self.gate.close();
        self.halt.parking().wake_all();
    }

    fn drain(
        &mut self,
        close_inbox: impl FnOnce(),
        mut take_new: impl FnMut(&mut Vec<Lane>),
    ) -> Result<(), Halted> {
        self.gate.begin_close();
        close_inbox();
        loop {
            self.flush(&mut take_new)?;
            if self.lanes.iter().all(|lane| lane.ring.is_empty()) {
                for lane in &self.lanes {
                    lane.state.set_last_admitted(lane.taken);
                }
                return Ok(());
            }
        }
    }

    /// Asserts, after the end, that what submitters were told is true. Returns their answers.
    pub(crate) fn check(&self, told: &[(Message, Answer)]) -> Vec<Answer> {
        let halted = self.halt.is_halted();
        for (message, answer) in told {
            let in_log = self.log.iter().filter(|entry| *entry == message).count();
            let holds = match answer {
                Answer::Accepted => in_log == 1 || (in_log == 0 && halted),
                Answer::Refused | Answer::NotPushed => in_log == 0,
                Answer::Halted => in_log <= 1 && halted,
            };
            assert!(holds, "told {answer:?}, {in_log} times in the log, halted: {halted}");
        }
        told.iter().map(|(_, answer)| *answer).collect()
    }
}
