use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Result, bail};
use tapline::{Durability, Ticket};

use crate::clock::TickClock;
use crate::histogram::Latencies;

/// Measures, for a sample of one producer's messages, the time from acceptance to durability.
///
/// The producer's own thread looks at the durable ordinal (one load) between its readings of the
/// clock while it waits for the next message to be due. A message that becomes durable during a
/// submit is therefore noticed at the next look: figures are too high by up to the length of a
/// submit, or, at rates that leave no time to wait, by up to one interval between messages.
#[derive(Debug)]
pub(crate) struct AckProbe {
    durability: Durability,
    /// Every how many messages one is sampled.
    every: u64,
    /// Sampled and not yet seen durable: ordinal, and time of acceptance.
    outstanding: VecDeque<(u64, u64)>,
    latencies: Latencies,
    missed: u64,
}

/// Samples that can be outstanding; about 30 seconds of them at the usual density.
const OUTSTANDING_MAX: usize = 1 << 16;

/// What an [`AckProbe`] found.
#[derive(Debug)]
pub(crate) struct Acks {
    pub(crate) latencies: Latencies,
    /// Samples not taken since too many were outstanding.
    pub(crate) missed: u64,
}

impl AckProbe {
    pub(crate) fn new(durability: Durability, every: u64) -> Self {
        let outstanding = VecDeque::with_capacity(OUTSTANDING_MAX);
        Self { durability, every, outstanding, latencies: Latencies::new(), missed: 0 }
    }

    /// Takes up a message that was accepted at `accepted`, if it is one of the sample.
    #[inline]
    pub(crate) fn submitted(&mut self, ticket: Ticket, accepted: u64) {
        if !ticket.ordinal().is_multiple_of(self.every) {
            return;
        }
        if self.outstanding.len() == OUTSTANDING_MAX {
            self.missed += 1;
        } else {
            self.outstanding.push_back((ticket.ordinal(), accepted));
        }
    }

    /// Looks, at time `now`, which messages have become durable.
    #[inline]
    pub(crate) fn poll(&mut self, now: u64) {
        if self.outstanding.is_empty() {
            return;
        }
        let durable = self.durability.durable_ordinal();
        while let Some((ordinal, accepted)) = self.outstanding.front()
            && *ordinal <= durable
        {
            self.latencies.record(now.saturating_sub(*accepted));
            self.outstanding.pop_front();
        }
    }

    /// Waits until all sampled messages are durable, for at most `timeout`.
    pub(crate) fn finish(mut self, clock: &TickClock, timeout: Duration) -> Result<Acks> {
        let began = clock.now();
        loop {
            let now = clock.now();
            self.poll(now);
            if self.outstanding.is_empty() {
                return Ok(Acks { latencies: self.latencies, missed: self.missed });
            }
            if u128::from(now - began) > timeout.as_nanos() {
                let left = self.outstanding.len();
                bail!("{left} sampled messages were not durable {timeout:?} after the last submit");
            }
        }
    }
}
