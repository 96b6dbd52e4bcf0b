use std::io;
use std::path::PathBuf;

/// Why no sweep could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// Another process, or another session of this one, has the instance's folder.
    #[error("{path} is locked by {holder}; end that one first, or use another instance id")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that took it; `None` if it did not say.
        process_id: Option<u32>,
        /// Who has it and since when, in words. Says so if that process no longer runs.
        holder: String,
    },
    /// The folder or the lock file could not be made, or the lock file is no regular file.
    #[error("cannot lock {path}")]
    Lock {
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The instance's folder could not be listed.
    #[error("cannot list the runs in {path}")]
    List {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}
