use std::io;

use crate::model::error_chain;
use crate::protocol::HaltReason;

/// Boxed source of an error whose type is the backend's own business.
pub(super) type BoxedSource = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What went wrong below the store, in the three classes that ask for different actions.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendFault {
    /// The disk, a quota or a file size limit is full: make room.
    #[error("no space left for the run file")]
    Disk(#[source] BoxedSource),
    /// The file is damaged: run `tapline verify` on it, restore from a copy.
    #[error("the run file is damaged")]
    Corrupted(#[source] BoxedSource),
    /// Anything else: permissions, I/O errors, a lock held by another process.
    #[error(transparent)]
    Other(BoxedSource),
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

    /// The reason to halt a run that met this fault.
    pub(crate) fn halt_reason(&self) -> HaltReason {
        match self {
            Self::Disk(source) => HaltReason::BackendDisk(error_chain(&**source)),
            Self::Corrupted(source) => HaltReason::BackendCorrupted(error_chain(&**source)),
            Self::Other(source) => HaltReason::BackendError(error_chain(&**source)),
        }
    }
}
