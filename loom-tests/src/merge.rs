//! Stand-ins for the producer and the writer's horizon merge.

use crate::protocol::OrderClock;
use crate::ring::{Pusher, Taker};

/// A message as the writer sees it in a ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    stamp: u64,
    name: char,
}

impl Message {
    pub(crate) fn new(stamp: u64, name: char) -> Self {
        Self { stamp, name }
    }
}

/// Submits as `Producer` does: the stamp first, then the push.
pub(crate) fn submit(clock: &OrderClock, ring: &mut Pusher<Message>, name: char) {
    let stamp = clock.stamp();
    ring.push(Message { stamp, name });
}

/// A stand-in for the writer's `Collector`, with the same steps in the same order.
pub(crate) struct Merge {
    pub(crate) lanes: Vec<Taker<Message>>,
    /// What was taken, in the order in which it would get its `seq`.
    log: String,
}

impl Merge {
    pub(crate) fn new(lanes: Vec<Taker<Message>>) -> Self {
        Self { lanes, log: String::new() }
    }

    /// One round: new rings, a look into each ring, and then everything stamped before `horizon`.
    pub(crate) fn collect(
        &mut self,
        horizon: u64,
        take_new: impl FnOnce(&mut Vec<Taker<Message>>),
    ) {
        take_new(&mut self.lanes);
        self.look();
        self.take_before(horizon);
    }

    pub(crate) fn look(&mut self) {
        self.lanes.iter_mut().for_each(Taker::look);
    }

    pub(crate) fn take_before(&mut self, horizon: u64) {
        let stamp = |lane: &Taker<Message>| lane.front().map(|message| message.stamp);
        while let Some(lane) = self
            .lanes
            .iter_mut()
            .filter(|lane| stamp(lane).is_some_and(|stamp| stamp < horizon))
            .min_by_key(|lane| stamp(lane))
        {
            let message = lane.take().expect("the lane has a message in view");
            self.log.push(message.name);
        }
    }

    /// Whether `effect` was taken without its cause, or before it.
    fn is_ahead(&self, effect: char, cause: char) -> bool {
        let effect = self.log.find(effect);
        effect.is_some() && self.log.find(cause).is_none_or(|cause| Some(cause) > effect)
    }

    /// Of names given in the order of cause and effect: asserts that what was taken so far has that
    /// order.
    pub(crate) fn assert_in_order(&self, names: &[char]) {
        for pair in names.windows(2) {
            let &[cause, effect] = pair else { unreachable!("windows of two") };
            assert!(!self.is_ahead(effect, cause), "an effect is ahead of its cause: {}", self.log);
        }
    }

    pub(crate) fn log(&self) -> &str {
        &self.log
    }
}
