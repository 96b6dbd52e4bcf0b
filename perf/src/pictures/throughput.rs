use std::path::Path;

use anyhow::Result;
use plotters::chart::SeriesLabelPosition;

use super::canvas::{Line, color, draw_both};
use super::chart::{Axis, LineChart};
use crate::campaign::{CaseResult, Results};
use crate::outcome::Figure;
use crate::report::Spread;
use crate::spec::{Measure, Settings};
use crate::systems::SystemId;

/// Throughput by the number of producers, and by the size of the payload: all saturated cases that
/// differ in nothing else.
pub(super) fn draw(dir: &Path, results: &Results) -> Result<()> {
    let producers = |settings: &Settings| settings.cores.producers.len() as f64;
    let payload = |settings: &Settings| settings.payload_bytes as f64;

    let lines = lines(results, Figure::DurablePerS, &producers, |settings, first| {
        settings.payload_bytes == first.payload_bytes
    });
    let chart = LineChart {
        title: "Durable throughput by producers, saturated".to_owned(),
        lines,
        x: Axis { title: "producers", label: &whole, logarithmic: false },
        y_title: "entries a second",
        y_label: &thousands,
        dots: true,
        names_at: SeriesLabelPosition::LowerRight,
    };
    draw_line_chart(dir, "throughput-by-producers", &chart)?;

    let lines = self::lines(results, Figure::PayloadMbPerS, &payload, |settings, first| {
        settings.cores.producers.len() == first.cores.producers.len()
    });
    let chart = LineChart {
        title: "Durable throughput by payload size, saturated".to_owned(),
        lines,
        x: Axis { title: "bytes of payload", label: &whole, logarithmic: true },
        y_title: "payload MB a second",
        y_label: &|value| format!("{value:.0}"),
        dots: true,
        names_at: SeriesLabelPosition::LowerRight,
    };
    draw_line_chart(dir, "throughput-by-payload", &chart)
}

fn draw_line_chart(dir: &Path, name: &str, chart: &LineChart<'_>) -> Result<()> {
    // One point is no picture.
    if chart.lines.iter().all(|line| line.points.len() < 2) {
        Ok(())
    } else {
        draw_both(dir, name, chart)
    }
}

/// The medians of `figure` along `x`, of the saturated cases without keys that `belongs` takes
/// beside the first of them.
fn lines(
    results: &Results,
    figure: Figure,
    x: &dyn Fn(&Settings) -> f64,
    belongs: impl Fn(&Settings, &Settings) -> bool,
) -> Vec<Line> {
    let saturated = |result: &&CaseResult| {
        matches!(result.case.measure, Measure::Saturated { .. })
            && !result.case.settings.keys
            && result.systems.iter().any(|system| system.spread(figure).is_some())
    };
    let cases: Vec<&CaseResult> = results.cases.iter().filter(saturated).collect();
    let Some(first) = cases.first() else {
        return Vec::new();
    };
    let cases: Vec<&&CaseResult> = cases
        .iter()
        .filter(|result| belongs(&result.case.settings, &first.case.settings))
        .collect();
    let mut systems: Vec<SystemId> =
        cases.iter().flat_map(|case| &case.systems).map(|result| result.system).collect();
    systems.sort();
    systems.dedup();
    // It keeps nothing: not comparable to the others here.
    systems.retain(|system| *system != SystemId::BareRing);
    let line = |system: SystemId| {
        let at = |case: &CaseResult| {
            Some((x(&case.case.settings), case.system(system)?.spread(figure)?))
        };
        let mut found: Vec<(f64, Spread)> = cases.iter().filter_map(|case| at(case)).collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        Line {
            name: system.to_string(),
            color: color(system),
            points: found.iter().map(|(x, spread)| (*x, spread.median)).collect(),
            ranges: found.iter().map(|(x, spread)| (*x, spread.min, spread.max)).collect(),
        }
    };
    systems.into_iter().map(line).collect()
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

fn thousands(value: f64) -> String {
    match value {
        ..1e3 => format!("{value:.0}"),
        ..1e6 => format!("{:.0} k", value / 1e3),
        _ => format!("{:.1} M", value / 1e6),
    }
}
