use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Result, bail};

use super::timeline::Samples;
use crate::instruments::{Latencies, TickClock};
use crate::system::Lane;

/// Measures, for a sample of one producer's messages, the time from acceptance to durability.
///
/// The producer's own thread looks at the durable count (one load) between its readings of the
/// clock while it waits for the next message to be due. A message that becomes durable during a
/// push is therefore noticed at the next look: figures are too high by up to the length of a push,
/// or, at rates that leave no time to wait, by up to one interval between messages.
#[derive(Debug)]
pub(super) struct AckProbe {
    /// Every how many messages one is sampled.
    every: u64,
    /// When the measurement began.
    start: u64,
    /// Sampled and not yet seen durable: how many messages that makes, and time of acceptance.
    outstanding: VecDeque<(u64, u64)>,
    found: Acks,
}

/// Samples that can be outstanding; about 30 seconds of them at the usual density.
const OUTSTANDING_MAX: usize = 1 << 16;

/// What an [`AckProbe`] found.
#[derive(Debug)]
pub(super) struct Acks {
    pub(super) latencies: Latencies,
    pub(super) samples: Samples,
    /// Samples not taken since too many were outstanding.
    pub(super) missed: u64,
}

impl AckProbe {
    /// For `messages` messages from the time `start` on.
    pub(super) fn new(every: u64, messages: u64, start: u64) -> Self {
        let samples = Samples::with_room_for(messages / every + 1);
        let found = Acks { latencies: Latencies::new(), samples, missed: 0 };
        Self { every, start, outstanding: VecDeque::with_capacity(OUTSTANDING_MAX), found }
    }

    /// Takes up the message that is this producer's `ordinal`th, from 1, and was accepted at
    /// `accepted`, if it is one of the sample.
    #[inline]
    pub(super) fn pushed(&mut self, ordinal: u64, accepted: u64) {
        if !ordinal.is_multiple_of(self.every) {
            return;
        }
        if self.outstanding.len() == OUTSTANDING_MAX {
            self.found.missed += 1;
        } else {
            self.outstanding.push_back((ordinal, accepted));
        }
    }

    /// Looks, at time `now`, which messages have become durable.
    #[inline]
    pub(super) fn poll(&mut self, lane: &impl Lane, now: u64) {
        if self.outstanding.is_empty() {
            return;
        }
        let durable = lane.durable();
        while let Some((ordinal, accepted)) = self.outstanding.front().copied()
            && ordinal <= durable
        {
            let took = now.saturating_sub(accepted);
            self.found.latencies.record(took);
            self.found.samples.record(accepted.saturating_sub(self.start), took);
            self.outstanding.pop_front();
        }
    }

    /// Waits until all sampled messages are durable, for at most `timeout`.
    pub(super) fn finish(
        mut self,
        lane: &impl Lane,
        clock: &TickClock,
        timeout: Duration,
    ) -> Result<Acks> {
        let began = clock.now();
        loop {
            let now = clock.now();
            self.poll(lane, now);
            if self.outstanding.is_empty() {
                return Ok(self.found);
            }
            if u128::from(now - began) > timeout.as_nanos() {
                let left = self.outstanding.len();
                bail!("{left} sampled messages were not durable {timeout:?} after the last push");
            }
        }
    }
}
