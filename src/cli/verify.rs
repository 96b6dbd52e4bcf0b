use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Args as ClapArgs;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Outcome;
use super::error::CliError;
use super::output::Output;
use super::run_arg::Place;
use super::verify_progress::VerifyProgress;
use super::verify_worker::{Answer, Found, Line};
use super::worker::{self, WorkerError};
use crate::model::{Hash, RunId, RunStatus};
use crate::store::run_files;

#[derive(ClapArgs)]
pub(super) struct Args {
    /// Run files, or run ids; all runs of the instance where none is given
    runs: Vec<String>,
    /// The root printed when the run was sealed; for one run
    #[arg(long, value_parser = parse_root)]
    root: Option<Hash>,
    /// Threads that check hashes; as many as there are processors where it is not given
    #[arg(long)]
    threads: Option<NonZero<usize>>,
    /// How long verifying one run may take, 1 s to a week; where it is not given, a minute and one more
    /// for each GiB of the file
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    timeout: Option<u64>,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object a run
    #[arg(long)]
    json: bool,
}

fn parse_root(text: &str) -> Result<Hash, String> {
    Hash::from_hex(text).map_err(|error| format!("a root has 64 hexadecimal digits: {error}"))
}

#[derive(Serialize)]
struct Verdict<'a> {
    path: &'a Path,
    run_id: Option<RunId>,
    status: Option<RunStatus>,
    clean: bool,
    entries_scanned: u64,
    root: Option<&'a str>,
    findings: Vec<&'a RawValue>,
    findings_omitted: u64,
    error: Option<&'a str>,
}

/// What came of verifying one run.
enum Verified {
    /// All of it was looked at.
    Scanned(Answer),
    /// It was not, since what is in the file did not let it come to that.
    Damaged { entries_scanned: u64, error: String },
    /// It was not, and this says nothing about what is in the file.
    Refused(String),
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let paths = paths(args)?;
    if args.root.is_some() && paths.len() != 1 {
        let text = format!("--root is for one run, but {} are to be verified", paths.len());
        return Err(CliError::Usage(text));
    }
    let mut out = Output::stdout();
    let mut outcome = Outcome::Clean;
    let mut failed = false;
    for path in &paths {
        let verified = verify(path, args);
        print(&mut out, args.json, path, &verified)?;
        match verified {
            Verified::Scanned(scanned) if scanned.findings.is_empty() => {}
            Verified::Scanned(_) | Verified::Damaged { .. } => outcome = Outcome::Findings,
            Verified::Refused(_) => failed = true,
        }
    }
    out.flush()?;
    if failed {
        let text = "not every run could be verified; see above".to_owned();
        return Err(CliError::Usage(text));
    }
    Ok(outcome)
}

fn paths(args: &Args) -> Result<Vec<PathBuf>, CliError> {
    if !args.runs.is_empty() {
        return args.runs.iter().map(|run| args.place.resolve(run)).collect();
    }
    let Place { dir, instance } = &args.place;
    // To look into them is for workers.
    let files = run_files(dir, instance)
        .map_err(|source| CliError::List { path: args.place.folder(), source })?;
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

/// Has a worker look into the file, and takes for a finding about the file whatever becomes of it.
fn verify(path: &Path, args: &Args) -> Verified {
    let mut command = match worker_command(path, args) {
        Ok(command) => command,
        Err(error) => return Verified::Refused(WorkerError::Start(error).to_string()),
    };
    let mut progress = VerifyProgress::new(path);
    let mut entries_scanned = 0;
    let mut verified = None;
    let ended = worker::run(&mut command, time_limit(path, args), |line| {
        match line {
            Some(Line::Progress(entries, of)) => {
                entries_scanned = entries;
                progress.reached(entries, of);
            }
            Some(Line::Scanned(scanned)) => verified = Some(Verified::Scanned(scanned)),
            Some(Line::Refused(error)) => verified = Some(Verified::Refused(error)),
            Some(Line::Damaged(error)) => {
                verified = Some(Verified::Damaged { entries_scanned, error });
            }
            None => {}
        }
        progress.tick();
    });
    let error = match (ended, verified) {
        (Err(error @ WorkerError::Start(_)), _) => return Verified::Refused(error.to_string()),
        (Ok(()), Some(verified)) => return verified,
        (Ok(()), None) => WorkerError::Silent,
        (Err(error), _) => error,
    };
    Verified::Damaged { entries_scanned, error: error.to_string() }
}

fn worker_command(path: &Path, args: &Args) -> std::io::Result<Command> {
    let mut command = worker::this_program()?;
    command.arg("verify-worker");
    if let Some(root) = args.root {
        command.args(["--root", &root.to_string()]);
    }
    if let Some(threads) = args.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    command.arg("--").arg(path);
    Ok(command)
}

/// A minute for whatever there is to start with, and one more for each GiB: 17 MiB/s, which every disk
/// in use reads faster. A limit of its own is for files on something slower.
fn time_limit(path: &Path, args: &Args) -> Duration {
    let by_size = || {
        let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        60 + 60 * bytes.div_ceil(1 << 30)
    };
    Duration::from_secs(args.timeout.unwrap_or_else(by_size))
}

fn print(out: &mut Output, json: bool, path: &Path, verified: &Verified) -> Result<(), CliError> {
    if !json {
        return print_text(out, path, verified);
    }
    let mut verdict = Verdict {
        path,
        run_id: None,
        status: None,
        clean: false,
        entries_scanned: 0,
        root: None,
        findings: Vec::new(),
        findings_omitted: 0,
        error: None,
    };
    match verified {
        Verified::Scanned(scanned) => {
            verdict.run_id = scanned.run_id;
            verdict.status = scanned.status;
            verdict.clean = scanned.findings.is_empty();
            verdict.entries_scanned = scanned.entries_scanned;
            verdict.root = scanned.root.as_deref();
            verdict.findings = scanned.findings.iter().map(|found| &*found.json).collect();
            verdict.findings_omitted = scanned.findings_omitted;
        }
        Verified::Damaged { entries_scanned, error } => {
            verdict.entries_scanned = *entries_scanned;
            verdict.error = Some(error);
        }
        Verified::Refused(error) => verdict.error = Some(error),
    }
    out.json_line(&verdict)
}

fn print_text(out: &mut Output, path: &Path, verified: &Verified) -> Result<(), CliError> {
    let path = path.display();
    let scanned = match verified {
        Verified::Scanned(scanned) => scanned,
        Verified::Damaged { error, .. } => {
            return out.line(format_args!("{path}: DAMAGED: {error}"));
        }
        Verified::Refused(error) => {
            return out.line(format_args!("{path}: not verified: {error}"));
        }
    };
    let status = scanned.status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
    let word = if scanned.findings.is_empty() { "clean" } else { "DAMAGED" };
    let entries = scanned.entries_scanned;
    out.line(format_args!("{path}: {word}, {status}, {entries} entries"))?;
    for Found { text, .. } in &scanned.findings {
        out.line(format_args!("  {text}"))?;
    }
    if scanned.findings_omitted > 0 {
        out.line(format_args!("  and {} more", scanned.findings_omitted))?;
    }
    if let Some(root) = &scanned.root {
        out.line(format_args!("  root {root}"))?;
    }
    Ok(())
}
