use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Args as ClapArgs;
use serde::Serialize;
use serde_json::value::RawValue;
use tapline::internals::{error_chain, sidecar_path};
use tapline::{Hash, RunId, RunStatus};

use super::Outcome;
use super::error::CliError;
use super::open_run::tell_unsealed;
use super::output::Output;
use super::run_arg::Place;
use super::verify_progress::VerifyProgress;
use super::verify_runs::{Named, named_runs};
use super::verify_worker::{Answer, PrintedFinding, Report};
use super::words::path_text;
use super::worker::{self, WorkerError};

#[derive(ClapArgs)]
pub(super) struct Args {
    /// Run files, run ids or their beginnings, or `latest`; all runs of the instance where none is
    /// given. A sidecar stands for its run
    runs: Vec<PathBuf>,
    /// The root printed when the run was sealed; for one run
    #[arg(long, value_parser = parse_root)]
    root: Option<Hash>,
    /// Threads that check hashes; as many as there are processors where it is not given
    #[arg(long)]
    threads: Option<NonZero<usize>>,
    /// How long verifying one run may take, 1 s to a week; where it is not given, a minute and one
    /// more for each GiB of the file
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    timeout: Option<u64>,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object a run
    #[arg(long)]
    json: bool,
}

fn parse_root(text: &str) -> Result<Hash, String> {
    text.parse().map_err(|error| format!("a root has 64 hexadecimal digits: {error}"))
}

#[derive(Serialize)]
struct Verdict<'a> {
    #[serde(serialize_with = "path_text")]
    path: &'a Path,
    run_id: Option<RunId>,
    status: Option<RunStatus>,
    clean: bool,
    entries_scanned: u64,
    root: Option<&'a str>,
    findings: Vec<&'a RawValue>,
    findings_omitted: u64,
    error: Option<&'a str>,
    /// Only for a run with a sidecar.
    #[serde(skip_serializing_if = "Option::is_none")]
    markers: Option<MarkersVerdict<'a>>,
}

#[derive(Serialize)]
struct MarkersVerdict<'a> {
    #[serde(serialize_with = "path_text")]
    path: &'a Path,
    status: Option<RunStatus>,
    clean: bool,
    markers_scanned: u64,
    findings: Vec<&'a RawValue>,
    findings_omitted: u64,
    error: Option<&'a str>,
}

/// A run, and the results for it and its sidecar.
struct Looked {
    path: PathBuf,
    run: Verified,
    sidecar: Option<(PathBuf, Verified)>,
}

impl Looked {
    /// Says that what was left behind is not sealed.
    fn tell_unsealed(&self) {
        let sidecar = self.sidecar.as_ref().map(|(path, verified)| (path, verified));
        for (path, verified) in [Some((&self.path, &self.run)), sidecar].into_iter().flatten() {
            if let Verified::Scanned(Answer { status: Some(RunStatus::Running), .. }) = verified {
                tell_unsealed(path);
            }
        }
    }
}

/// The result for one run.
enum Verified {
    /// It was checked as a whole.
    Scanned(Answer),
    /// Its content kept it from being checked as a whole.
    Damaged { scanned: u64, error: String },
    /// It was not checked. This says nothing about its content.
    Refused(String),
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let runs = named_runs(&args.runs, &args.place)?;
    if args.root.is_some() && runs.len() != 1 {
        let text = format!("--root is for one run, but {} are to be verified", runs.len());
        return Err(CliError::Usage(text));
    }
    let mut out = Output::stdout();
    let mut outcome = Outcome::Clean;
    let mut failed = false;
    for named in runs {
        let looked = match named {
            Named::Run(path) => verify(path, args),
            Named::Nothing { path, error } => {
                Looked { path, run: Verified::Refused(error), sidecar: None }
            }
        };
        print(&mut out, args.json, &looked);
        // Print each verdict when it comes. The next run may take an hour.
        out.flush();
        looked.tell_unsealed();
        for verified in [Some(&looked.run), looked.sidecar.as_ref().map(|(_, sidecar)| sidecar)] {
            match verified {
                None => {}
                Some(Verified::Scanned(scanned)) if scanned.findings.is_empty() => {}
                Some(Verified::Scanned(_) | Verified::Damaged { .. }) => {
                    outcome = Outcome::Findings;
                }
                Some(Verified::Refused(_)) => failed = true,
            }
        }
    }
    let came_to = if failed {
        Err(CliError::Usage("not every run could be verified; see above".to_owned()))
    } else {
        Ok(outcome)
    };
    out.end(came_to)
}

/// Verifies a run and its sidecar, if it has one.
fn verify(path: PathBuf, args: &Args) -> Looked {
    let run = ask_worker(&path, args, |command| {
        if let Some(root) = args.root {
            command.args(["--root", &root.to_string()]);
        }
        if let Some(threads) = args.threads {
            command.args(["--threads", &threads.to_string()]);
        }
    });
    let sidecar = sidecar_path(&path);
    let sidecar = std::fs::symlink_metadata(&sidecar).is_ok().then(|| {
        let known = match &run {
            Verified::Scanned(scanned) => scanned.run_id.zip(scanned.watermark),
            Verified::Damaged { .. } | Verified::Refused(_) => None,
        };
        let verified = ask_worker(&sidecar, args, |command| {
            command.arg("--sidecar");
            if let Some((run_id, watermark)) = known {
                command.args(["--run-id", &run_id.to_string()]);
                command.args(["--watermark", &watermark.to_string()]);
            }
        });
        (sidecar, verified)
    });
    Looked { path, run, sidecar }
}

