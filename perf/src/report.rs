//! What both measurements print: a heading with machine and settings, then figures, for people or
//! as one JSON document.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::engine::{EngineSettings, EngineSetup};
use crate::histogram::{Latencies, Percentiles};
use crate::machine::Machine;

/// Where and how figures were measured.
#[derive(Debug, Serialize)]
pub(crate) struct Heading {
    machine: Machine,
    engine: EngineSettings,
    warnings: Vec<String>,
}

impl Heading {
    pub(crate) fn new(setup: &EngineSetup) -> Self {
        let machine = Machine::describe(setup.dir());
        let engine = setup.settings.clone();
        let warnings = [machine.warnings(), engine.cores.warnings()].concat();
        Self { machine, engine, warnings }
    }

    /// Prints it for people; `settings` are those of the measurement.
    pub(crate) fn print(&self, settings: &str) {
        println!("{}", self.machine.summary());
        println!("settings  {settings}");
        println!("engine    {}", self.engine.summary());
        for warning in &self.warnings {
            println!("warning   {warning}");
        }
        println!();
    }
}

/// Prints one JSON document.
pub(crate) fn print_json(report: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(report).context("cannot write the report as JSON")?;
    println!("{text}");
    Ok(())
}

/// The range of a figure over all repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    /// Of an even count, the mean of the middle two.
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` of no figures.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let median = f64::midpoint(figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Self { min, median, max })
    }
}

/// Prints the heading of a table of percentiles.
pub(crate) fn print_percentiles_heading() {
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10}",
        "", "count", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "max"
    );
}

/// Prints one row of a table of percentiles.
pub(crate) fn print_percentiles(name: &str, latencies: &Latencies) {
    let Percentiles { count, mean, p50, p90, p99, p999, p9999, max, .. } = latencies.percentiles();
    let cells = [p50, p90, p99, p999, p9999].map(nanos);
    let [p50, p90, p99, p999, p9999] = cells;
    println!(
        "{name:<22} {count:>9} {mean:>9} {p50:>9} {p90:>9} {p99:>9} {p999:>9} {p9999:>9} {max:>10}",
        mean = nanos_f64(mean),
        max = nanos(max)
    );
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
    fn the_median_lies_in_the_middle() {
        let spread = |figures: &[f64]| Spread::of(figures.iter().copied());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some(Spread { min: 1.0, median: 2.0, max: 3.0 }));
        assert_eq!(spread(&[4.0, 1.0]), Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        let cells = [7, 4_260, 81_000, 2_500_000, 3_000_000_000].map(nanos);
        assert_eq!(cells, ["7 ns", "4.26 µs", "81 µs", "2.50 ms", "3.00 s"]);
    }
}
