//! When the messages of a paced recording are due.

use std::time::{Duration, Instant};

use super::tap::StopFlag;

/// Spreads messages evenly over time. One that is late does not delay the next.
pub(super) struct Pace {
    interval: Duration,
    next: Instant,
}

/// Shorter waits are spent yielding.
const SLEEP_MIN: Duration = Duration::from_millis(1);

impl Pace {
    /// The first message is due now.
    pub(super) fn new(per_second: f64) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / per_second), next: Instant::now() }
    }

    /// When the next message is due.
    pub(super) fn next_due(&mut self) -> Instant {
        let due = self.next;
        self.next += self.interval;
        due
    }
}

/// Waits until `due`. False when recording is to stop.
pub(super) fn wait_until(due: Instant, stop: &StopFlag) -> bool {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        if stop.is_set() {
            return false;
        }
        if left > SLEEP_MIN {
            // Short of the time that is due, since a sleep ends late; and not for long, so that
            // a stop is noticed.
            std::thread::sleep((left / 2).min(Duration::from_millis(100)));
        } else {
            std::thread::yield_now();
        }
    }
}
