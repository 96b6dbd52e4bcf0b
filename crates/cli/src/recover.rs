use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;
use tapline::internals::recover_predecessors_with;
use tapline::read::Finding;
use tapline::runs::{SkippedFile, SweepReport};
use tapline::{RunId, RunStatus};

use super::Outcome;
use super::error::CliError;
use super::output::Output;
use super::run_arg::Instance;
use super::spinner::spinner;

#[derive(ClapArgs)]
pub(super) struct Args {
    /// Folder of the runs
    #[arg(default_value = "./runs")]
    dir: PathBuf,
    #[command(flatten)]
    instance: Instance,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    recovered: Vec<Recovered<'a>>,
    parent_run_id: Option<RunId>,
    passed_over: &'a [RunId],
    skipped: &'a [SkippedFile],
}

#[derive(Serialize)]
struct Recovered<'a> {
    run_id: RunId,
    status: RunStatus,
    path: &'a PathBuf,
    watermark: u64,
    root: String,
    findings: &'a [Finding],
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let Args { dir, instance, json } = args;
    let folder = dir.join(instance.instance.as_str());
    if !folder.is_dir() {
        // The sweep would make the folder. But a mistyped name is not an instance without runs.
        return Err(CliError::Usage(format!("there is no folder {}", folder.display())));
    }
    let progress = spinner();
    let swept = recover_predecessors_with(dir, &instance.instance, |seen| {
        let (path, entries) = (seen.path.display(), seen.entries_scanned);
        progress.set_message(format!("{path}: {entries} entries scanned"));
        progress.tick();
    });
    progress.finish_and_clear();
    let swept = swept?;
    let mut out = Output::stdout();
    if *json {
        out.json_line(&report(&swept));
    } else {
        print_text(&mut out, &swept);
    }
    let is_bad = |status| status == RunStatus::Quarantined;
    let found_bad = swept.recovered.iter().any(|run| is_bad(run.status));
    let is_clean = !found_bad && swept.skipped.is_empty();
    out.end(Ok(if is_clean { Outcome::Clean } else { Outcome::Findings }))
}

fn report(swept: &SweepReport) -> Report<'_> {
    let recovered = swept.recovered.iter().map(|run| Recovered {
        run_id: run.run_id,
        status: run.status,
        path: &run.path,
        watermark: run.watermark,
        root: run.root.to_string(),
        findings: &run.findings,
    });
    Report {
        recovered: recovered.collect(),
        parent_run_id: swept.parent_run_id,
        passed_over: &swept.passed_over,
        skipped: &swept.skipped,
    }
}

fn print_text(out: &mut Output, swept: &SweepReport) {
    if swept.recovered.is_empty() {
        out.line(format_args!("no run was left behind"));
    }
    for run in &swept.recovered {
        let (run_id, status, watermark) = (run.run_id, run.status, run.watermark);
        out.line(format_args!("{run_id}: sealed as {status}, durable up to {watermark}"));
        out.line(format_args!("  root {}", run.root));
        for finding in &run.findings {
            out.line(format_args!("  {finding}"));
        }
    }
    for SkippedFile { path, error, .. } in &swept.skipped {
        out.line(format_args!("{}: left alone: {error}", path.display()));
    }
    for run_id in &swept.passed_over {
        out.line(format_args!(
            "{run_id}: may hold what happened last, and cannot be looked into; a run that opens now takes its place for good"
        ));
    }
    match swept.parent_run_id {
        Some(parent) => out.line(format_args!("the next run continues from {parent}")),
        None => out.line(format_args!("the next run continues from none")),
    }
}
