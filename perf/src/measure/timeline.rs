use crate::outcome::{TimePoint, Timeline};

/// Collects samples, to be cut into intervals when the measurement is over.
#[derive(Debug)]
pub(super) struct Samples {
    /// When it happened, in milliseconds since the measurement began; and the nanoseconds it took.
    samples: Vec<(u32, u64)>,
}

impl Samples {
    /// With room for `count`, whose memory is touched so that recording takes no page fault.
    pub(super) fn with_room_for(count: u64) -> Self {
        let mut samples = vec![(1, 1); count as usize];
        samples.clear();
        Self { samples }
    }

    #[inline]
    pub(super) fn record(&mut self, at_ns: u64, took_ns: u64) {
        if self.samples.len() < self.samples.capacity() {
            self.samples.push(((at_ns / 1_000_000) as u32, took_ns));
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.samples.extend(other.samples);
    }

    /// One point for each `interval_ms`.
    pub(super) fn timeline(mut self, interval_ms: u64) -> Timeline {
        let interval = |(at_ms, _): &(u32, u64)| u64::from(*at_ms) / interval_ms;
        self.samples.sort_unstable_by_key(|sample| (interval(sample), sample.1));
        let mut points = Vec::new();
        for chunk in self.samples.chunk_by(|a, b| interval(a) == interval(b)) {
            points.resize(interval(&chunk[0]) as usize, None);
            let rank = |share: f64| chunk[((chunk.len() - 1) as f64 * share) as usize].1;
            points.push(Some(TimePoint { p50: rank(0.5), p99: rank(0.99), max: rank(1.0) }));
        }
        Timeline { interval_ms, points }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_without_a_sample_stays_empty() {
        let mut samples = Samples::with_room_for(4);
        samples.record(250_000_000, 30_000_000_000);
        samples.record(10, 7);
        samples.record(20, 9);
        samples.record(0, 5);
        samples.record(0, 1_000_000); // no room: dropped, nothing grows while measuring
        let timeline = samples.timeline(100);
        let first = TimePoint { p50: 7, p99: 7, max: 9 };
        let last = TimePoint { p50: 30_000_000_000, p99: 30_000_000_000, max: 30_000_000_000 };
        assert_eq!(timeline.points, [Some(first), None, Some(last)]);
    }
}
