//! The part of `verify` that looks into a file: it runs in a process of its own, see [`super::worker`].

use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tapline::internals::{changed_since_closed, error_chain};
use tapline::markers::{MarkerStoreError, MarkerVerifier, MarkerVerifyReport, open_sealed_markers};
use tapline::read::{Verifier, VerifyReport};
use tapline::store::{BackendFault, FileError, OpenSealedError, open_sealed_file};
use tapline::{Hash, MarkerCounts, RunId, RunStatus};

use super::Outcome;
use super::error::CliError;
use super::stderr::tell;

#[derive(ClapArgs)]
pub(super) struct Args {
    path: PathBuf,
    #[arg(long)]
    root: Option<Hash>,
    #[arg(long)]
    threads: Option<NonZero<usize>>,
    /// The file is the sidecar of a run, of which so much is known
    #[arg(long)]
    sidecar: bool,
    #[arg(long, requires = "watermark")]
    run_id: Option<RunId>,
    #[arg(long)]
    watermark: Option<u64>,
}

/// What a worker says, a line each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// How far it is: entries, of so many.
    Progress(u64, u64),
    /// All of the run was looked at.
    Scanned(Answer),
    /// What is in the file is no run that can be looked at: a finding about the file.
    Damaged(String),
    /// The file could not be looked at: this says nothing about what is in it.
    Refused(String),
}

/// What a run, or a sidecar, was found to be.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) run_id: Option<RunId>,
    pub(super) status: Option<RunStatus>,
    /// Of a run.
    pub(super) watermark: Option<u64>,
    /// Entries, or markers.
    pub(super) scanned: u64,
    pub(super) root: Option<String>,
    pub(super) findings: Vec<Found>,
    pub(super) findings_omitted: u64,
}

/// A finding, as it is printed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) json: Box<RawValue>,
    pub(super) text: String,
}

impl Found {
    fn new(finding: &(impl Serialize + ToString)) -> Self {
        let json = serde_json::value::to_raw_value(finding);
        Self { json: json.expect("findings are plain data"), text: finding.to_string() }
    }
}

impl Answer {
    fn of_run(report: VerifyReport, watermark: Option<u64>) -> Self {
        Self {
            run_id: report.run_id,
            status: report.status,
            watermark,
            scanned: report.entries_scanned,
            root: report.root.map(|root| root.to_string()),
            findings: report.findings.iter().map(Found::new).collect(),
            findings_omitted: report.findings_omitted,
        }
    }

    fn of_sidecar(report: MarkerVerifyReport) -> Self {
        let MarkerCounts { snapshots, hifi, gaps, dict: _ } = report.counts;
        Self {
            run_id: report.manifest.as_ref().map(|manifest| manifest.run_id),
            status: report.manifest.as_ref().map(|manifest| manifest.status),
            watermark: None,
            scanned: snapshots + hifi + gaps,
            root: None,
            findings: report.findings.iter().map(Found::new).collect(),
            findings_omitted: report.findings_omitted,
        }
    }
}

/// How often progress is said.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    end_with_parent();
    limit_memory(args.threads);
    std::panic::set_hook(Box::new(|panic| tell(format_args!("{panic}"))));
    let line = if args.sidecar { verify_sidecar(args) } else { verify_run(args) };
    say(&line).map_err(CliError::Output)?;
    Ok(Outcome::Clean)
}

fn verify_run(args: &Args) -> Line {
    match open_sealed_file(&args.path) {
        Ok(source) => {
            let mut verifier = Verifier::new(source.clone());
            if let Some(root) = args.root {
                verifier = verifier.expect_root(root);
            }
            if let Some(threads) = args.threads {
                verifier = verifier.threads(threads);
            }
            let watermark = source.manifest().map(|manifest| manifest.high_watermark).ok();
            let mut said = Instant::now();
            let report = verifier.run(|entries| {
                if said.elapsed() >= PROGRESS_EVERY {
                    said = Instant::now();
                    // Should nobody listen, the last line will tell.
                    let _ = say(&Line::Progress(entries, watermark.unwrap_or(0)));
                }
            });
            Line::Scanned(Answer::of_run(report, watermark))
        }
        Err(OpenSealedError::File(error)) => could_not_open(&args.path, &error),
        Err(error) => Line::Damaged(error_chain(&error)),
    }
}

fn verify_sidecar(args: &Args) -> Line {
    match open_sealed_markers(&args.path) {
        Ok(source) => {
            let mut verifier = MarkerVerifier::new(source);
            if let Some((run_id, watermark)) = args.run_id.zip(args.watermark) {
                verifier = verifier.beside(run_id, watermark);
            }
            Line::Scanned(Answer::of_sidecar(verifier.run()))
        }
        Err(MarkerStoreError::File(error)) => could_not_open(&args.path, &error),
        Err(MarkerStoreError::Fault(fault @ BackendFault::Other(_))) => {
            Line::Refused(error_chain(&fault))
        }
        Err(error) => Line::Damaged(error_chain(&error)),
    }
}

fn say(line: &Line) -> io::Result<()> {
    let mut line = serde_json::to_vec(line)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// Tells damage, which is in the file's content, from what keeps the file from being looked at: the
/// system, or that the run is not over.
fn could_not_open(path: &Path, error: &FileError) -> Line {
    match error {
        FileError::NotSealed { .. } if changed_since_closed(path) => damaged_since_closed(path),
        FileError::Fault { source: BackendFault::Other(source), .. }
            if source.is::<io::Error>() =>
        {
            Line::Refused(error_chain(error))
        }
        FileError::Fault { .. } => Line::Damaged(error_chain(error)),
        _ => Line::Refused(error_chain(error)),
    }
}

fn damaged_since_closed(path: &Path) -> Line {
    let path = path.display();
    Line::Damaged(format!(
        "{path} was closed in order, and changed since: it was cut, or its structure does not fit"
    ))
}

/// Ends this process when the one that waits for it is gone: its end of our stdin closes then.
fn end_with_parent() {
    let watch = || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(2);
    };
    // Without it, a worker may outlive the program by the time it takes to verify the file.
    let _ = std::thread::Builder::new().name("watch-parent".to_owned()).spawn(watch);
}

/// Lets a length that a damaged file claims fail here, instead of taking the machine's memory. A
/// sound run needs the memory of some frames of at most 32 MiB a thread and the tables of names; a
/// thread's share of address space is larger, since the allocator reserves more than it uses.
#[cfg(target_os = "linux")]
fn limit_memory(threads: Option<NonZero<usize>>) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    const BYTES: u64 = 4 << 30;
    const BYTES_A_THREAD: u64 = 256 << 20;
    let processors = || std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = threads.map_or_else(processors, NonZero::get).min(Verifier::THREADS_MAX.get());
    let limit = |resource, bytes: u64| {
        let maximum = getrlimit(resource).maximum;
        let current = Some(maximum.map_or(bytes, |maximum| maximum.min(bytes)));
        // A system that does not take the limit is no reason not to verify.
        let _ = setrlimit(resource, Rlimit { current, maximum });
    };
    limit(Resource::As, BYTES + threads as u64 * BYTES_A_THREAD);
    // What a damaged file did to this process is worth no file of its memory.
    limit(Resource::Core, 0);
}

#[cfg(not(target_os = "linux"))]
fn limit_memory(_threads: Option<NonZero<usize>>) {}
