use std::path::Path;

use clap::{Args as ClapArgs, ValueEnum};
use serde::Serialize;
use tapline::internals::error_chain;
use tapline::runs::{KeepReason, PlannedRun, ReclaimReason, RetentionDecision, RetentionPlan};
use tapline::{RetentionMode, RunId};

use super::Outcome;
use super::error::CliError;
use super::output::Output;
use super::run_arg::Place;
use super::words::{self, parse_bytes, parse_seconds, path_text, path_texts};

#[derive(ClapArgs)]
pub(super) struct Args {
    /// What is kept
    #[arg(long, value_enum, required_unless_present_any = ["keep_for", "keep_bytes"])]
    mode: Option<SnapshotMode>,
    /// Keep the runs that ended within this time: 90s, 36h, 30d. Unlike --mode, also removes runs
    /// of an instance without any snapshot
    #[arg(long, value_name = "TIME", value_parser = parse_seconds, conflicts_with = "mode")]
    keep_for: Option<u64>,
    /// Keep the newest runs that fit into so many bytes: 500MB, 10GiB. Like --keep-for, also where
    /// there is no snapshot
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    #[arg(conflicts_with_all = ["mode", "keep_for"])]
    keep_bytes: Option<u64>,
    /// With --mode bounded: how many of the newest sealed runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    #[arg(required_if_eq("mode", "bounded"))]
    keep_last: Option<u32>,
    /// Remove what may be removed; without it, only say what that is
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SnapshotMode {
    /// Everything
    Full,
    /// The newest runs, and the newest restore point
    Bounded,
    /// The newest restore point, and what is newer
    Snapshot,
}

#[derive(Serialize)]
struct Report<'a> {
    mode: &'static str,
    keep_last: Option<u32>,
    keep_for_s: Option<u64>,
    keep_bytes: Option<u64>,
    /// What may be removed, or with `--apply` was to be.
    #[serde(serialize_with = "path_texts")]
    reclaim: Vec<&'a Path>,
    reclaim_bytes: u64,
    kept_bytes: u64,
    applied: bool,
    #[serde(serialize_with = "path_texts")]
    reclaimed: Vec<&'a Path>,
    failed: Vec<Failed<'a>>,
    runs: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Failed<'a> {
    #[serde(serialize_with = "path_text")]
    path: &'a Path,
    error: String,
}

