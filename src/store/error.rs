use std::path::{Path, PathBuf};

use super::{BackendFault, FileError};
use crate::format::{FrameError, ManifestError};
use crate::model::{InstanceId, RunId, RunStatus, THREAD_ADVICE};

/// Why a run could not be opened for writing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenRunError {
    /// This backend has a run open already.
    #[error("run {open} is open on this backend; seal it first")]
    RunOpen {
        /// The open run.
        open: RunId,
    },
    /// The run was sealed earlier.
    #[error("run {run_id} is sealed as {status} and takes no more entries")]
    Sealed {
        /// The run.
        run_id: RunId,
        /// Its terminal status.
        status: RunStatus,
    },
    /// The file holds another run than its name says, one of another instance, or no run.
    #[error("{path} does not hold run {run_id} of instance {instance_id}")]
    Foreign {
        /// The run file.
        path: PathBuf,
        /// The run asked for.
        run_id: RunId,
        /// Its instance.
        instance_id: InstanceId,
    },
    /// What is in the run file cannot be read.
    #[error("cannot read {path}")]
    Damaged {
        /// The run file.
        path: PathBuf,
        /// What is wrong.
        source: ReadFault,
    },
    /// The folder could not be made, or the file not be made or opened.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system gave no thread for the write-ahead log.
    #[error("cannot start the thread of the write-ahead log; {THREAD_ADVICE}")]
    Thread(#[source] std::io::Error),
}

impl OpenRunError {
    pub(super) fn foreign(path: &Path, instance_id: &InstanceId, run_id: RunId) -> Self {
        Self::Foreign { path: path.to_owned(), run_id, instance_id: instance_id.clone() }
    }
}

/// Why a frame was not appended. Nothing of it was stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// `open_run` was not called.
    #[error("no run is open on this backend; call open_run first")]
    NoOpenRun,
    /// The run is sealed.
    #[error("the run is sealed and takes no more entries")]
    Closed,
    /// The frame has no entries.
    #[error("the frame has no entries: a frame to append needs at least one")]
    Empty,
    /// The frame does not continue the log.
    #[error("the frame begins with seq {got}, but the durable watermark is {watermark}")]
    OutOfOrder {
        /// The frame's first `seq`.
        got: u64,
        /// The durable watermark; `watermark + 1` would be accepted.
        watermark: u64,
    },
    /// The frame was built on another log: it does not continue from the last root, or counts its
    /// names from elsewhere.
    #[error("the frame does not continue from the run's last frame, which ends at seq {watermark}")]
    BrokenChain {
        /// The durable watermark.
        watermark: u64,
    },
    /// The backend failed. The run must not be written on: a failed sync may have lost pages.
    #[error("cannot append")]
    Fault(#[from] BackendFault),
}

/// Why an anchor was not recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// `open_run` was not called.
    #[error("no run is open on this backend; call open_run first")]
    NoOpenRun,
    /// The run is sealed.
    #[error("the run is sealed; its anchor is final")]
    Closed,
    /// The anchor names an entry that is not durable.
    #[error("the anchor is at seq {anchor}, past the durable watermark {watermark}")]
    PastWatermark {
        /// Where the anchor points.
        anchor: u64,
        /// The durable watermark.
        watermark: u64,
    },
    /// What names the snapshot is too long. It is to say where the snapshot is, not to be it.
    #[error("the anchor's blob_ref has {bytes} bytes: allowed are up to {max}")]
    BlobRefLength {
        /// Bytes of the `blob_ref`.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// A later anchor is recorded already.
    #[error("the anchor is at seq {anchor}, before the recorded one at {recorded}")]
    MovedBack {
        /// Where the anchor points.
        anchor: u64,
        /// Where the recorded anchor points.
        recorded: u64,
    },
    /// The backend failed.
    #[error("cannot record the anchor")]
    Fault(#[from] BackendFault),
}

/// Why a run was not sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// `open_run` was not called.
    #[error("no run is open on this backend; call open_run first")]
    NoOpenRun,
    /// `Running` is no terminal status.
    #[error("a run cannot be sealed as Running")]
    AsRunning,
    /// Where the run ends cannot be read, so that it can only be sealed as quarantined.
    #[error("the end of the run is damaged: it can be sealed as Quarantined, not as {status}")]
    WithoutEnd {
        /// The status asked for.
        status: RunStatus,
    },
    /// It is sealed already.
    #[error("the run is sealed already, as {status}")]
    Sealed {
        /// Its terminal status.
        status: RunStatus,
    },
    /// The backend failed.
    #[error("cannot seal the run")]
    Fault(#[from] BackendFault),
}

/// Why something could not be read from a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadFault {
    /// The run is closed: who wrote it has let go of it, and no sealed file of it can be opened in
    /// its place.
    #[error("the run is closed, and was not sealed")]
    Closed,
    /// It is a file of redb, and has not the tables of a run.
    #[error("it holds no run")]
    NoRun,
    /// A part every run has is missing.
    #[error("the run has no {what}")]
    Missing {
        /// The part.
        what: &'static str,
    },
    /// The file holds another run than its name says, or one of another instance than its folder.
    #[error("it holds run {run_id} of instance {instance_id}")]
    Foreign {
        /// The run in the file.
        run_id: RunId,
        /// Its instance.
        instance_id: InstanceId,
    },
    /// The file was written by another version of the format.
    #[error(
        "the run file has format version {found}; this program reads version {expected}; use the \
         program that wrote it"
    )]
    Version {
        /// The version in the file.
        found: u64,
        /// The version this program reads.
        expected: u64,
    },
    /// Manifest or anchor cannot be decoded.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A frame cannot be decoded.
    #[error("the frame at seq {first_seq} is damaged")]
    Frame {
        /// The frame's key.
        first_seq: u64,
        /// What is wrong.
        source: FrameError,
    },
    /// The backend failed.
    #[error(transparent)]
    Fault(#[from] BackendFault),
}

impl ReadFault {
    pub(super) fn redb(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseClosed => Self::Closed,
            error => Self::Fault(BackendFault::redb(error)),
        }
    }

    /// A walk has come past the frame stored under `first_seq`, and no search comes there: in a
    /// damaged tree this can be.
    pub(crate) fn unfindable_frame(first_seq: u64) -> Self {
        BackendFault::corrupted(format!("no search finds the frame at seq {first_seq}")).into()
    }
}

/// Why a sealed run could not be opened for reading.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenSealedError {
    /// The file could not be opened; a run that is still being written, or whose process died, is
    /// [`FileError::NotSealed`].
    #[error(transparent)]
    File(#[from] FileError),
    /// What is in the file is no run that can be read.
    #[error("cannot read {path}")]
    Read {
        /// The run file.
        path: PathBuf,
        /// What is wrong.
        source: ReadFault,
    },
}
