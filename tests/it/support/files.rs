//! Files before and after.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// A file's state, for a comparison later.
#[derive(PartialEq)]
pub(crate) struct FileState {
    bytes: Vec<u8>,
    modified: SystemTime,
}

impl FileState {
    pub(crate) fn of(path: &Path) -> Self {
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
        Self {
            bytes: fs::read(path).expect("the file is readable"),
            modified: modified.expect("the system keeps modification times"),
        }
    }
}

/// Asserts that `read_only` does not change the file's content or modification time.
pub(crate) fn assert_unchanged<R>(path: &Path, read_only: impl FnOnce() -> R) -> R {
    let before = FileState::of(path);
    let outcome = read_only();
    assert!(FileState::of(path) == before, "{} was changed", path.display());
    outcome
}
