use std::io;
use std::time::Duration;

use crate::format::{ManifestError, MarkerBlockError};
use crate::model::{RunStatus, THREAD_ADVICE};
use crate::store::{BackendFault, FileError};

/// What went wrong with a sidecar. The run goes on without.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MarkerStoreError {
    /// No sidecar is open on this backend, or no longer on the one that is read.
    #[error("no sidecar is open on this backend")]
    NotOpen,
    /// The sidecar is sealed.
    #[error("the sidecar is sealed as {status} and takes no more markers")]
    Sealed {
        /// Its terminal status.
        status: RunStatus,
    },
    /// `Running` is no terminal status.
    #[error("a sidecar cannot be sealed as Running")]
    AsRunning,
    /// Markers of a batch are not in order, or stand where others are.
    #[error("markers {from} to {to} are not in order, or overlap others")]
    OutOfOrder {
        /// The first marker of the batch.
        from: u64,
        /// Its last.
        to: u64,
    },
    /// A slot of the dictionary is written once.
    #[error("slot {slot} of the dictionary is written already")]
    StreamWritten {
        /// The slot.
        slot: u32,
    },
    /// The file could not be made or opened.
    #[error(transparent)]
    File(#[from] FileError),
    /// A part that every sidecar has is missing.
    #[error("the sidecar has no {what}")]
    Missing {
        /// The part.
        what: &'static str,
    },
    /// The sidecar was written by another version of the format.
    #[error(
        "the sidecar has format version {found}; this program reads version {expected}; use the \
         program that wrote it"
    )]
    Version {
        /// The version in the file.
        found: u64,
        /// The version this program reads.
        expected: u64,
    },
    /// The manifest cannot be decoded.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A block of markers cannot be decoded.
    #[error("the block at marker {first} is damaged")]
    Block {
        /// The block's key.
        first: u64,
        /// What is wrong.
        source: MarkerBlockError,
    },
    /// A row of the dictionary cannot be decoded.
    #[error("the dictionary is damaged")]
    Dict(#[source] MarkerBlockError),
    /// The thread of the sidecar could not be started.
    #[error("cannot start the sidecar's thread; {THREAD_ADVICE}")]
    Thread(#[source] io::Error),
    /// The thread of the sidecar has panicked.
    #[error("the sidecar's thread has panicked")]
    Died,
    /// The thread of the sidecar hangs.
    #[error("the sidecar's thread gave no answer within {waited:?}: its disk may hang")]
    TimedOut {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The disk or the file failed.
    #[error(transparent)]
    Fault(#[from] BackendFault),
}

impl MarkerStoreError {
    pub(super) fn redb(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseClosed => Self::NotOpen,
            error => Self::Fault(BackendFault::redb(error)),
        }
    }

    pub(super) fn unordered(from: u64) -> Self {
        let what = format!("a block before marker {from} stands behind it");
        Self::Fault(BackendFault::corrupted(what))
    }
}
