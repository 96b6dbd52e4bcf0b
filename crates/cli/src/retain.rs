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
use super::words::{self, path_text, path_texts};

#[derive(ClapArgs)]
pub(super) struct Args {
    /// What is kept
    #[arg(long, value_enum)]
    mode: Mode,
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

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Everything
    Full,
    /// The newest runs, and the newest restore point
    Bounded,
    /// The newest restore point, and what is newer
    Snapshot,
}

#[derive(Serialize)]
struct Report<'a> {
    mode: Mode,
    keep_last: Option<u32>,
    /// What may be removed, or with `--apply` was to be.
    #[serde(serialize_with = "path_texts")]
    reclaim: Vec<&'a Path>,
    reclaim_bytes: u64,
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
    match (args.mode, args.keep_last) {
        (Mode::Full, None) => Ok(RetentionMode::Full),
        (Mode::Snapshot, None) => Ok(RetentionMode::SnapshotAnchored),
        (Mode::Bounded, Some(keep_last)) => Ok(RetentionMode::Bounded { keep_last }),
        _ => Err(CliError::Usage(
            "--keep-last goes with --mode bounded, and only with it".to_owned(),
        )),
    }
}

impl<'a> Report<'a> {
    fn new(args: &Args, plan: &'a RetentionPlan) -> Self {
        Self {
            mode: args.mode,
            keep_last: args.keep_last,
            reclaim: plan.reclaimable().map(|run| &*run.path).collect(),
            reclaim_bytes: plan.reclaimable().map(|run| run.bytes).sum(),
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
