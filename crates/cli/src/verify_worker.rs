//! The part of `verify` that reads a file. It runs in a process of its own, see [`super::worker`].

use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tapline::internals::{changed_since_closed, error_chain, fits_its_checksums};
use tapline::markers::{
    MarkerSource, MarkerStoreError, MarkerVerifier, MarkerVerifyReport, open_markers,
    open_sealed_markers,
};
use tapline::read::{Verifier, VerifyReport};
use tapline::store::{
    BackendFault, FileError, OpenSealedError, ReadFault, RunReader, open_file, open_sealed_file,
};
use tapline::{Hash, MarkerCounts, RunId, RunStatus};

use super::Outcome;
use super::error::CliError;
use super::open_run::changed;
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

/// A report of a worker. Each is one line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// Progress: entries scanned, and entries in all.
    Progress(u64, u64),
    /// The whole file was checked.
    Scanned(Answer),
    /// The file's content is no run that can be checked. This is a finding about the file.
    Damaged(String),
    /// The file could not be checked. This says nothing about its content.
    Refused(String),
}

/// The result for a run or a sidecar.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) run_id: Option<RunId>,
    pub(super) status: Option<RunStatus>,
    /// Only for a run.
    pub(super) watermark: Option<u64>,
    /// Entries, or markers.
    pub(super) scanned: u64,
    pub(super) root: Option<String>,
    pub(super) findings: Vec<PrintedFinding>,
    pub(super) findings_omitted: u64,
}

/// A finding, as it is printed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PrintedFinding {
    pub(super) json: Box<RawValue>,
    pub(super) text: String,
}

impl PrintedFinding {
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
            findings: report.findings.iter().map(PrintedFinding::new).collect(),
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
            findings: report.findings.iter().map(PrintedFinding::new).collect(),
            findings_omitted: report.findings_omitted,
        }
    }
}

/// How often progress is reported.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    end_with_parent();
    limit_memory(args.threads);
    std::panic::set_hook(Box::new(|panic| tell(format_args!("{panic}"))));
    let line = if args.sidecar { verify_sidecar(args) } else { verify_run(args) };
    say(&line).map_err(CliError::Output)?;
    Ok(Outcome::Clean)
}

fn verify_run(args: &Args) -> Report {
    match open_run(&args.path, args.root.is_some()) {
        Ok(source) => {
            let mut verifier = Verifier::new(source.clone());
            if let Some(root) = args.root {
                verifier = verifier.expect_root(root);
            }
            if let Some(threads) = args.threads {
                verifier = verifier.threads(threads);
            }
            let watermark = whole_watermark(&*source);
            let mut said = Instant::now();
            let report = verifier.run(|entries| {
                if said.elapsed() >= PROGRESS_EVERY {
                    said = Instant::now();
                    // If nobody listens, the last line will fail too.
                    let _ = say(&Report::Progress(entries, watermark.unwrap_or(0)));
                }
            });
            Report::Scanned(Answer::of_run(report, watermark))
        }
        Err(OpenSealedError::File(error)) => could_not_open(&args.path, &error),
        Err(OpenSealedError::Read { source: ReadFault::Version { found, expected }, .. }) => {
            another_version(&args.path, found, expected)
        }
        Err(error) => Report::Damaged(error_chain(&error)),
    }
}

/// Opens a run. One that was left behind is read up to its last commit, unless it must have been
/// sealed: it has a root, or says that it is.
fn open_run(path: &Path, has_root: bool) -> Result<Arc<dyn RunReader>, OpenSealedError> {
    let error = match open_sealed_file(path) {
        Err(OpenSealedError::File(error @ FileError::NotSealed { .. })) => error,
        opened => return opened,
    };
    if has_root || changed_since_closed(path) {
        return Err(error.into());
    }
    let source = open_file(path)?;
    match source.manifest() {
        Ok(manifest) if manifest.status.is_sealed() => Err(error.into()),
        _ => Ok(source),
    }
}

/// The last entry there should be: of a sealed run as its manifest says.
fn whole_watermark(source: &dyn RunReader) -> Option<u64> {
    let manifest = source.manifest().ok()?;
    if manifest.status.is_sealed() {
        Some(manifest.high_watermark)
    } else {
        source.watermark().ok()
    }
}

/// As [`open_run`].
fn open_sidecar(path: &Path) -> Result<Arc<dyn MarkerSource>, MarkerStoreError> {
    let error = match open_sealed_markers(path) {
        Err(MarkerStoreError::File(error @ FileError::NotSealed { .. })) => error,
        opened => return opened,
    };
    if changed_since_closed(path) {
        return Err(error.into());
    }
    let source = open_markers(path)?;
    if source.manifest()?.status.is_sealed() { Err(error.into()) } else { Ok(source) }
}

/// A file in another version of the format is not damaged. But a damaged one can look like that.
fn another_version(path: &Path, found: u64, expected: u64) -> Report {
    let path_text = path.display();
    let what = format!("format version {found}, and this program reads version {expected}");
    if fits_its_checksums(path) {
        Report::Refused(format!(
            "{path_text} was written by another version of tapline: it has {what}; verify it with \
             the program that wrote it"
        ))
    } else {
        Report::Damaged(format!("{path_text} has {what}, and does not fit its checksums"))
    }
}

fn verify_sidecar(args: &Args) -> Report {
    match open_sidecar(&args.path) {
        Ok(source) => {
            let mut verifier = MarkerVerifier::new(source);
            if let Some((run_id, watermark)) = args.run_id.zip(args.watermark) {
                verifier = verifier.beside(run_id, watermark);
            }
            Report::Scanned(Answer::of_sidecar(verifier.run()))
        }
        Err(MarkerStoreError::File(error)) => could_not_open(&args.path, &error),
        Err(MarkerStoreError::Version { found, expected }) => {
            another_version(&args.path, found, expected)
        }
        Err(MarkerStoreError::Fault(fault @ BackendFault::Other(_))) => {
            Report::Refused(error_chain(&fault))
        }
        Err(error) => Report::Damaged(error_chain(&error)),
    }
}

fn say(line: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(line)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// Tells damage in the file's content from reasons outside of it: an error of the system, or a run
/// that is not over.
fn could_not_open(path: &Path, error: &FileError) -> Report {
    match error {
        FileError::NotSealed { .. } if changed_since_closed(path) => Report::Damaged(changed(path)),
        FileError::Fault { source: BackendFault::Other(source), .. }
            if source.is::<io::Error>() =>
        {
            Report::Refused(error_chain(error))
        }
        FileError::Fault { .. } => Report::Damaged(error_chain(error)),
        _ => Report::Refused(error_chain(error)),
    }
}

/// Ends this process when its parent is gone. Then the parent's end of our stdin closes.
fn end_with_parent() {
    let watch = || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(2);
    };
    // Without this thread, a worker may outlive the program while it verifies the file.
    let _ = std::thread::Builder::new().name("watch-parent".to_owned()).spawn(watch);
}

/// Limits memory, so that a huge length in a damaged file fails here and does not take the
/// machine's memory. A sound run needs some frames of at most 32 MiB a thread and the tables of
/// names. The limit for each thread is larger, because the allocator reserves more address space
/// than it uses.
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
        // A system that refuses the limit can still verify.
        let _ = setrlimit(resource, Rlimit { current, maximum });
    };
    limit(Resource::As, BYTES + threads as u64 * BYTES_A_THREAD);
    // If a damaged file crashes this process, its memory is not worth a core file.
    limit(Resource::Core, 0);
}

#[cfg(not(target_os = "linux"))]
fn limit_memory(_threads: Option<NonZero<usize>>) {}
