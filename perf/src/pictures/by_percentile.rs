use std::path::Path;

use anyhow::Result;
use plotters::chart::SeriesLabelPosition;
use plotters::style::RGBColor;

use super::canvas::{Line, MACHINE, color, draw_both, nanos};
use super::chart::{Axis, LineChart};
use crate::campaign::CaseResult;
use crate::instruments::Latencies;
use crate::systems::SystemId;

/// Steps for each halving of what is left to 100 %.
const STEPS_PER_HALVING: u32 = 8;

/// Latency by percentile, all systems in one picture: of the push from its due time, and of the
/// acknowledgement.
pub(super) fn draw(dir: &Path, result: &CaseResult) -> Result<()> {
    for (histogram, what, machine) in [
        ("capture_from_intended", "push, from when it was due", true),
        ("ack", "acknowledgement, from acceptance", false),
    ] {
        let mut lines = Vec::new();
        for system in &result.systems {
            let histograms = system.histograms();
            if machine
                && system.system == SystemId::Tapline
                && let Some(hiccup) = histograms.get("hiccup")
            {
                lines.push(line("the machine, meanwhile".to_owned(), MACHINE, hiccup));
            }
            if let Some(latencies) = histograms.get(histogram) {
                lines.push(line(system.system.to_string(), color(system.system), latencies));
            }
        }
        if lines.is_empty() {
            continue;
        }
        let chart = LineChart {
            title: format!("{}: {what}; {}", result.case.id, result.case.title),
            lines,
            x: Axis { title: "percentile", label: &percentile, logarithmic: true },
            y_title: "latency",
            y_label: &nanos,
            dots: false,
            names_at: SeriesLabelPosition::LowerRight,
        };
        let name = format!("{}-{}-by-percentile", result.case.id, histogram.replace('_', "-"));
        draw_both(dir, &name, &chart)?;
    }
    Ok(())
}

/// Along 1 / (1 - percentile), so that each nine takes the same room.
fn line(name: String, color: RGBColor, latencies: &Latencies) -> Line {
    let steps = latencies.inner().iter_quantiles(STEPS_PER_HALVING);
    let points = steps
        .filter(|step| step.quantile_iterated_to() < 1.0)
        .map(|step| (1.0 / (1.0 - step.quantile_iterated_to()), step.value_iterated_to() as f64));
    Line { name, color, points: points.collect(), ranges: Vec::new() }
}

fn percentile(inverse: f64) -> String {
    let nines = inverse.log10().round().max(0.0) as usize;
    match nines {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        nines => format!("{:.*} %", nines - 2, 100.0 * (1.0 - 1.0 / inverse)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nine_has_its_label() {
        let labels = [1.0, 10.0, 100.0, 1_000.0, 10_000.0].map(percentile);
        assert_eq!(labels, ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    }
}
