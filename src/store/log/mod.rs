//! The write-ahead log of a run: `<run id>.log` beside the run file, until the run is sealed.
//!
//! A frame is durable once it is in the log. The run file gets it later, together with others, in
//! one transaction ([`behind`]). That makes a commit one write and one sync of a place that was
//! written before, instead of eight pages all over a tree.
//!
//! ```text
//!   0                                                              bytes of the file
//!   │ frame 41..60 │ frame 61..61 │ free │ frame 12..30 │ frame 31..40 │
//!                                  ▲                                    │
//!                                  next                    rest unused ─┘
//! ```
//!
//! The file has a fixed size. It is written once when it is made, so that a sync never waits for
//! the file system to find room, and then overwritten in a circle. The next run of the instance
//! takes it over: until then it is `spare.log`. A place is free again when the
//! run file has its frame, durably. Each record is a header of 64 bytes and the frames of a commit,
//! begins at a page and lies in one piece; docs/format.md has the bytes.
//!
//! **What makes recovery right.** It needs no order of the records, and no pointer to the first.
//!
//! 1. A record counts if its header names this run, and its frames are sound: all hashes and roots
//!    agree, and each frame continues the one before. A torn write, of any pages, gives no such
//!    record.
//! 2. From the end of the run file on, recovery looks for the record whose frames continue it: the
//!    `first_seq` is the next and the `previous_root` is the root at the end. That root covers
//!    every entry before, so a record of an earlier lap, or of another run, never continues it.
//! 3. A commit was reported durable only after its write and sync. The next write began after that,
//!    so all commits before a durable one are durable too, here or in the run file: a place is
//!    written again only after the run file has its frames and is synced.
//! 4. So the chain ends at the last durable commit, or at the one that was being written and came
//!    to be whole. If a sound record of this run lies beyond the end of the chain, something
//!    durable is missing, and the run is damaged.

mod behind;
mod file;
mod replay;

pub(super) use behind::{Behind, PendingFrame, PendingFrames, shared_fault};
pub(crate) use file::log_path;
pub(super) use file::{LogFile, let_go_of_log};
pub(super) use replay::{frames_of_log, frames_on_disk};

use std::ops::RangeInclusive;
use std::time::Duration;

/// How a run is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// The size of the file in bytes, a multiple of 4 096.
    pub bytes: u64,
    /// Commits that are larger go to the run file at once: the log would double their bytes.
    pub record_bytes_max: usize,
    /// How long a frame may be in the log alone. A thread brings it into the run file then. `None`:
    /// there is no thread, and who appends does it when the log is full.
    pub interval: Option<Duration>,
}

impl LogConfig {
    /// The range of [`bytes`](Self::bytes).
    pub const BYTES: RangeInclusive<u64> = 16 << 10..=1 << 30;

    /// A log of `bytes` bytes. A commit may take an eighth of it, at most 256 KiB.
    pub fn new(bytes: u64) -> Self {
        let record_bytes_max = usize::try_from(bytes / 8).unwrap_or(usize::MAX).min(256 << 10);
        Self { bytes, record_bytes_max, interval: Some(Duration::from_millis(500)) }
    }
}
