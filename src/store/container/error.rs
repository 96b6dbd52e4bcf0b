use std::io;
use std::path::{Path, PathBuf};

use crate::store::BackendFault;

/// Why the file of a run, or of its sidecar, could not be made or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is no such file.
    #[error("there is no file {path}")]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// There is something in the place of a file that is to be made.
    #[error("{path} is there already")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Another process, or another backend of this one, has it open.
    #[error("{path} is in use by another process or backend")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is still being written, or its process died.
    #[error(
        "{path} is not sealed: it is being recorded, or was left behind by a crash or a halt; if nobody \
         records it, seal it with `tapline recover`"
    )]
    NotSealed {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in it.
    #[error("{path} is empty")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The disk failed, or the file is damaged.
    #[error("cannot open {path}")]
    Fault {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        source: BackendFault,
    },
}

impl FileError {
    /// The system refused something that was to be done to the file or folder at `path`.
    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            _ => Self::Fault { path, source: BackendFault::io(error) },
        }
    }

    /// redb could not open the file at `path`.
    pub(super) fn redb(path: &Path, error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse { path: path.to_owned() },
            redb::Error::RepairAborted => Self::NotSealed { path: path.to_owned() },
            redb::Error::Io(error) => Self::io(path, error),
            error => Self::Fault { path: path.to_owned(), source: BackendFault::redb(error) },
        }
    }
}
