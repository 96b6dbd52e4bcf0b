use crate::instruments::{Latencies, Percentiles};

/// The heading of a table of percentiles.
pub(super) fn heading() -> String {
    format!(
        "{:<34} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10}",
        "all repetitions", "count", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "max"
    )
}

/// One row of a table of percentiles.
pub(super) fn row(name: &str, latencies: &Latencies) -> String {
    let Percentiles { count, mean, p50, p90, p99, p999, p9999, max, .. } = latencies.percentiles();
    let cells = [p50, p90, p99, p999, p9999].map(nanos);
    let [p50, p90, p99, p999, p9999] = cells;
    format!(
        "{name:<34} {count:>9} {mean:>9} {p50:>9} {p90:>9} {p99:>9} {p999:>9} {p9999:>9} {max:>10}",
        mean = nanos_f64(mean),
        max = nanos(max)
    )
}

fn nanos(nanos: u64) -> String {
    nanos_f64(nanos as f64)
}

/// Three digits or more, and the unit that fits.
fn nanos_f64(nanos: f64) -> String {
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        ..1e4 => format!("{:.2} µs", nanos / 1e3),
        ..1e6 => format!("{:.0} µs", nanos / 1e3),
        ..1e9 => format!("{:.2} ms", nanos / 1e6),
        _ => format!("{:.2} s", nanos / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_fits() {
        let cells = [7, 4_260, 81_000, 2_500_000, 3_000_000_000].map(nanos);
        assert_eq!(cells, ["7 ns", "4.26 µs", "81 µs", "2.50 ms", "3.00 s"]);
    }
}
