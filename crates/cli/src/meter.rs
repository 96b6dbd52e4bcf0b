//! What a recording measures of itself.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use hdrhistogram::Histogram;
use tapline::engine::WaitError;
use tapline::{Durability, Ticket};

use super::error::CliError;

/// What one recording thread measures.
pub(super) struct Meter {
    pub(super) capture_ns: Histogram<u64>,
    durability: Arc<Durability>,
    samples: Sender<Sample>,
    until_sample: u32,
}

/// A message that is followed to its acknowledgement.
pub(super) struct Sample {
    durability: Arc<Durability>,
    ticket: Ticket,
    accepted: Instant,
}

/// One in so many messages is followed, as far as there is room.
const SAMPLE_EVERY: u32 = 16;
/// As many as are in two commits of the largest size: one on its way to the disk, one being collected.
const SAMPLES_WAITING_MAX: usize = 2 * 65_536 / SAMPLE_EVERY as usize;
/// An acknowledgement that takes longer counts as this long: the end of a recording does not wait forever for a disk that
/// hangs.
const ACK_WAIT_MAX: Duration = Duration::from_secs(10);

impl Meter {
    pub(super) fn new(durability: Durability, samples: Sender<Sample>) -> Self {
        let durability = Arc::new(durability);
        Self { capture_ns: latency_histogram(), durability, samples, until_sample: 0 }
    }

    /// Notes a message whose capture began at `began` and ended now.
    pub(super) fn captured(&mut self, began: Instant, ticket: Ticket) {
        let now = Instant::now();
        self.capture_ns.saturating_record(nanos(now - began));
        if self.until_sample > 0 {
            self.until_sample -= 1;
            return;
        }
        let durability = Arc::clone(&self.durability);
        // Where there is no room, this one is not followed: nobody waits for that here.
        let _ = self.samples.try_send(Sample { durability, ticket, accepted: now });
        self.until_sample = SAMPLE_EVERY - 1;
    }
}

impl Sample {
    /// Waits until the message is durable, and gives how long that took since it was accepted; `None` where the run
    /// ended before.
    fn acknowledged_ns(&self) -> Option<u64> {
        let patience = ACK_WAIT_MAX.saturating_sub(self.accepted.elapsed());
        match self.durability.wait(self.ticket, patience) {
            Ok(()) | Err(WaitError::TimedOut { .. }) => Some(nanos(self.accepted.elapsed())),
            Err(_ended) => None,
        }
    }
}

/// Follows samples to their acknowledgement, on a thread of its own: a recording thread would look for that only when its
/// next message comes, however long that takes.
pub(super) struct AckMeter {
    samples: Sender<Sample>,
    thread: JoinHandle<Histogram<u64>>,
}

impl AckMeter {
    pub(super) fn start() -> Result<Self, CliError> {
        let (samples, accepted) = bounded::<Sample>(SAMPLES_WAITING_MAX);
        let follow = move || {
            let mut ack_ns = latency_histogram();
            // In the order in which they were accepted, which is that in which they become durable.
            for ns in accepted.iter().filter_map(|sample| sample.acknowledged_ns()) {
                ack_ns.saturating_record(ns);
            }
            ack_ns
        };
        let thread = std::thread::Builder::new().name("acks".to_owned()).spawn(follow);
        Ok(Self { samples, thread: thread.map_err(CliError::Thread)? })
    }

    /// Where meters put their samples.
    pub(super) fn samples(&self) -> Sender<Sample> {
        self.samples.clone()
    }

    /// Waits for the samples that are still on their way, and gives what all of them took. The meters must be gone.
    pub(super) fn finish(self) -> Histogram<u64> {
        drop(self.samples);
        // Its panic, which has been said on stderr, cost figures and no messages.
        self.thread.join().unwrap_or_else(|_panic| latency_histogram())
    }
}

/// From 1 ns to a minute, to three significant digits.
pub(super) fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are constants")
}

/// What a histogram records of `duration`.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
