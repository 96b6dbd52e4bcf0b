use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapline::internals::{RecoveryOptions, recover_predecessors_with};
use tapline::read::Finding;
use tapline::runs::{SkipKind, SkippedFile, SweepReport};
use tapline::{RunId, RunStatus};

use super::Outcome;
use super::error::CliError;
use super::output::Output;
use super::run_arg::Place;
use super::spinner::spinner;
use super::words::{parse_bytes, path_text, room_to_seal};

#[derive(ClapArgs)]
pub(super) struct Args {
    /// Folder of the runs, as with --dir
    #[arg(value_name = "DIR", conflicts_with = "dir")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// Memory to make do with, 16MiB to 64GiB
    #[arg(long, value_name = "BYTES", default_value = "64MiB", value_parser = memory_bytes)]
    memory: u64,
    /// Check hashes on N threads; the default is one for each processor and each 16 MiB of memory
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    recovered: Vec<Recovered<'a>>,
    parent_run_id: Option<RunId>,
    passed_over: &'a [RunId],
    skipped: Vec<Skipped<'a>>,
}

#[derive(Serialize)]
struct Skipped<'a> {
    #[serde(serialize_with = "path_text")]
    path: &'a Path,
    kind: SkipKind,
    error: &'a str,
}

#[derive(Serialize)]
struct Recovered<'a> {
    run_id: RunId,
    status: RunStatus,
    #[serde(serialize_with = "path_text")]
    path: &'a Path,
    watermark: u64,
    root: String,
    findings: &'a [Finding],
}

fn memory_bytes(text: &str) -> Result<u64, String> {
    let bytes = parse_bytes(text)?;
    if RecoveryOptions::MEMORY_RANGE.contains(&bytes) {
        Ok(bytes)
    } else {
        Err("expected 16MiB to 64GiB".to_owned())
    }
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let mut place = args.place.clone();
    if let Some(folder) = &args.folder {
        place.dir.clone_from(folder);
    }
    // The sweep would make the folder.
    place.check_folder()?;
    let (memory_bytes, threads) = (args.memory, args.threads);
    let options = RecoveryOptions { memory_bytes, threads, ..RecoveryOptions::default() };
    let progress = spinner();
    let swept = recover_predecessors_with(&place.dir, &place.instance, options, |seen| {
        let (path, entries) = (seen.path.display(), seen.entries_scanned);
        progress.set_message(format!("{path}: {entries} entries scanned"));
        progress.tick();
    });
    progress.finish_and_clear();
    let swept = swept?;
    let mut out = Output::stdout();
    if args.json {
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
        skipped: swept.skipped.iter().map(skipped).collect(),
    }
}

fn skipped(file: &SkippedFile) -> Skipped<'_> {
    let SkippedFile { path, kind, error } = file;
    Skipped { path, kind: *kind, error }
}

/// What to do about a skipped file.
fn advice(file: &SkippedFile) -> String {
    const AGAIN: &str = "then run this command again";
    match file.kind {
        SkipKind::InUse => format!("close it where it is open; {AGAIN}"),
        SkipKind::Damaged => "put a copy in its place, or move it away".to_owned(),
        SkipKind::OtherVersion => "use the version of tapline that wrote it".to_owned(),
        SkipKind::Foreign => "move it away".to_owned(),
        _ => {
            let bytes_file = std::fs::metadata(&file.path).map_or(0, |metadata| metadata.len());
            let room = room_to_seal(bytes_file);
            format!("see to what the error says, with a full disk make {room} of room; {AGAIN}")
        }
    }
}

fn print_text(out: &mut Output, swept: &SweepReport) {
    if swept.recovered.is_empty() {
        let what =
            if swept.skipped.is_empty() { "no run was left behind" } else { "no run was sealed" };
        out.line(format_args!("{what}"));
    }
    for run in &swept.recovered {
        let (run_id, status, watermark) = (run.run_id, run.status, run.watermark);
        out.line(format_args!("{run_id}: sealed as {status}, durable up to {watermark}"));
        out.line(format_args!("  root {}", run.root));
        for finding in &run.findings {
            out.line(format_args!("  {finding}"));
        }
    }
    for file in &swept.skipped {
        let (path, error) = (file.path.display(), &file.error);
        out.line(format_args!("{path}: left as it is: {error}; {}", advice(file)));
    }
    for run_id in &swept.passed_over {
        out.line(format_args!(
            "{run_id}: may hold what happened last, and is not sealed, see above; a run that opens \
             now takes its place for good"
        ));
    }
    match swept.parent_run_id {
        Some(parent) => out.line(format_args!("the next run continues from {parent}")),
        None => out.line(format_args!("the next run continues from none")),
    }
}
