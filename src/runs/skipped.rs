use std::path::PathBuf;

use serde::Serialize;

use crate::markers::MarkerStoreError;
use crate::model::error_chain;
use crate::store::{BackendFault, FileError, OpenSealedError, ReadFault};

/// A file that a sweep could not recover or read, or a damaged sidecar that it sealed as such.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedFile {
    /// The file.
    pub path: PathBuf,
    /// What a node can do about it.
    pub kind: SkipKind,
    /// What is wrong with it.
    pub error: String,
}

/// Why a sweep skipped a file, before it is said which.
#[derive(Debug)]
pub(super) struct SkipReason {
    pub(super) kind: SkipKind,
    text: String,
}

/// What a node can do about a skipped file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipKind {
    /// Another process has it open: try again when that process has closed it.
    InUse,
    /// It is damaged: put a copy in its place, or move it away.
    Damaged,
    /// The system refused to read or seal it: a permission is missing, the disk is full or failed,
    /// or it is no regular file.
    Io,
    /// It is in another version of the format: start the version of the program that wrote it.
    OtherVersion,
    /// It is no run of this instance, or not the run that its name says: move it away.
    Foreign,
}

impl SkipReason {
    pub(super) fn new(kind: SkipKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(super) fn at(self, path: PathBuf) -> SkippedFile {
        SkippedFile { path, kind: self.kind, error: self.text }
    }
}

impl From<&OpenSealedError> for SkipReason {
    fn from(error: &OpenSealedError) -> Self {
        let kind = match error {
            // It was recovered, but the file is not closed: another process that reads it holds it.
            OpenSealedError::File(FileError::NotSealed { .. }) => SkipKind::InUse,
            OpenSealedError::File(error) => SkipKind::of_file(error),
            OpenSealedError::Read { source, .. } => SkipKind::of_read(source),
        };
        Self::new(kind, error_chain(error))
    }
}

impl From<&MarkerStoreError> for SkipReason {
    fn from(error: &MarkerStoreError) -> Self {
        let kind = match error {
            MarkerStoreError::Version { .. } => SkipKind::OtherVersion,
            MarkerStoreError::Missing { .. }
            | MarkerStoreError::Manifest(_)
            | MarkerStoreError::Block { .. }
            | MarkerStoreError::Dict(_) => SkipKind::Damaged,
            MarkerStoreError::Fault(source) => SkipKind::of_fault(source),
            MarkerStoreError::File(error) => SkipKind::of_file(error),
            _ => SkipKind::Io,
        };
        Self::new(kind, error_chain(error))
    }
}

impl SkipKind {
    pub(super) fn of_file(error: &FileError) -> Self {
        match error {
            FileError::InUse { .. } => Self::InUse,
            FileError::Empty { .. } | FileError::NotSealed { .. } => Self::Damaged,
            FileError::Fault { source, .. } => Self::of_fault(source),
            FileError::NotFound { .. } | FileError::Exists { .. } => Self::Io,
        }
    }

    pub(super) fn of_read(fault: &ReadFault) -> Self {
        match fault {
            ReadFault::Foreign { .. } | ReadFault::NoRun => Self::Foreign,
            ReadFault::Version { .. } => Self::OtherVersion,
            ReadFault::Missing { .. } | ReadFault::Manifest(_) | ReadFault::Frame { .. } => {
                Self::Damaged
            }
            ReadFault::Fault(fault) => Self::of_fault(fault),
            ReadFault::Closed => Self::InUse,
        }
    }

    pub(super) fn of_fault(fault: &BackendFault) -> Self {
        match fault {
            BackendFault::Corrupted(_) => Self::Damaged,
            BackendFault::Disk(_) | BackendFault::Other(_) => Self::Io,
        }
    }
}
