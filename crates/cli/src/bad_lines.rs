//! Lines that could not be recorded, and what is done about them.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::error::CliError;
use super::stderr::tell;

/// A line that could not be recorded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: u64,
    /// In bytes, from 1.
    pub(super) column: usize,
    pub(super) what: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

/// Counts, shows and keeps bad lines. Its counts stand alone, so `Relaxed` is enough for all.
pub(super) struct BadLines {
    count: AtomicU64,
    not_captured: AtomicU64,
    /// More end the recording.
    max: Option<u64>,
    /// The line that was one too many. The engine finds some later than others, so they do not come
    /// in order.
    end: AtomicU64,
    kept: Option<KeptLines>,
}

/// Further bad lines are only counted.
const SHOWN_MAX: u64 = 100;

impl BadLines {
    /// Any number of them is allowed where `max` is not given.
    pub(super) fn new(max: Option<u64>, kept: Option<KeptLines>) -> Self {
        let [count, not_captured] = [(); 2].map(|()| AtomicU64::new(0));
        Self { count, not_captured, max, end: AtomicU64::new(u64::MAX), kept }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// How many of them were messages that the engine refused.
    pub(super) fn not_captured(&self) -> u64 {
        self.not_captured.load(Ordering::Relaxed)
    }

    /// True if the recording ends because of bad lines. Then no later line is read; earlier lines
    /// are still recorded.
    pub(super) fn end_the_recording(&self) -> bool {
        self.end.load(Ordering::Relaxed) < u64::MAX
    }

    /// True if the recording has ended before line `number`.
    pub(super) fn end_before(&self, number: u64) -> bool {
        self.end.load(Ordering::Relaxed) < number
    }

    /// Reports a line that is no message.
    pub(super) fn report(&self, bad: &BadLine, raw: &[u8]) {
        match self.count.fetch_add(1, Ordering::Relaxed) {
            shown if shown < SHOWN_MAX => tell(bad),
            SHOWN_MAX => tell("further bad lines are counted, but not shown"),
            _ => {}
        }
        let is_kept = self.kept.as_ref().is_none_or(|kept| kept.keep(raw));
        if !is_kept || self.max.is_some_and(|max| self.count() > max) {
            self.end.fetch_min(bad.line, Ordering::Relaxed);
        }
    }

    /// Reports a message that the engine refused.
    pub(super) fn report_not_captured(&self, bad: &BadLine, raw: &[u8]) {
        self.not_captured.fetch_add(1, Ordering::Relaxed);
        self.report(bad, raw);
    }

    /// True if the bytes of a bad line are kept.
    pub(super) fn are_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// The file that bad lines are kept in.
    pub(super) fn file(&self) -> Option<&Path> {
        self.kept.as_ref().map(|kept| &*kept.path)
    }

    /// Makes what was kept durable. Fails if a line could not be kept.
    pub(super) fn finish(&self) -> Result<(), CliError> {
        self.kept.as_ref().map_or(Ok(()), KeptLines::finish)
    }
}

/// A file of bad lines, as they came.
pub(super) struct KeptLines {
    path: PathBuf,
    /// The file, or why nothing more is written to it.
    file: Mutex<io::Result<File>>,
}

impl KeptLines {
    /// Opens or makes the file `path`. Bad lines are appended to it. Refuses `input`, which would
    /// be read again without end.
    pub(super) fn open(path: &Path, input: &Path) -> Result<Self, CliError> {
        let failed = |source| CliError::Scratch { path: path.to_owned(), source };
        let file = File::options().append(true).create(true).open(path).map_err(failed)?;
        let input = if input == "-" { Path::new("/dev/stdin") } else { input };
        if let (Ok(file), Ok(input)) = (file.metadata(), input.metadata())
            && is_same_file(&file, &input)
        {
            let what = format!("--bad-lines {} is the input itself", path.display());
            return Err(CliError::Usage(what));
        }
        Ok(Self { path: path.to_owned(), file: Mutex::new(Ok(file)) })
    }

    /// Appends a line. False if this line or one before could not be written.
    fn keep(&self, raw: &[u8]) -> bool {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(open) = &mut *file
            && let Err(error) = open.write_all(&[raw, b"\n"].concat())
        {
            *file = Err(error);
        }
        file.is_ok()
    }

    fn finish(&self) -> Result<(), CliError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = std::mem::replace(&mut *file, Err(io::Error::other("it is closed")));
        closed
            .and_then(|file| file.sync_all())
            .map_err(|source| CliError::KeepBadLine { path: self.path.clone(), source })
    }
}

#[cfg(unix)]
fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same_file(_one: &Metadata, _other: &Metadata) -> bool {
    false
}
