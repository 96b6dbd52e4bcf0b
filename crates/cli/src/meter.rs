//! What a recording measures about itself.

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

/// A message whose acknowledgement is measured.
pub(super) struct Sample {
    durability: Arc<Durability>,
    ticket: Ticket,
    accepted: Instant,
}

/// One in so many messages is measured, if there is room.
const SAMPLE_EVERY: u32 = 16;
/// As many as two commits of the largest size hold: one on its way to the disk, one being
/// collected.
const SAMPLES_WAITING_MAX: usize = 2 * 65_536 / SAMPLE_EVERY as usize;
/// A longer acknowledgement counts as this long, so that a recording can end when its disk hangs.
const ACK_WAIT_MAX: Duration = Duration::from_secs(10);

impl Meter {
    pub(super) fn new(durability: Durability, samples: Sender<Sample>) -> Self {
        let durability = Arc::new(durability);
        Self { capture_ns: latency_histogram(), durability, samples, until_sample: 0 }
    }

    /// Notes a message. Its capture began at `began` and has just ended.
    pub(super) fn captured(&mut self, began: Instant, ticket: Ticket) {
        let now = Instant::now();
        self.capture_ns.saturating_record(nanos(now - began));
        if self.until_sample > 0 {
            self.until_sample -= 1;
            return;
        }
        let durability = Arc::clone(&self.durability);
        // If there is no room, this message is not measured. Nobody waits for room.
        let _ = self.samples.try_send(Sample { durability, ticket, accepted: now });
        self.until_sample = SAMPLE_EVERY - 1;
    }
}

impl Sample {
    /// Waits until the message is durable. Returns the time since it was accepted; `None` if the
    /// run ended before.
    fn acknowledged_ns(&self) -> Option<u64> {
        let patience = ACK_WAIT_MAX.saturating_sub(self.accepted.elapsed());
        match self.durability.wait(self.ticket, patience) {
            Ok(()) | Err(WaitError::TimedOut { .. }) => Some(nanos(self.accepted.elapsed())),
            Err(_ended) => None,
        }
    }
}

/// Measures acknowledgements on a thread of its own. A recording thread would notice one only with
/// its next message, however late that comes.
pub(super) struct AckMeter {
    samples: Sender<Sample>,
    thread: JoinHandle<Histogram<u64>>,
}

impl AckMeter {
    pub(super) fn start() -> Result<Self, CliError> {
        let (samples, accepted) = bounded::<Sample>(SAMPLES_WAITING_MAX);
        let follow = move || {
            let mut ack_ns = latency_histogram();
            // Messages become durable in the order in which they were accepted.
            for ns in accepted.iter().filter_map(|sample| sample.acknowledged_ns()) {
                ack_ns.saturating_record(ns);
            }
            ack_ns
        };
        let thread = std::thread::Builder::new().name("acks".to_owned()).spawn(follow);
        Ok(Self { samples, thread: thread.map_err(CliError::Thread)? })
    }

    /// Where meters send their samples.
    pub(super) fn samples(&self) -> Sender<Sample> {
        self.samples.clone()
    }

    /// Waits for the samples that are still on their way. Returns the times of all. The meters must
    /// have been dropped.
    pub(super) fn finish(self) -> Histogram<u64> {
        drop(self.samples);
        // A panic of this thread is already on stderr. It costs figures, but no messages.
        self.thread.join().unwrap_or_else(|_panic| latency_histogram())
    }
}

/// From 1 ns to a minute, to three significant digits.
pub(super) fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are constants")
}

/// The value that a histogram records for `duration`.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
