use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::{InstanceId, UnixNanos};
use crate::store::make_folder;

const FILE: &str = "instance.lock";

/// Holds an instance's folder for one process, or for one lifecycle of it: whoever sweeps it and records
/// into it. Given back when dropped, or when the process dies, however it does.
///
/// The lock is the system's, on a file that stays where it is; what the file says is who has it.
#[derive(Debug)]
pub(super) struct InstanceLock {
    file: File,
}

/// Why an instance's folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process, or another lifecycle of this one, has it.
    #[error("{path} is locked by {holder}; end that one first, or use another instance id")]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who has it.
        holder: LockHolder,
    },
    /// The folder or the lock file could not be made.
    #[error("cannot lock {path}: {source}")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// Number of the process; 0 if it did not say.
    pub process_id: u32,
    /// Its program.
    pub program: String,
    /// When it took the lock.
    pub since: UnixNanos,
}

impl std::fmt::Display for LockHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { process_id, program, since } = self;
        if *process_id == 0 {
            return f.write_str("a process that has not said which");
        }
        write!(f, "process {process_id} ({program}), since {since} ns after 1970")
    }
}

impl LockHolder {
    fn this_process() -> Self {
        let program = std::env::current_exe().ok();
        let program =
            program.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        Self {
            process_id: std::process::id(),
            program: program.unwrap_or_default(),
            since: UnixNanos::now(),
        }
    }

    /// As the holder has written it, which it may be just about to do.
    fn read(mut file: &File) -> Self {
        // A holder's line is short; a file that is none of ours is not read to its end.
        const BYTES_MAX: u64 = 4096;
        let mut text = String::new();
        let read = file.rewind().and_then(|()| file.take(BYTES_MAX).read_to_string(&mut text));
        read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or(Self {
            process_id: 0,
            program: String::new(),
            since: UnixNanos::default(),
        })
    }
}

impl InstanceLock {
    /// Locks the folder of `instance_id` below `base_dir`, which is made where it is missing. Does not wait.
    pub(super) fn acquire(base_dir: &Path, instance_id: &InstanceId) -> Result<Self, LockError> {
        let folder = base_dir.join(instance_id.as_str());
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| LockError::Io { path, source }
        };
        make_folder(&folder).map_err(at(&folder))?;
        let path = folder.join(FILE);
        let opened =
            File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(at(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { holder: LockHolder::read(&file), path });
            }
            Err(TryLockError::Error(source)) => return Err(LockError::Io { path, source }),
        }
        // What it says is for people; the lock holds without.
        let _ = write_holder(&file, &LockHolder::this_process());
        Ok(Self { file })
    }
}

fn write_holder(mut file: &File, holder: &LockHolder) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec(holder)?)
}

impl Drop for InstanceLock {
    fn drop(&mut self) {
        // Nobody holds it from here on; the file stays, since one that is deleted while another waits for
        // it would lock nothing.
        let _ = self.file.set_len(0);
    }
}
