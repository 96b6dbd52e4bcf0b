use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::sweep_error::SweepError;
use crate::model::{InstanceId, UnixNanos};
use crate::store::make_folder;
use crate::sync::OwnProcess;

const FILE: &str = "instance.lock";

/// Holds an instance's folder for one process, or for one lifecycle of it. The holder sweeps the
/// folder and records into it. The lock is released when this is dropped, and whenever the process
/// dies.
///
/// The lock is the system's. It is on a file that stays where it is, and the file says who holds
/// it.
#[derive(Debug)]
pub(crate) struct InstanceLock {
    file: File,
    process: OwnProcess,
}

/// The holder of a lock.
#[derive(Debug, Serialize, Deserialize)]
struct LockHolder {
    /// Number of the process; 0 if it did not say.
    process_id: u32,
    /// Its program.
    program: String,
    /// When it took the lock.
    since: UnixNanos,
}

/// If the holder of a lock still runs.
#[derive(Debug, PartialEq, Eq)]
enum HolderState {
    /// It runs.
    Running,
    /// It is gone, but a process that it started has inherited the file and still holds the lock.
    Gone,
    /// This system does not tell, or the holder did not say which process it is.
    Unknown,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process_id, program, since } = self;
        if *process_id == 0 {
            return f.write_str("a process that has not said which");
        }
        write!(f, "process {process_id} ({program}), since {}", UtcSeconds(*since))
    }
}

impl fmt::Display for HolderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running | Self::Unknown => "",
            Self::Gone => {
                ", which no longer runs: a process that it started has inherited the lock"
            }
        })
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

    /// Reads the line that the holder writes. The holder may be writing it just now.
    fn read(mut file: &File) -> Self {
        // A holder's line is short. A file of somebody else is not read to its end.
        const BYTES_MAX: u64 = 4096;
        let mut text = String::new();
        let read = file.rewind().and_then(|()| file.take(BYTES_MAX).read_to_string(&mut text));
        read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or(Self {
            process_id: 0,
            program: String::new(),
            since: UnixNanos::default(),
        })
    }

    fn holds(&self, path: PathBuf, state: HolderState) -> SweepError {
        let process_id = Some(self.process_id).filter(|id| *id != 0);
        SweepError::Locked { path, process_id, holder: format!("{self}{state}") }
    }

    fn state(&self) -> HolderState {
        let processes = Path::new("/proc");
        // Without an entry for this process, there is no list to look into.
        if self.process_id == 0 || !processes.join("self").exists() {
            return HolderState::Unknown;
        }
        if processes.join(self.process_id.to_string()).exists() {
            HolderState::Running
        } else {
            HolderState::Gone
        }
    }
}

impl InstanceLock {
    /// Locks the folder of `instance_id` below `base_dir`. Makes the folder if it is missing. Does
    /// not wait.
    pub(crate) fn acquire(base_dir: &Path, instance_id: &InstanceId) -> Result<Self, SweepError> {
        let folder = base_dir.join(instance_id.as_str());
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| SweepError::Lock { path, source }
        };
        make_folder(&folder).map_err(at(&folder))?;
        let path = folder.join(FILE);
        let file = open(&path).map_err(at(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = LockHolder::read(&file);
                return Err(holder.holds(path, holder.state()));
            }
            Err(TryLockError::Error(source)) => return Err(SweepError::Lock { path, source }),
        }
        // The line is for people. The lock holds without it.
        let _ = write_holder(&file, &LockHolder::this_process());
        Ok(Self { file, process: OwnProcess::this() })
    }
}

/// Opens or makes the lock file. Its content will be replaced, so links and anything but regular
/// files are refused.
fn open(path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => return Err(no_regular_file()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    follow_no_link(&mut options);
    let file = options.open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(no_regular_file()) }
}

fn no_regular_file() -> io::Error {
    io::Error::other("it is no regular file; move it away")
}

/// Refuses a link that somebody creates between the check and the opening.
#[cfg(target_os = "linux")]
fn follow_no_link(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;

    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
}

#[cfg(not(target_os = "linux"))]
fn follow_no_link(_options: &mut OpenOptions) {}

fn write_holder(mut file: &File, holder: &LockHolder) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec(holder)?)
}

impl Drop for InstanceLock {
    fn drop(&mut self) {
        if self.process.is_forked() {
            // It is the parent's. Closing the child's copy leaves it locked.
            return;
        }
        // Nobody holds it from here on. The file stays: if it were deleted while another process
        // waits for it, that process would lock nothing.
        let _ = self.file.set_len(0);
        // Closing the file is not enough: a process that was started meanwhile may have inherited
        // it.
        let _ = self.file.unlock();
    }
}

/// A time to the second, as people read it: `2026-12-01T01:04:39Z`.
struct UtcSeconds(UnixNanos);

impl fmt::Display for UtcSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_u64() / 1_000_000_000;
        let (year, month, day) = civil_date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Year, month and day, `days` after 1970-01-01. This is `civil_from_days` of Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms". Its years begin in March, so that a leap day is
/// the last day of its year. An era is 400 years.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_BEFORE_1970: u64 = 719_468; // since the first of March of the year 0
    const DAYS_OF_ERA: u64 = 146_097;
    let days = days + DAYS_BEFORE_1970;
    let (era, day_of_era) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_as_a_utc_date() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (1_796_080_298, "2026-11-30T23:11:38Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (18_446_744_073, "2554-07-21T23:34:33Z"),
        ] {
            let time = UtcSeconds(UnixNanos::new(seconds * 1_000_000_000));
            assert_eq!(time.to_string(), text);
        }
    }

    /// Stands for a process that was started meanwhile.
    #[test]
    fn an_inherited_file_does_not_keep_the_lock() {
        let base = tempfile::tempdir().unwrap();
        let instance_id: InstanceId = "node-1".parse().unwrap();
        let lock = InstanceLock::acquire(base.path(), &instance_id).unwrap();
        let inherited = lock.file.try_clone().unwrap();
        drop(lock);
        assert!(InstanceLock::acquire(base.path(), &instance_id).is_ok());
        drop(inherited);
    }

    #[test]
    fn the_error_says_that_the_holder_is_gone() {
        let mut ended = std::process::Command::new("true").spawn().expect("it starts");
        ended.wait().expect("it ends");
        let holder = LockHolder {
            process_id: ended.id(),
            program: "node".to_owned(),
            since: UnixNanos::new(1_709_251_199_000_000_001),
        };
        let this = LockHolder::this_process();
        if cfg!(target_os = "linux") {
            assert_eq!((holder.state(), this.state()), (HolderState::Gone, HolderState::Running));
        }
        let holder = LockHolder { process_id: 4711, ..holder };
        let error = holder.holds("runs/node-1/instance.lock".into(), HolderState::Gone);
        let said = "runs/node-1/instance.lock is locked by process 4711 (node), since \
                    2024-02-29T23:59:59Z, which no longer runs: a process that it started has \
                    inherited the lock; end that one first, or use another instance id";
        assert_eq!(error.to_string(), said);
    }
}
