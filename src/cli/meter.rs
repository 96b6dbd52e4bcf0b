use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::ring::{Durability, Ticket};

/// What one recording thread measures.
pub(super) struct Meter {
    pub(super) capture_ns: Histogram<u64>,
    pub(super) ack_ns: Histogram<u64>,
    durability: Durability,
    /// Sampled messages that are not durable yet, with the time they were accepted.
    unacknowledged: VecDeque<(Ticket, Instant)>,
    until_sample: u32,
}

/// One in so many messages is followed to its acknowledgement, as far as the queue has room.
const SAMPLE_EVERY: u32 = 16;
const SAMPLES_WAITING_MAX: usize = 1024;

impl Meter {
    pub(super) fn new(durability: Durability) -> Self {
        Self {
            capture_ns: latency_histogram(),
            ack_ns: latency_histogram(),
            durability,
            unacknowledged: VecDeque::with_capacity(SAMPLES_WAITING_MAX),
            until_sample: 0,
        }
    }

    /// Notes a message whose capture began at `began` and ended now.
    pub(super) fn captured(&mut self, began: Instant, ticket: Option<Ticket>) {
        let now = Instant::now();
        self.capture_ns.saturating_record(nanos(now - began));
        self.acknowledge(now);
        match ticket {
            Some(ticket) if self.until_sample == 0 => {
                if self.unacknowledged.len() < SAMPLES_WAITING_MAX {
                    self.unacknowledged.push_back((ticket, now));
                }
                self.until_sample = SAMPLE_EVERY - 1;
            }
            Some(_) => self.until_sample -= 1,
            None => {}
        }
    }

    fn acknowledge(&mut self, now: Instant) {
        while let Some((ticket, accepted)) = self.unacknowledged.front() {
            if !self.durability.is_durable(*ticket) {
                break;
            }
            self.ack_ns.saturating_record(nanos(now - *accepted));
            self.unacknowledged.pop_front();
        }
    }

    /// Waits for the samples that are still on their way.
    pub(super) fn finish(&mut self) {
        while let Some((ticket, accepted)) = self.unacknowledged.pop_front() {
            if self.durability.wait(ticket, Duration::from_secs(10)).is_err() {
                return;
            }
            self.ack_ns.saturating_record(nanos(accepted.elapsed()));
        }
    }
}

/// From 1 ns to a minute, to three significant digits.
pub(super) fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are constants")
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
