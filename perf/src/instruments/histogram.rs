use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longer durations are recorded as this one: a minute.
const NANOS_MAX: u64 = 60_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// A histogram of durations in nanoseconds, to three digits.
///
/// In JSON: the recorded values with how often each was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Vec<(u64, u64)>> for Latencies {
    fn from(counts: Vec<(u64, u64)>) -> Self {
        let mut latencies = Self::new();
        for (nanos, count) in counts {
            latencies.0.saturating_record_n(nanos.min(NANOS_MAX), count);
        }
        latencies
    }
}

impl From<Latencies> for Vec<(u64, u64)> {
    fn from(latencies: Latencies) -> Self {
        let recorded = latencies.0.iter_recorded();
        recorded.map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }
}

impl Latencies {
    /// An empty one.
    pub fn new() -> Self {
        match Histogram::new_with_bounds(1, NANOS_MAX, SIGNIFICANT_DIGITS) {
            Ok(histogram) => Self(histogram),
            Err(error) => unreachable!("the bounds are valid: {error}"),
        }
    }

    /// Records one duration.
    #[inline]
    pub fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos.min(NANOS_MAX));
    }

    /// Records a delay, as what it does to messages that come every `interval`: the first of them
    /// is late by the whole of it, the next one by `interval` less, and so on.
    #[inline]
    pub(crate) fn record_delay(&mut self, delay: u64, interval: u64) {
        let delay = delay.min(NANOS_MAX);
        self.0.record_correct(delay, interval).expect("the delay is within the bounds");
    }

    /// Takes over the records of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all histograms have the same bounds");
    }

    /// The duration that the share `quantile` does not exceed.
    pub(crate) fn at(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    /// How many durations were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(feature = "peers")]
    pub(crate) fn inner(&self) -> &Histogram<u64> {
        &self.0
    }

    /// The figures a report quotes.
    #[cfg(feature = "peers")]
    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.0.value_at_quantile(quantile);
        Percentiles {
            count: self.0.len(),
            min: if self.0.is_empty() { 0 } else { self.0.min() },
            mean: self.0.mean(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: self.0.max(),
        }
    }
}

/// Percentiles of durations, in nanoseconds.
#[cfg(feature = "peers")]
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) min: u64,
    pub(crate) mean: f64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) p9999: u64,
    pub(crate) max: u64,
}

#[cfg(all(test, feature = "peers"))]
mod tests {
    use super::*;

    #[test]
    fn a_delay_counts_for_every_message_it_reaches() {
        let mut latencies = Latencies::new();
        latencies.record_delay(1_000, 250);
        let figures = latencies.percentiles();
        assert_eq!((figures.count, figures.min, figures.max), (4, 250, 1_000));
        latencies.record_delay(20, 250);
        assert_eq!(latencies.percentiles().count, 5);
    }

    #[test]
    fn what_is_too_long_is_recorded_as_the_longest() {
        let mut latencies = Latencies::new();
        latencies.record(u64::MAX);
        assert!(latencies.percentiles().max >= NANOS_MAX);
    }
}
