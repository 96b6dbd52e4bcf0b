use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tapline::{HaltReason, MarkerCounts, RunId};
use tapline_demo::{Portfolio, StrategyBook};

use super::output::Output;

/// The report of `record`.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) run_id: RunId,
    /// The run that this one continues from.
    pub(super) parent_run_id: Option<RunId>,
    pub(super) instance_id: String,
    pub(super) path: PathBuf,
    /// Captured messages in the log, without lifecycle entries.
    pub(super) entries: u64,
    pub(super) watermark: u64,
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
    pub(super) markers: Option<MarkerCounts>,
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
        out.line(format_args!("file       {path} ({} bytes)", self.bytes_file));
        out.line(format_args!(
            "entries    {} captured, {} bytes of payload, {} bad lines",
            self.entries, self.bytes_payload, self.bad_lines
        ));
        if let Some(file) = &self.bad_lines_file {
            out.line(format_args!("bad lines  appended to {file}"));
        }
        out.line(format_args!("watermark  {}", self.watermark));
        out.line(format_args!(
            "durable    {:.0} entries/s over {:.3} s",
            self.durable_per_s, self.elapsed_s
        ));
        out.line(format_args!("capture    {}", self.capture_ns));
        out.line(format_args!("ack        {}", self.ack_ns));
        for (number, book) in self.portfolio.iter().flat_map(|portfolio| &portfolio.strategies) {
            let StrategyBook { position, cash_ticks, orders_submitted, fills, .. } = book;
            out.line(format_args!(
                "strategy {number} position {position}, cash {cash_ticks} ticks, {fills} fills of {orders_submitted} orders"
            ));
        }
        if let Some(MarkerCounts { snapshots, hifi, gaps, dict }) = self.markers {
            out.line(format_args!(
                "markers    {dict} streams, {snapshots} snapshots, {hifi} high-fidelity, {gaps} gaps"
            ));
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

/// Quotes `text` as one word of a shell command.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
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
