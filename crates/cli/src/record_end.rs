//! The end of a recording: the seal, the report, and the exit code.

use std::path::{Path, PathBuf};
use std::time::Instant;

use hdrhistogram::Histogram;
use tapline::RunId;
use tapline::engine::{CloseReport, WriterConfig};
use tapline::read::{Direction, EventStoreReader};
use tapline::session::RunSession;

use super::Outcome;
use super::bad_lines::BadLines;
use super::error::CliError;
use super::record_file::is_lifecycle;
use super::report::{MarkersReport, PortfolioReport, Report};
use super::stderr::tell;
use super::supervise::Measured;

/// A recording whose threads have ended.
pub(super) struct Recorded<'a> {
    pub(super) instance_id: String,
    pub(super) portfolio: Option<PortfolioReport>,
    pub(super) began: Instant,
    pub(super) measured: Measured,
    pub(super) ack_ns: Histogram<u64>,
    pub(super) bad_lines: &'a BadLines,
    pub(super) run_id: RunId,
    pub(super) parent_run_id: Option<RunId>,
    pub(super) passed_over: Vec<RunId>,
    pub(super) writer_core: Option<usize>,
    pub(super) path: PathBuf,
    /// The watermark before the seal.
    pub(super) durable: u64,
}

/// Seals the run and reports on it. A halted run is also reported, but left unsealed.
pub(super) fn finish(
    session: RunSession,
    recorded: Recorded<'_>,
) -> (Report, Result<(), CliError>) {
    let halt = session.halt().clone();
    let closed = session.seal();
    let Recorded { portfolio, measured, bad_lines, run_id, parent_run_id, path, durable, .. } =
        recorded;
    let elapsed_s = recorded.began.elapsed().as_secs_f64();
    let (watermark, lifecycle_entries, root, markers, error) = match closed {
        Ok(CloseReport { watermark, root, markers, .. }) => {
            (watermark, 2, Some(root.to_string()), markers, None)
        }
        Err(error) => (durable, 1, None, None, Some(error)),
    };
    let entries = watermark.saturating_sub(lifecycle_entries);
    let bytes_payload = match error {
        None if measured.captured > entries => payload_in_log(&path),
        _ => None,
    };
    let report = Report {
        run_id,
        parent_run_id,
        passed_over: recorded.passed_over,
        instance_id: recorded.instance_id,
        writer_core: recorded.writer_core,
        entries,
        watermark,
        bytes_payload: bytes_payload.unwrap_or(measured.payload_bytes),
        bytes_file: std::fs::metadata(&path).map_or(0, |metadata| metadata.len()),
        bad_lines: bad_lines.count(),
        not_captured: bad_lines.not_captured(),
        bad_lines_file: bad_lines.file().map(|file| file.display().to_string()),
        root,
        elapsed_s,
        durable_per_s: entries as f64 / elapsed_s,
        capture_ns: (&measured.capture_ns).into(),
        ack_ns: (&recorded.ack_ns).into(),
        halted: halt.reason().map(Into::into),
        portfolio,
        markers: markers.map(|counts| MarkersReport::new(counts, &path)),
        path,
    };
    let closed = match error {
        None => Ok(()),
        Some(error) => Err(CliError::Close { path: report.path.clone(), error }),
    };
    (report, closed)
}

/// The payload of the captured messages in the sealed run at `path`. Of a message that several taps
/// captured, it is known only to the log which one became its entry. `None` if the run cannot be
/// read.
fn payload_in_log(path: &Path) -> Option<u64> {
    let reader = EventStoreReader::open_sealed_file(path).ok()?;
    let mut scan = reader.scan(1, u64::MAX, Direction::Forward);
    let mut bytes = 0;
    while let Some(entry) = scan.next_ref() {
        let entry = entry.ok()?;
        if !is_lifecycle(entry.topic(), entry.payload_type()) {
            bytes += entry.payload().len() as u64;
        }
    }
    Some(bytes)
}

/// Says what kept a sealed run from having all of its input.
/// `came_to_its_end` if the input did, and was not stopped.
pub(super) fn outcome(
    report: &Report,
    bad_lines: &BadLines,
    writer: &WriterConfig,
    came_to_its_end: bool,
) -> Outcome {
    let Report { entries, bad_lines: bad, not_captured, .. } = report;
    let mut outcome = Outcome::Clean;
    let mut found = |what: std::fmt::Arguments<'_>| {
        tell(what);
        outcome = Outcome::Findings;
    };
    if bad_lines.end_the_recording() {
        found(format_args!("stopped early: more bad lines than allowed ({bad})"));
    }
    if *not_captured > 0 {
        // The parser has checked all other limits.
        found(format_args!(
            "{not_captured} messages were not captured: one producer can use {} different topics \
             and types; --names-max allows more",
            writer.names_max
        ));
    }
    if *entries == 0 && *bad > 0 {
        found(format_args!("nothing was recorded: {bad} bad lines, and no good one"));
    } else if *entries == 0 && came_to_its_end {
        // Whoever wrote it may have failed.
        found(format_args!("nothing was recorded: the input is empty"));
    }
    outcome
}
