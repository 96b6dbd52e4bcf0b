use std::time::{Duration, Instant};

use crate::model::{Clock, UnixNanos};
use crate::protocol::OrderClock;

/// Turns order stamps into `ts_publish`.
///
/// Reading the realtime clock costs a producer as much as all the rest of a push, and the cycle
/// counter has been read anyway. So the writer, once a round, reads both clocks together and places
/// each stamp of the round relative to that. The error is that of the rate (below 50 parts in a
/// million after the first 2 ms, below 1 after a second) over the few milliseconds a round spans.
#[derive(Debug)]
pub(super) struct PublishTime {
    order_clock: OrderClock,
    first: (u64, Instant),
    /// Of the last refresh: stamp, and realtime clock.
    anchor: (u64, UnixNanos),
    nanos_per_cycle: f64,
    /// Over how long the rate was measured last.
    baseline: Duration,
}

/// Once the rate is measured over this long it is not measured again.
const BASELINE_MAX: Duration = Duration::from_secs(10);
const FIRST_BASELINE: Duration = Duration::from_millis(2);

impl PublishTime {
    /// `Some` where producers leave `ts_publish` to the writer, see [`Self::is_left_to_writer`].
    /// Blocks for 2 ms, to measure the counter's rate.
    pub(super) fn new(clock: &Clock, order_clock: &OrderClock) -> Option<Self> {
        if !Self::is_left_to_writer(clock, order_clock) {
            return None;
        }
        let first = (order_clock.horizon(), Instant::now());
        std::thread::sleep(FIRST_BASELINE);
        let mut this = Self {
            order_clock: order_clock.clone(),
            first,
            anchor: (0, UnixNanos::default()),
            nanos_per_cycle: 0.0,
            baseline: Duration::ZERO,
        };
        this.refresh();
        Some(this)
    }

    /// Whether stamps tell the time (cycles) and the node's clock runs (realtime).
    pub(super) const fn is_left_to_writer(clock: &Clock, order_clock: &OrderClock) -> bool {
        matches!((clock, order_clock), (Clock::Realtime, OrderClock::Cycles(_)))
    }

    /// Reads both clocks anew.
    pub(super) fn refresh(&mut self) {
        let cycles = self.order_clock.horizon();
        self.anchor = (cycles, UnixNanos::now());
        if self.baseline < BASELINE_MAX {
            let elapsed = self.first.1.elapsed();
            self.baseline = elapsed;
            let cycles_passed = cycles.saturating_sub(self.first.0).max(1);
            self.nanos_per_cycle = elapsed.as_nanos() as f64 / cycles_passed as f64;
        }
    }

    /// When `stamp` was taken, on the realtime clock.
    #[inline]
    pub(super) fn of(&self, stamp: u64) -> UnixNanos {
        let (anchor_cycles, anchor_time) = self.anchor;
        let cycles = stamp.wrapping_sub(anchor_cycles).cast_signed();
        let nanos = (cycles as f64 * self.nanos_per_cycle) as i64;
        UnixNanos::new(anchor_time.as_u64().saturating_add_signed(nanos))
    }
}
