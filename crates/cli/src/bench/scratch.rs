use std::fs;
use std::path::{Path, PathBuf};

use tapline::UnixNanos;

use crate::error::CliError;
use crate::stderr::tell;

/// A temporary folder below an existing one. Removed when this is dropped. A program that is killed
/// leaves it there.
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(super) fn make(dir: &Path) -> Result<Self, CliError> {
        // Process ids repeat. In containers they repeat at once.
        let name = format!("tapline-bench-{}-{}", UnixNanos::now(), std::process::id());
        let path = dir.join(name);
        // Not made if `dir` is missing: a mistyped name would measure another disk.
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self { path }),
            Err(source) => Err(CliError::Scratch { path, source }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tell(format_args!("{} could not be removed: {error}", self.path.display()));
        }
    }
}
