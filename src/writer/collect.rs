use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::core::{Halted, WriterCore};
use super::lane::{Lane, TurnEnd};
use super::publish_time::PublishTime;
use crate::protocol::OrderClock;

/// Merges the producers' rings into one order by the horizon rule, see [`OrderClock`].
pub(super) struct Collector {
    lanes: Vec<Lane>,
    order_clock: OrderClock,
    publish_time: Option<PublishTime>,
    /// Of each lane with something in view: the stamp of its first record, and the lane.
    fronts: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Collector {
    pub(super) fn new(order_clock: OrderClock, publish_time: Option<PublishTime>) -> Self {
        Self { lanes: Vec::new(), order_clock, publish_time, fronts: BinaryHeap::new() }
    }

    /// Takes everything that can have its place in the order by now. A frame that fills up on the
    /// way is committed; the last one is left under construction.
    ///
    /// `admit` hands over the rings of new producers. It is called after the horizon was taken, like
    /// the look into the rings, and for the same reason.
    pub(super) fn collect(
        &mut self,
        core: &mut WriterCore,
        admit: impl FnOnce(&mut Vec<Lane>),
    ) -> Result<(), Halted> {
        let horizon = self.order_clock.horizon();
        admit(&mut self.lanes);
        self.fronts.clear();
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            lane.look();
            if let Some(stamp) = lane.front_stamp() {
                self.fronts.push(Reverse((stamp, index)));
            }
        }
        if self.fronts.is_empty() {
            return Ok(());
        }
        if let Some(publish_time) = &mut self.publish_time {
            publish_time.refresh();
        }
        self.merge(horizon, core)
    }

    fn merge(&mut self, horizon: u64, core: &mut WriterCore) -> Result<(), Halted> {
        while let Some(Reverse((stamp, index))) = self.fronts.pop() {
            if stamp >= horizon {
                // The heap gives the earliest first: the others are no earlier.
                return Ok(());
            }
            // The lane with the earliest record may go on until another lane's turn comes.
            let last = self.fronts.peek().map_or(u64::MAX, |Reverse((stamp, _))| *stamp);
            let lane = &mut self.lanes[index];
            let end = lane.take(last, horizon, core, self.publish_time.as_ref());
            if let Some(stamp) = lane.front_stamp() {
                self.fronts.push(Reverse((stamp, index)));
            }
            if end == TurnEnd::FrameFull {
                self.commit(core)?;
            }
        }
        Ok(())
    }

    /// Commits the frame under construction, tells each producer, and wakes whoever waits for it.
    pub(super) fn commit(&mut self, core: &mut WriterCore) -> Result<(), Halted> {
        core.commit()?;
        for lane in &mut self.lanes {
            lane.publish_durable();
        }
        core.halt().parking().wake_all();
        Ok(())
    }

    /// Lets go of the rings of producers that are gone, and says of how many.
    pub(super) fn release_finished(&mut self) -> usize {
        let before = self.lanes.len();
        self.lanes.retain(|lane| !lane.is_finished());
        before - self.lanes.len()
    }

    pub(super) fn all_empty(&self) -> bool {
        self.lanes.iter().all(Lane::is_empty)
    }

    pub(super) fn publish_verdicts(&self) {
        for lane in &self.lanes {
            lane.publish_verdict();
        }
    }
}
