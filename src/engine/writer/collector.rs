use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use super::assembler::Assembler;
use super::lane::{Lane, TurnEnd};
use super::publish_time::PublishTime;
use crate::protocol::HaltSignal;

/// Merges the producers' rings into one order by the horizon rule, see
/// [`OrderClock`](crate::protocol::OrderClock).
pub(super) struct Collector {
    lanes: Vec<Lane>,
    publish_time: Option<PublishTime>,
    /// Of each lane with something in view: the stamp of its first record, and the lane.
    fronts: BinaryHeap<Reverse<(u64, usize)>>,
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collected {
    /// Everything before the horizon is taken.
    All,
    /// The batch is full; it has to be committed first.
    BatchFull,
}

impl Collector {
    pub(super) fn new(publish_time: Option<PublishTime>) -> Self {
        Self { lanes: Vec::new(), publish_time, fronts: BinaryHeap::new() }
    }

    /// Takes everything that was stamped before `horizon`, in the order of the stamps, until the
    /// batch under construction is full. What is left over stays in the rings.
    ///
    /// `take_new` hands over the rings of new producers. Like the look into the rings, it comes
    /// after the horizon was taken, and for the same reason.
    pub(super) fn collect(
        &mut self,
        horizon: u64,
        assembler: &mut Assembler,
        take_new: impl FnOnce(&mut Vec<Lane>),
    ) -> Collected {
        let known = self.lanes.len();
        take_new(&mut self.lanes);
        self.number_new_lanes(known);
        for lane in &mut self.lanes {
            lane.look();
            // What was shed before anything that is taken in this round is told before it.
            assembler.add_marks_shed(lane.take_marks_shed());
        }
        self.merge_in_view(horizon, assembler)
    }

    /// Gives the lanes from `known` on the smallest numbers that no lane has.
    fn number_new_lanes(&mut self, known: usize) {
        if known == self.lanes.len() {
            return;
        }
        let (before, new) = self.lanes.split_at_mut(known);
        let taken: HashSet<u32> = before.iter().map(Lane::number).collect();
        let free = (0..=u32::MAX).filter(|number| !taken.contains(number));
        new.iter_mut().zip(free).for_each(|(lane, number)| lane.set_number(number));
    }

    fn merge_in_view(&mut self, horizon: u64, assembler: &mut Assembler) -> Collected {
        self.fronts.clear();
        for (index, lane) in self.lanes.iter().enumerate() {
            if let Some(stamp) = lane.front_stamp() {
                self.fronts.push(Reverse((stamp, index)));
            }
        }
        if self.fronts.is_empty() {
            return Collected::All;
        }
        if let Some(publish_time) = &mut self.publish_time {
            publish_time.refresh();
        }
        while let Some(Reverse((stamp, index))) = self.fronts.pop() {
            if stamp >= horizon {
                // The heap gives the earliest first: the others are no earlier.
                break;
            }
            // The lane with the earliest record may go on until another lane's turn comes.
            let last = self.fronts.peek().map_or(u64::MAX, |Reverse((stamp, _))| *stamp);
            let lane = &mut self.lanes[index];
            if lane.take(last, horizon, assembler, self.publish_time.as_ref()) == TurnEnd::BatchFull
            {
                return Collected::BatchFull;
            }
            if let Some(stamp) = lane.front_stamp() {
                self.fronts.push(Reverse((stamp, index)));
            }
        }
        Collected::All
    }

    /// The batch with everything taken so far goes to the store. Later records go to a later batch.
    /// If this one is empty, everything taken repeats durable entries.
    pub(super) fn note_committing(&mut self) {
        for lane in &mut self.lanes {
            lane.note_committing();
        }
    }

    /// Everything given to the store is durable: tells each producer, and wakes whoever waits for
    /// it.
    pub(super) fn publish_durable(&mut self, halt: &HaltSignal) {
        let mut is_news = false;
        for lane in &mut self.lanes {
            is_news |= lane.publish_durable();
        }
        if is_news {
            halt.parking().wake_all();
        }
    }

    /// Lets go of the rings of producers that are gone, and says of how many. Calls `gone` with the
    /// number of each producer.
    pub(super) fn release_finished(
        &mut self,
        assembler: &mut Assembler,
        mut gone: impl FnMut(u32),
    ) -> usize {
        let before = self.lanes.len();
        self.lanes.retain_mut(|lane| {
            let is_finished = lane.is_finished();
            if is_finished {
                gone(lane.producer());
                assembler.add_marks_shed(lane.take_marks_shed());
            }
            !is_finished
        });
        before - self.lanes.len()
    }

    pub(super) fn all_empty(&self) -> bool {
        self.lanes.iter().all(Lane::is_empty)
    }

    /// Closing, with all rings empty.
    pub(super) fn publish_verdicts(&mut self, assembler: &mut Assembler) {
        for lane in &mut self.lanes {
            lane.publish_verdict();
            assembler.add_marks_shed(lane.take_marks_shed());
        }
    }
}

#[cfg(test)]
mod order_tests;
