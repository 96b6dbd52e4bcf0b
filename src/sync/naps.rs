use std::time::{Duration, Instant};

/// How long to sleep between two looks for work: a twentieth of the time in which there was none,
/// within two bounds. So what comes late waits for little of the time it took to come, and a thread
/// with nothing to do costs nearly nothing.
#[derive(Debug)]
pub(crate) struct Naps {
    shortest: Duration,
    longest: Duration,
    idle_since: Option<Instant>,
}

const SHARE_OF_IDLE: u32 = 20;

impl Naps {
    pub(crate) fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest: longest.max(shortest), idle_since: None }
    }

    /// There was work.
    #[inline]
    pub(crate) fn reset(&mut self) {
        self.idle_since = None;
    }

    /// There was none: how long to sleep now.
    pub(crate) fn next(&mut self) -> Duration {
        let idle = self.idle_since.get_or_insert_with(Instant::now).elapsed();
        self.after(idle)
    }

    fn after(&self, idle: Duration) -> Duration {
        (idle / SHARE_OF_IDLE).clamp(self.shortest, self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naps_grow_with_the_time_without_work() {
        let mut naps = Naps::new(Duration::from_micros(50), Duration::from_millis(10));
        for (idle_us, nap_us) in [
            (0, 50),
            (999, 50),
            (2_000, 100),
            (100_000, 5_000),
            (200_000, 10_000),
            (9_000_000, 10_000),
        ] {
            let nap = naps.after(Duration::from_micros(idle_us));
            assert_eq!(nap, Duration::from_micros(nap_us), "after {idle_us} us");
        }
        assert_eq!(naps.next(), Duration::from_micros(50));
        naps.idle_since = Instant::now().checked_sub(Duration::from_secs(1));
        assert_eq!(naps.next(), Duration::from_millis(10));
        naps.reset();
        assert_eq!(naps.next(), Duration::from_micros(50));
        // Bounds that do not fit each other.
        let always = Naps::new(Duration::from_secs(1), Duration::from_millis(1));
        assert_eq!(always.after(Duration::from_secs(60)), Duration::from_secs(1));
    }
}