/// Has a worker check the file. If the worker fails in any way, that is a finding about the file.
fn ask_worker(path: &Path, args: &Args, ask: impl FnOnce(&mut Command)) -> Verified {
    let mut command = match worker::this_program() {
        Ok(command) => command,
        Err(error) => return Verified::Refused(error_chain(&WorkerError::Start(error))),
    };
    command.arg("verify-worker");
    ask(&mut command);
    command.arg("--").arg(path);
    let mut progress = VerifyProgress::new(path);
    let mut scanned = 0;
    let mut verified = None;
    let ended = worker::run(&mut command, time_limit(path, args), |line| {
        match line {
            Some(Report::Progress(entries, of)) => {
                scanned = entries;
                progress.reached(entries, of);
            }
            Some(Report::Scanned(answer)) => verified = Some(Verified::Scanned(answer)),
            Some(Report::Refused(error)) => verified = Some(Verified::Refused(error)),
            Some(Report::Damaged(error)) => {
                verified = Some(Verified::Damaged { scanned, error });
            }
            None => {}
        }
        progress.tick();
    });
    let error = match (ended, verified) {
        (Err(error @ WorkerError::Start(_)), _) => return Verified::Refused(error_chain(&error)),
        (Ok(()), Some(verified)) => return verified,
        (Ok(()), None) => WorkerError::Silent,
        (Err(error), _) => error,
    };
    Verified::Damaged { scanned, error: error_chain(&error) }
}

/// A minute to start with, and one more for each GiB. That is 17 MiB/s, and any disk in use reads
/// faster. For slower storage there is an option.
fn time_limit(path: &Path, args: &Args) -> Duration {
    let by_size = || {
        let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        60 + 60 * bytes.div_ceil(1 << 30)
    };
    Duration::from_secs(args.timeout.unwrap_or_else(by_size))
}

fn print(out: &mut Output, json: bool, looked: &Looked) {
    let sidecar = looked.sidecar.as_ref();
    if json {
        let markers = sidecar.map(|(path, verified)| MarkersVerdict::new(path, verified));
        return out.json_line(&Verdict::new(&looked.path, &looked.run, markers));
    }
    print_text(out, &looked.path, "entries", &looked.run);
    if let Some((path, verified)) = sidecar {
        print_text(out, path, "markers", verified);
    }
}

/// What the verdicts on runs and sidecars share.
struct Said<'a> {
    status: Option<RunStatus>,
    clean: bool,
    scanned: u64,
    findings: Vec<&'a RawValue>,
    findings_omitted: u64,
    error: Option<&'a str>,
}

impl<'a> Said<'a> {
    fn new(verified: &'a Verified) -> Self {
        let mut said = Self {
            status: None,
            clean: false,
            scanned: 0,
            findings: Vec::new(),
            findings_omitted: 0,
            error: None,
        };
        match verified {
            Verified::Scanned(answer) => {
                said.status = answer.status;
                said.clean = answer.findings.is_empty();
                said.scanned = answer.scanned;
                said.findings = answer.findings.iter().map(|found| &*found.json).collect();
                said.findings_omitted = answer.findings_omitted;
            }
            Verified::Damaged { scanned, error } => {
                said.scanned = *scanned;
                said.error = Some(error);
            }
            Verified::Refused(error) => said.error = Some(error),
        }
        said
    }
}

impl<'a> Verdict<'a> {
    fn new(path: &'a Path, verified: &'a Verified, markers: Option<MarkersVerdict<'a>>) -> Self {
        let Said { status, clean, scanned, findings, findings_omitted, error } =
            Said::new(verified);
        let answer = match verified {
            Verified::Scanned(answer) => Some(answer),
            Verified::Damaged { .. } | Verified::Refused(_) => None,
        };
        Self {
            path,
            run_id: answer.and_then(|answer| answer.run_id),
            status,
            clean,
            entries_scanned: scanned,
            root: answer.and_then(|answer| answer.root.as_deref()),
            findings,
            findings_omitted,
            error,
            markers,
        }
    }
}

impl<'a> MarkersVerdict<'a> {
    fn new(path: &'a Path, verified: &'a Verified) -> Self {
        let Said { status, clean, scanned, findings, findings_omitted, error } =
            Said::new(verified);
        Self { path, status, clean, markers_scanned: scanned, findings, findings_omitted, error }
    }
}

fn print_text(out: &mut Output, path: &Path, what: &str, verified: &Verified) {
    let path = path.display();
    let answer = match verified {
        Verified::Scanned(answer) => answer,
        Verified::Damaged { error, .. } => {
            return out.line(format_args!("{path}: DAMAGED: {error}"));
        }
        Verified::Refused(error) => {
            return out.line(format_args!("{path}: not verified: {error}"));
        }
    };
    let status = answer.status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
    let word = if answer.findings.is_empty() { "clean" } else { "DAMAGED" };
    out.line(format_args!("{path}: {word}, {status}, {} {what}", answer.scanned));
    for PrintedFinding { text, .. } in &answer.findings {
        out.line(format_args!("  {text}"));
    }
    if answer.findings_omitted > 0 {
        out.line(format_args!("  and {} more", answer.findings_omitted));
    }
    if let Some(root) = &answer.root {
        out.line(format_args!("  root {root}"));
    }
}
