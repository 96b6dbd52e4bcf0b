use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tapline::internals::sidecar_path;
use tapline::markers::{MarkerReader, MarkerStoreError};
use tapline::{HaltReason, MarkerCounts, RunId};
use tapline_demo::{Portfolio, StrategyBook};

use super::output::Output;
use super::passed_over::ids;
use super::words::{bytes, path_text, shell_word};

/// The report of `record`.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) run_id: RunId,
    /// The run that this one continues from.
    pub(super) parent_run_id: Option<RunId>,
    /// Runs that may hold what happened last, and whose place this one took for good.
    pub(super) passed_over: Vec<RunId>,
    pub(super) instance_id: String,
    /// The core that the writer thread was pinned to.
    pub(super) writer_core: Option<usize>,
    #[serde(serialize_with = "path_text")]
    pub(super) path: PathBuf,
    /// Captured messages in the log, without lifecycle entries.
    pub(super) entries: u64,
    pub(super) watermark: u64,
    /// Payload in the log. Of a halted run, of all accepted messages.
    pub(super) bytes_payload: u64,
    pub(super) bytes_file: u64,
    /// Lines that were not recorded, whatever kept them from it.
    pub(super) bad_lines: u64,
    /// Messages among them that the engine refused.
    pub(super) not_captured: u64,
    /// Where bad lines were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bad_lines_file: Option<String>,
    /// Only for a sealed run.
    pub(super) root: Option<String>,
    pub(super) elapsed_s: f64,
    pub(super) durable_per_s: f64,
    pub(super) capture_ns: Percentiles,
    pub(super) ack_ns: Percentiles,
    pub(super) halted: Option<Halted>,
    /// Only for the demo: what its node knows about its orders and its money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) portfolio: Option<PortfolioReport>,
    /// Counts of the data-marker sidecar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) markers: Option<MarkersReport>,
}

/// What the data-marker sidecar has.
#[derive(Serialize)]
pub(super) struct MarkersReport {
    #[serde(flatten)]
    counts: MarkerCounts,
    /// Marks that are missing in the gaps; `None` if the sidecar cannot be read.
    missing: Option<u64>,
}

impl MarkersReport {
    /// The report on the sidecar of the sealed run at `path`. Reads it only if it has gaps.
    pub(super) fn new(counts: MarkerCounts, path: &Path) -> Self {
        let missing = if counts.gaps == 0 { Some(0) } else { missing_marks(path).ok() };
        Self { counts, missing }
    }
}

fn missing_marks(path: &Path) -> Result<u64, MarkerStoreError> {
    let reader = MarkerReader::open_sealed(&sidecar_path(path))?;
    Ok(reader.fold_before(u64::MAX)?.missing)
}

/// What the demo's node knows at the end.
#[derive(Serialize)]
pub(super) struct PortfolioReport {
    /// By strategy number.
    strategies: BTreeMap<u64, StrategyBook>,
    open_orders: usize,
}

impl From<&Portfolio> for PortfolioReport {
    fn from(portfolio: &Portfolio) -> Self {
        let strategies = portfolio.strategies().clone();
        Self { strategies, open_orders: portfolio.open_orders() }
    }
}

#[derive(Serialize)]
pub(super) struct Halted {
    pub(super) reason: String,
}

impl From<HaltReason> for Halted {
    fn from(reason: HaltReason) -> Self {
        Self { reason: reason.to_string() }
    }
}

/// Latency in nanoseconds.
#[derive(Serialize)]
pub(super) struct Percentiles {
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    p9999: u64,
    max: u64,
}

impl From<&Histogram<u64>> for Percentiles {
    fn from(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
        }
    }
}

impl Report {
    /// Writes the report to stdout. The caller ends the output.
    pub(super) fn print(&self, json: bool) -> Output {
        let mut out = Output::stdout();
        if json {
            out.json_line(self);
        } else {
            self.print_text(&mut out);
        }
        out
    }

    fn print_text(&self, out: &mut Output) {
        let path = self.path.display();
        out.line(format_args!("run        {} of {}", self.run_id, self.instance_id));
        if let Some(parent) = self.parent_run_id {
            out.line(format_args!("parent     {parent}"));
        }
        if !self.passed_over.is_empty() {
            out.line(format_args!("passed over {}, for good", ids(&self.passed_over)));
        }
        out.line(format_args!("file       {path} ({})", bytes(self.bytes_file)));
        out.line(format_args!(
            "entries    {} captured, {} of payload, {} bad lines",
            self.entries,
            bytes(self.bytes_payload),
            self.bad_lines
        ));
        if let Some(file) = &self.bad_lines_file {
            out.line(format_args!("bad lines  appended to {file}"));
        }
        out.line(format_args!("watermark  {}", self.watermark));
        out.line(format_args!(
            "durable    {:.0} entries/s over {:.3} s",
            self.durable_per_s, self.elapsed_s
        ));
        match self.writer_core {
            Some(core) => out.line(format_args!("writer     on core {core}")),
            None => out.line(format_args!("writer     on any core")),
        }
        out.line(format_args!("capture    {}", self.capture_ns));
        out.line(format_args!("ack        {}", self.ack_ns));
        for (number, book) in self.portfolio.iter().flat_map(|portfolio| &portfolio.strategies) {
            let StrategyBook { position, cash_ticks, orders_submitted, fills, .. } = book;
            out.line(format_args!(
                "strategy {number} position {position}, cash {cash_ticks} ticks, {fills} fills of {orders_submitted} orders"
            ));
        }
        if let Some(markers) = &self.markers {
            out.line(format_args!("markers    {markers}"));
        }
        if let Some(halted) = &self.halted {
            return out.line(format_args!("HALTED     {}", halted.reason));
        }
        let root = self.root.as_deref().unwrap_or("none");
        out.line(format_args!("root       {root}"));
        let path = shell_word(&path.to_string());
        out.line(format_args!("verify     tapline verify {path} --root {root}"));
    }
}

impl std::fmt::Display for MarkersReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let MarkerCounts { snapshots, hifi, gaps, dict } = self.counts;
        write!(f, "{dict} streams, {snapshots} snapshots, {hifi} high-fidelity, ")?;
        match self.missing {
            _ if gaps == 0 => write!(f, "none missing"),
            Some(missing) => write!(f, "{missing} missing in {gaps} gaps"),
            None => write!(f, "an unknown number missing in {gaps} gaps"),
        }
    }
}

impl std::fmt::Display for Percentiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values = [
            ("p50", self.p50),
            ("p90", self.p90),
            ("p99", self.p99),
            ("p99.9", self.p999),
            ("p99.99", self.p9999),
            ("max", self.max),
        ];
        for (name, nanos) in values {
            write!(f, "{name} {:?}  ", Duration::from_nanos(nanos))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_marks_are_counted_not_only_their_gaps() {
        let text = |gaps, missing| {
            let counts = MarkerCounts { snapshots: 7, hifi: 3, gaps, dict: 2 };
            MarkersReport { counts, missing }.to_string()
        };
        let all = "2 streams, 7 snapshots, 3 high-fidelity, ";
        assert_eq!(text(0, Some(0)), format!("{all}none missing"));
        assert_eq!(text(6, Some(34_390)), format!("{all}34390 missing in 6 gaps"));
        assert_eq!(text(6, None), format!("{all}an unknown number missing in 6 gaps"));
    }
}