/// One run of the plan.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(serialize_with = "path_text")]
    path: &'a Path,
    run_id: Option<RunId>,
    bytes: u64,
    keep: bool,
    reason: Reason<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Reason<'a> {
    Keep(&'a KeepReason),
    Reclaim(&'a ReclaimReason),
}

impl<'a> Row<'a> {
    fn new(run: &'a PlannedRun) -> Self {
        let (keep, reason) = match &run.decision {
            RetentionDecision::Keep(reason) => (true, Reason::Keep(reason)),
            RetentionDecision::Reclaim(reason) => (false, Reason::Reclaim(reason)),
        };
        Self { path: &run.path, run_id: run.run_id, bytes: run.bytes, keep, reason }
    }

    fn text(&self) -> String {
        let run = self.run_id.map_or_else(|| self.path.display().to_string(), |id| id.to_string());
        let word = if self.keep { "keep" } else { "reclaim" };
        let bytes = words::bytes(self.bytes);
        let reason = match self.reason {
            Reason::Keep(reason) => reason.to_string(),
            Reason::Reclaim(reason) => reason.to_string(),
        };
        format!("{run:<30} {word:<8} {bytes:>10}  {reason}")
    }
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let mode = retention_mode(args)?;
    args.place.check_folder()?;
    let Place { dir, instance } = &args.place;
    let plan = RetentionPlan::new(dir, instance, mode)?;
    let mut report = Report::new(args, &plan);
    if args.apply {
        plan.apply(|run, removed| match removed {
            Ok(()) => report.reclaimed.push(&run.path),
            Err(error) => {
                report.failed.push(Failed { path: &run.path, error: error_chain(&error) });
            }
        })?;
    }
    let came_to = outcome(&report, &plan);
    report.print(args).end(came_to)
}

fn outcome(report: &Report<'_>, plan: &RetentionPlan) -> Result<Outcome, CliError> {
    if !report.failed.is_empty() {
        return Err(CliError::Usage("not every run could be reclaimed; see above".to_owned()));
    }
    let unreadable = |run: &PlannedRun| {
        matches!(run.decision, RetentionDecision::Keep(KeepReason::Unreadable { .. }))
    };
    let found = plan.runs().iter().any(unreadable);
    Ok(if found { Outcome::Findings } else { Outcome::Clean })
}

fn retention_mode(args: &Args) -> Result<RetentionMode, CliError> {
    let Args { mode, keep_last, keep_for, keep_bytes, .. } = *args;
    match (mode, keep_last, keep_for, keep_bytes) {
        (Some(SnapshotMode::Full), None, ..) => Ok(RetentionMode::Full),
        (Some(SnapshotMode::Snapshot), None, ..) => Ok(RetentionMode::SnapshotAnchored),
        (Some(SnapshotMode::Bounded), Some(keep_last), ..) => {
            Ok(RetentionMode::Bounded { keep_last })
        }
        (None, None, Some(keep_for_s), _) => Ok(RetentionMode::MaxAge { keep_for_s }),
        (None, None, None, Some(keep_bytes)) => Ok(RetentionMode::MaxBytes { keep_bytes }),
        _ => Err(CliError::Usage(
            "--keep-last goes with --mode bounded, and only with it".to_owned(),
        )),
    }
}

/// As `--json` names it: what stands behind `retention=` in a manifest.
fn mode_name(mode: RetentionMode) -> &'static str {
    mode.feature_flag().trim_start_matches("retention=")
}

impl<'a> Report<'a> {
    fn new(args: &Args, plan: &'a RetentionPlan) -> Self {
        Self {
            mode: mode_name(plan.mode()),
            keep_last: args.keep_last,
            keep_for_s: args.keep_for,
            keep_bytes: args.keep_bytes,
            reclaim: plan.reclaimable().map(|run| &*run.path).collect(),
            reclaim_bytes: plan.reclaimable().fold(0, |sum, run| sum.saturating_add(run.bytes)),
            kept_bytes: plan.kept_bytes(),
            applied: args.apply,
            reclaimed: Vec::new(),
            failed: Vec::new(),
            runs: plan.runs().iter().map(Row::new).collect(),
        }
    }

    fn print(&self, args: &Args) -> Output {
        let mut out = Output::stdout();
        if args.json {
            out.json_line(self);
        } else {
            self.print_text(&mut out, args);
        }
        out
    }

    fn print_text(&self, out: &mut Output, args: &Args) {
        if self.runs.is_empty() {
            return out.line(format_args!("no runs in {}", args.place.folder().display()));
        }
        for row in &self.runs {
            out.line(format_args!("{}", row.text()));
        }
        for Failed { error, .. } in &self.failed {
            out.line(format_args!("not reclaimed: {error}"));
        }
        if let Some(keep_bytes) = self.keep_bytes.filter(|bytes| self.kept_bytes > *bytes) {
            let (kept, asked) = (words::bytes(self.kept_bytes), words::bytes(keep_bytes));
            out.line(format_args!("what has to stay takes {kept}, more than {asked}"));
        }
        let (of, bytes) = (self.reclaim.len(), words::bytes(self.reclaim_bytes));
        if self.applied {
            let reclaimed = self.reclaimed.len();
            out.line(format_args!("reclaimed {reclaimed} of {of} runs"));
        } else {
            let hint = if of > 0 { "; --apply removes them" } else { "" };
            out.line(format_args!("to reclaim: {of} runs, {bytes}{hint}"));
        }
    }
}
