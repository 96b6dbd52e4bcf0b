//! A case as a table: a row a figure, a column a system.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::percentiles;
use crate::campaign::{CaseResult, Results, SystemResult};
use crate::outcome::Figure;
use crate::spec::Measure;
use crate::systems::SystemId;

/// All cases, for people.
pub(crate) fn render(results: &Results) -> String {
    let mut text: String = results.cases.iter().map(|case| render_case(results, case)).collect();
    text.push_str("\nhow each system is set\n");
    for (system, described) in descriptions(results) {
        let _ = writeln!(text, "  {system}: {described}");
    }
    text.push_str("\nwhat the figures are\n");
    for figure in figures(results) {
        let _ = writeln!(text, "  {:<18} {}", figure.label(), figure.meaning());
    }
    text
}

/// Each system's settings, once; several of a system that was set differently in different cases.
fn descriptions(results: &Results) -> BTreeSet<(SystemId, &str)> {
    let systems = results.cases.iter().flat_map(|case| &case.systems);
    let described = systems.flat_map(|result| {
        result.outcomes.iter().map(|outcome| (result.system, outcome.described.as_str()))
    });
    described.collect()
}

/// The figures that were found.
fn figures(results: &Results) -> BTreeSet<Figure> {
    let systems = results.cases.iter().flat_map(|case| &case.systems);
    let outcomes = systems.flat_map(|result| &result.outcomes);
    outcomes.flat_map(|outcome| outcome.figures.keys().copied()).collect()
}

fn render_case(results: &Results, result: &CaseResult) -> String {
    let case = &result.case;
    let mut text = format!("\n{}  {}\n", case.id, case.title);
    let mut rows = vec![heading(result)];
    rows.push(entries(result));
    for (figure, with_ratio) in case.figures() {
        let cells: Vec<_> = result.systems.iter().map(|system| system.spread(*figure)).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let cells = cells.into_iter().map(|spread| {
            spread.map_or_else(|| "-".to_owned(), |spread| spread.print(|cell| figure.print(cell)))
        });
        rows.push(std::iter::once(figure.label().to_owned()).chain(cells).collect());
        if *with_ratio {
            rows.extend(ratios(results, result, *figure));
        }
    }
    align(&rows, &mut text);
    if matches!(case.measure, Measure::Paced { .. } | Measure::Points { .. }) {
        histograms(result, &mut text);
    }
    remarks(result, &mut text);
    text
}

fn heading(result: &CaseResult) -> Vec<String> {
    let systems = result.systems.iter().map(|result| result.system.to_string());
    std::iter::once(String::new()).chain(systems).collect()
}

fn entries(result: &CaseResult) -> Vec<String> {
    let cells = result.systems.iter().map(|result| {
        let entries: Vec<u64> = result.outcomes.iter().map(|outcome| outcome.entries).collect();
        let range = entries.iter().min().zip(entries.iter().max());
        range.map_or_else(
            || "-".to_owned(),
            |(min, max)| if min == max { min.to_string() } else { format!("{min}–{max}") },
        )
    });
    std::iter::once("entries".to_owned()).chain(cells).collect()
}

/// What each system has by what tapline has; nothing where there is only one system.
fn ratios(results: &Results, result: &CaseResult, figure: Figure) -> Option<Vec<String>> {
    result.systems.get(1)?;
    result.system(SystemId::Tapline)?;
    let cells = result.systems.iter().map(|other| {
        let (id, system) = (result.case.id.as_str(), other.system);
        let ratio = results.ratio((id, system, figure), (id, SystemId::Tapline, figure));
        ratio.map_or_else(|| "-".to_owned(), |ratio| format!("× {}", digits(ratio.median)))
    });
    Some(std::iter::once("  by tapline's".to_owned()).chain(cells).collect())
}

/// Three digits that count.
pub(super) fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        ..1.0 => format!("{value:.*}", (2.0 - value.abs().log10().floor()) as usize),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn align(rows: &[Vec<String>], text: &mut String) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(line, "  {cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn histograms(result: &CaseResult, text: &mut String) {
    let _ = writeln!(text, "\n  {}", percentiles::heading());
    for system in &result.systems {
        for (name, latencies) in system.histograms() {
            let name = format!("{} {name}", system.system);
            let _ = writeln!(text, "  {}", percentiles::row(&name, &latencies));
        }
    }
}

/// What failed, and what makes figures doubtful.
fn remarks(result: &CaseResult, text: &mut String) {
    for warning in result.case.settings.cores.warnings() {
        let _ = writeln!(text, "  warning: {warning}");
    }
    for SystemResult { system, outcomes, error } in &result.systems {
        if let Some(outcome) = outcomes.last().filter(|outcome| !outcome.memory_mb.is_empty()) {
            let memory: Vec<String> =
                outcome.memory_mb.iter().map(|memory| format!("{memory:.0}")).collect();
            let _ = writeln!(text, "  {system}: MB resident at each tenth: {}", memory.join(" "));
        }
        let mut warnings: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.warnings).collect();
        warnings.sort();
        warnings.dedup();
        for warning in warnings {
            let _ = writeln!(text, "  warning: {system} {warning}");
        }
        if let Some(error) = error {
            let _ = writeln!(text, "  FAILED: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        let cells = [0.0, 0.012_34, 0.5, 4.257, 42.57, 425.7, 4257.0].map(digits);
        assert_eq!(cells, ["0", "0.0123", "0.500", "4.26", "42.6", "426", "4257"]);
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let mut text = String::new();
        align(&[row(["", "a"]), row(["ack µs", "100"])], &mut text);
        assert_eq!(text, "            a\n  ack µs  100\n");
    }
}
