use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use tapline::capture::CaptureError;
use tapline::engine::{CloseError, ProducerError, WaitError};
use tapline::internals::error_chain;
use tapline::markers::MarkerStoreError;
use tapline::read::ReadError;
use tapline::runs::{RetentionError, SkipKind, SweepError};
use tapline::session::OpenError;
use tapline::store::{FileError, OpenSealedError};
use tapline::{HaltReason, IndexKindError, ParseError};
use tapline_catalog::{JoinError, MarkerJoinError, ParquetCatalogError, PlanError};

use super::snapshots::KeepError;
use super::words::{recover_command, room_to_seal};

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error("cannot read {path}")]
    Input { path: String, source: io::Error },
    #[error("cannot read {path} after line {line}; what came before is recorded")]
    InputBrokeOff { path: String, line: u64, source: io::Error },
    #[error("cannot keep bad lines in {path}; the recording ended there")]
    KeepBadLine { path: PathBuf, source: io::Error },
    #[error("cannot write to stdout")]
    Output(#[source] io::Error),
    #[error("cannot list {path}")]
    List { path: PathBuf, source: io::Error },
    #[error(
        "{name:?} is neither a run file nor the beginning of the id of a run in {folder}; \
         `tapline ls` lists runs"
    )]
    NoSuchRun { name: PathBuf, folder: PathBuf },
    #[error("{beginning:?} begins the ids of several runs; give more of one: {ids}")]
    SeveralRuns { beginning: String, ids: String },
    #[error("there is no index kind {name:?} in this run; it has: {known}")]
    UnknownKind { name: String, known: String },
    #[error("cannot open a run in {dir}{}", how_to_open(.source))]
    Open { dir: PathBuf, source: Box<OpenError> },
    #[error(
        "cannot open a run in {dir}: {}{}", error_chain(.error), how_to_pass_over(.error)
    )]
    PassedOver { dir: PathBuf, error: Box<OpenError> },
    #[error(transparent)]
    Sweep(#[from] SweepError),
    #[error(transparent)]
    Retention(#[from] RetentionError),
    #[error("the market data is not in the catalog")]
    Catalog(#[source] ParquetCatalogError),
    #[error("cannot list the catalog {path}; --catalog names its folder")]
    ListCatalog { path: PathBuf, source: ParquetCatalogError },
    #[error("cannot plan the replay")]
    PlanReplay(#[from] PlanError),
    #[error("cannot replay {path}")]
    Replay { path: PathBuf, source: JoinError },
    #[error("cannot join {path} with the catalog")]
    JoinMarkers { path: PathBuf, source: MarkerJoinError },
    #[error("the portfolio could not be kept up with the run")]
    Keep(#[source] KeepError),
    #[error("{path}")]
    Read { path: PathBuf, source: ReadError },
    #[error(transparent)]
    OpenSealed(#[from] OpenSealedError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot read the data markers in {path}")]
    Markers { path: PathBuf, source: MarkerStoreError },
    #[error(
        "run {path} could not be closed: {}; what it has is durable up to its watermark, and it is \
         left unsealed; {}",
        error_chain(.error), how_to_seal(.path, .error)
    )]
    Close { path: PathBuf, error: CloseError },
    #[error("cannot start a producer")]
    Producer(#[from] ProducerError),
    #[error(
        "cannot start a thread; the limit on processes (`ulimit -u`, a container's pids.max) or on \
         memory (`ulimit -v`) may be reached"
    )]
    Thread(#[source] io::Error),
    #[error("thread {name} panicked: {said}; what came after is not recorded")]
    ThreadDied { name: String, said: String },
    #[error("cannot use {path}")]
    Scratch { path: PathBuf, source: io::Error },
    #[error("the run halted: {0}")]
    Halted(HaltReason),
    #[error("a message was not captured")]
    Refused(#[from] CaptureError),
    #[error("what was captured did not become durable")]
    NotDurable(#[from] WaitError),
    #[error(transparent)]
    Instance(#[from] ParseError),
    #[error(transparent)]
    Kind(#[from] IndexKindError),
    #[error("{0}")]
    Usage(String),
}

impl CliError {
    pub(super) fn read(path: &Path, source: impl Into<ReadError>) -> Self {
        Self::Read { path: path.to_owned(), source: source.into() }
    }
}

/// What to do about a run that was left unsealed.
fn how_to_seal(path: &Path, error: &CloseError) -> String {
    let command = recover_command(path);
    let seals = format!("`{command}` or the next recording seals it");
    let is_full = match error {
        CloseError::Halted(reason) => matches!(reason, HaltReason::BackendDisk(_)),
        error => is_full(error),
    };
    if !is_full {
        return seals;
    }
    let room = room_to_seal(std::fs::metadata(path).map_or(0, |metadata| metadata.len()));
    format!(
        "make room on the disk, or raise the limit on file size (`ulimit -f`): {room} more are \
         enough; then {seals}"
    )
}

/// The option for what the library's text names by its setting. There is none for a run in another
/// version of the format.
fn how_to_pass_over(error: &OpenError) -> &'static str {
    match error {
        OpenError::PassedOver { file, .. } if file.kind != SkipKind::OtherVersion => {
            " (the option --on-unreadable-run pass-over)"
        }
        _ => "",
    }
}

/// What to do about a disk without room for a new run.
fn how_to_open(error: &OpenError) -> &'static str {
    if is_full(error) {
        "; make room on the disk (`df -h`, `df -i` for inodes), or raise the limit on file size \
         (`ulimit -f`), and start again"
    } else {
        ""
    }
}

/// True if there was no room on the disk, or a limit on file size was reached.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge];
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|error| full.contains(&error.kind())) {
            return true;
        }
        next = error.source();
    }
    false
}
