use std::io;
use std::path::PathBuf;

use tapline::capture::CaptureError;
use tapline::engine::{CloseError, ProducerError, WaitError};
use tapline::internals::error_chain;
use tapline::markers::MarkerStoreError;
use tapline::read::ReadError;
use tapline::runs::{RetentionError, SweepError};
use tapline::session::OpenError;
use tapline::store::OpenSealedError;
use tapline::{HaltReason, IndexKindError, ParseError};

use super::snapshots::KeepError;

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
        "{text:?} is neither a run file nor the id of a run in {folder}; `tapline ls` lists runs"
    )]
    NoSuchRun { text: String, folder: PathBuf },
    #[error("there is no index kind {name:?} in this run; it has: {known}")]
    UnknownKind { name: String, known: String },
    #[error("cannot open a run in {dir}")]
    Open { dir: PathBuf, source: Box<OpenError> },
    #[error(transparent)]
    Sweep(#[from] SweepError),
    #[error(transparent)]
    Retention(#[from] RetentionError),
    #[error("the portfolio could not be kept up with the run")]
    Keep(#[source] KeepError),
    #[error("{path}")]
    Read { path: PathBuf, source: ReadError },
    #[error(transparent)]
    OpenSealed(#[from] OpenSealedError),
    #[error("cannot read the data markers in {path}")]
    Markers { path: PathBuf, source: MarkerStoreError },
    #[error(
        "run {path} could not be closed: {}; what it has is durable up to its watermark, and it is \
         left unsealed",
        error_chain(.error)
    )]
    Close { path: PathBuf, error: CloseError },
    #[error("cannot start a producer")]
    Producer(#[from] ProducerError),
    #[error("cannot start a thread")]
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
    pub(super) fn read(path: &std::path::Path, source: impl Into<ReadError>) -> Self {
        Self::Read { path: path.to_owned(), source: source.into() }
    }
}
