use std::path::Path;

use anyhow::Result;
use plotters::chart::SeriesLabelPosition;

use super::canvas::{Line, color, draw_both, nanos};
use super::chart::{Axis, LineChart};
use crate::campaign::CaseResult;
use crate::outcome::Timeline;

/// The 99th percentile of each tenth of a second, of the last repetition.
pub(super) fn draw(dir: &Path, result: &CaseResult) -> Result<()> {
    for (timeline, what) in [
        ("capture_from_intended", "push, from when it was due"),
        ("ack", "acknowledgement, from acceptance"),
    ] {
        let lines: Vec<Line> = result
            .systems
            .iter()
            .filter_map(|system| {
                let found = system.outcomes.last()?.timelines.get(timeline)?;
                let (name, color) = (system.system.to_string(), color(system.system));
                Some(Line { name, color, points: points(found), ranges: Vec::new() })
            })
            .collect();
        if lines.is_empty() {
            continue;
        }
        let chart = LineChart {
            title: format!("{}: {what}, p99 of each 100 ms", result.case.id),
            lines,
            x: Axis {
                title: "seconds",
                label: &|seconds| format!("{seconds:.1}"),
                logarithmic: false,
            },
            y_title: "latency",
            y_label: &nanos,
            dots: false,
            names_at: SeriesLabelPosition::UpperLeft,
        };
        let name = format!("{}-{}-over-time", result.case.id, timeline.replace('_', "-"));
        draw_both(dir, &name, &chart)?;
    }
    Ok(())
}

fn points(timeline: &Timeline) -> Vec<(f64, f64)> {
    let seconds = |index: usize| index as f64 * timeline.interval_ms as f64 / 1e3;
    let points = timeline.points.iter().enumerate();
    points
        .filter_map(|(index, point)| Some((seconds(index), (*point)?.p99.max(1) as f64)))
        .collect()
}
