//! When the messages of a paced recording are due.

use std::time::{Duration, Instant};

use super::tap::StopFlag;

/// Spreads messages evenly over time. A late message does not delay the next one.
pub(super) struct Pace {
    interval: Duration,
    next: Instant,
}

/// During shorter waits the thread yields.
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

/// Waits until `due`. False if recording is to stop.
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
            // Sleeps less than the rest, because a sleep ends late, and only briefly, to notice a
            // stop.
            std::thread::sleep((left / 2).min(Duration::from_millis(100)));
        } else {
            std::thread::yield_now();
        }
    }
}
