use std::time::{Duration, Instant};

use crate::model::{Clock, UnixNanos};
use crate::protocol::OrderClock;
use crate::sync::CycleCounter;

/// Turns order stamps into `ts_publish`.
///
/// Reading the realtime clock costs a producer as much as all the rest of a push, and the cycle
/// counter has been read anyway. So the writer, once a round, reads both clocks together and places
/// each stamp of the round relative to that. The error is that of the rate (below 50 parts in a
/// million after the first 2 ms, below 1 after a second) over the few milliseconds a round spans.
///
/// A thread may be interrupted between the two clocks, for longer than a round takes: such readings
/// are made again.
#[derive(Debug)]
pub(in crate::engine) struct PublishTime {
    counter: CycleCounter,
    first: Reading,
    last: Reading,
    nanos_per_cycle: f64,
    /// Over how long the rate was measured last.
    baseline: Duration,
}

/// All clocks, read together.
#[derive(Debug, Clone, Copy)]
struct Reading {
    cycles: u64,
    instant: Instant,
    realtime: UnixNanos,
    /// How long that took.
    cycles_between: u64,
}

impl Reading {
    fn take(counter: CycleCounter, cycles_between_max: u64) -> Self {
        Self::quickest(cycles_between_max, || {
            let cycles = counter.before_loads();
            let (realtime, instant) = (UnixNanos::now(), Instant::now());
            let cycles_between = counter.before_loads().saturating_sub(cycles);
            Self { cycles, instant, realtime, cycles_between }
        })
    }

    /// The quickest of some; the first that takes at most `cycles_between_max`.
    fn quickest(cycles_between_max: u64, mut read: impl FnMut() -> Self) -> Self {
        let mut best = read();
        for _ in 1..READINGS_MAX {
            if best.cycles_between <= cycles_between_max {
                break;
            }
            let next = read();
            if next.cycles_between < best.cycles_between {
                best = next;
            }
        }
        best
    }
}

/// Once the rate is measured over this long it is not measured again.
const BASELINE_MAX: Duration = Duration::from_secs(10);
const FIRST_BASELINE: Duration = Duration::from_millis(2);
/// A machine that interrupts each of so many is too busy for the time to matter.
const READINGS_MAX: usize = 8;
/// A reading that takes so many times as long as the quickest was interrupted.
const INTERRUPTED: u64 = 8;

impl PublishTime {
    /// `Some` where producers leave `ts_publish` to the writer, see [`Self::is_left_to_writer`].
    /// Blocks for 2 ms, to measure the counter's rate.
    pub(super) fn new(clock: &Clock, order_clock: &OrderClock) -> Option<Self> {
        let (Clock::Realtime, OrderClock::Cycles(counter)) = (clock, order_clock) else {
            return None;
        };
        let counter = *counter;
        let first = Reading::take(counter, 0);
        std::thread::sleep(FIRST_BASELINE);
        let mut this =
            Self { counter, first, last: first, nanos_per_cycle: 0.0, baseline: Duration::ZERO };
        this.refresh();
        Some(this)
    }

    /// Whether stamps tell the time (cycles) and the node's clock runs (realtime).
    pub(in crate::engine) const fn is_left_to_writer(
        clock: &Clock,
        order_clock: &OrderClock,
    ) -> bool {
        matches!((clock, order_clock), (Clock::Realtime, OrderClock::Cycles(_)))
    }

    /// Reads the clocks anew.
    pub(super) fn refresh(&mut self) {
        let first = &self.first;
        let last = Reading::take(self.counter, INTERRUPTED * first.cycles_between);
        if self.baseline < BASELINE_MAX {
            self.baseline = last.instant.saturating_duration_since(first.instant);
            let cycles_passed = last.cycles.saturating_sub(first.cycles).max(1);
            self.nanos_per_cycle = self.baseline.as_nanos() as f64 / cycles_passed as f64;
        }
        self.last = last;
    }

    /// When `stamp` was taken, on the realtime clock.
    #[inline]
    pub(super) fn of(&self, stamp: u64) -> UnixNanos {
        let cycles = stamp.wrapping_sub(self.last.cycles).cast_signed();
        let nanos = (cycles as f64 * self.nanos_per_cycle) as i64;
        UnixNanos::new(self.last.realtime.as_u64().saturating_add_signed(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_placed_where_it_was_taken_not_where_the_clocks_were_read() {
        let order_clock = OrderClock::detect();
        // Without a counter to be trusted, producers read the clock.
        let Some(mut publish_time) = PublishTime::new(&Clock::Realtime, &order_clock) else {
            return;
        };
        // The thread may be interrupted between the three.
        let (before, stamp, after) =
            (UnixNanos::now().as_u64(), order_clock.stamp(), UnixNanos::now().as_u64());
        std::thread::sleep(Duration::from_millis(200));
        publish_time.refresh();
        let placed = publish_time.of(stamp).as_u64();
        let tolerance = 50_000_000;
        assert!(before - tolerance < placed && placed < after + tolerance, "{placed}");
    }

    /// Readings that take so long one after the other: which is used, and how many were made.
    fn quickest_of(durations: &[u64], cycles_between_max: u64) -> (u64, u64) {
        let reading = Reading {
            cycles: 0,
            instant: Instant::now(),
            realtime: UnixNanos::default(),
            cycles_between: 0,
        };
        let mut made = 0;
        let best = Reading::quickest(cycles_between_max, || {
            made += 1;
            let cycles_between = durations[made - 1];
            Reading { cycles: made as u64, cycles_between, ..reading }
        });
        (best.cycles, made as u64)
    }

    #[test]
    fn a_reading_that_was_interrupted_is_made_again() {
        assert_eq!(quickest_of(&[10], 10), (1, 1), "quick enough");
        assert_eq!(quickest_of(&[11, 900, 10], 10), (3, 3));
        assert_eq!(
            quickest_of(&[90, 80, 70, 60, 70, 80, 60, 90], 10),
            (4, 8),
            "the quickest, and of two the first"
        );
    }
}
