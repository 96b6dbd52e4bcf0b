use std::io;
use std::path::{Path, PathBuf};

use crate::protocol::HaltReason;

/// Boxed source of an error whose type is the backend's own business.
pub(super) type BoxedSource = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What went wrong below the store, in the three classes that ask for different actions.
#[derive(Debug, thiserror::Error)]
pub enum BackendFault {
    /// The disk, a quota or a file size limit is full: make room.
    #[error("no space left for the run file: {0}")]
    Disk(#[source] BoxedSource),
    /// The file is damaged: run `tapline verify` on it, restore from a copy.
    #[error("the run file is damaged: {0}")]
    Corrupted(#[source] BoxedSource),
    /// Anything else: permissions, I/O errors, a lock held by another process.
    #[error("{0}")]
    Other(#[source] BoxedSource),
}

impl BackendFault {
    /// Classifies an I/O error.
    pub fn io(error: io::Error) -> Self {
        match error.kind() {
            // ENOSPC, EDQUOT, and EFBIG, which is what a write past `RLIMIT_FSIZE` gives.
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Disk(error.into()),
            // What redb says of a file that is none of its own, or ends too early.
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Self::Corrupted(error.into())
            }
            _ => Self::Other(error.into()),
        }
    }

    /// The same fault, with the file that met it.
    pub(super) fn at(self, path: &Path) -> Self {
        let at = |source| FaultAt { path: path.to_owned(), source }.into();
        match self {
            Self::Disk(source) => Self::Disk(at(source)),
            Self::Corrupted(source) => Self::Corrupted(at(source)),
            Self::Other(source) => Self::Other(at(source)),
        }
    }

    pub(crate) fn corrupted(error: impl Into<BoxedSource>) -> Self {
        Self::Corrupted(error.into())
    }

    pub(crate) fn redb(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::Io(error) => Self::io(error),
            error @ (redb::Error::Corrupted(_) | redb::Error::UpgradeRequired(_)) => {
                Self::Corrupted(error.into())
            }
            error => Self::Other(error.into()),
        }
    }

    /// True where somebody else has the file open.
    pub(crate) fn is_in_use(&self) -> bool {
        let Self::Other(source) = self else { return false };
        matches!(source.downcast_ref(), Some(redb::Error::DatabaseAlreadyOpen))
    }

    /// The reason to halt a run that met this fault.
    pub(crate) fn halt_reason(&self) -> HaltReason {
        match self {
            Self::Disk(source) => HaltReason::BackendDisk(source.to_string()),
            Self::Corrupted(source) => HaltReason::BackendCorrupted(source.to_string()),
            Self::Other(source) => HaltReason::BackendError(source.to_string()),
        }
    }
}

/// What went wrong, and with which file.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
struct FaultAt {
    path: PathBuf,
    source: BoxedSource,
}
