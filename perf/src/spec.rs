//! One measurement, as it is handed to the process that makes it.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::instruments::Placement;
use crate::system::KEY_BYTES;

/// How long a disk may stall, and how long to wait for durability. A measurement should report a
/// stall, not die of it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a measurement may take besides what it is given: filling queues, closing, reading back.
#[cfg(feature = "peers")]
const ALLOWANCE_S: f64 = 900.0;

/// One measurement of one system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The system's name.
    pub system: String,
    /// An empty folder for its files.
    pub dir: PathBuf,
    /// How the system is set.
    pub settings: Settings,
    /// What is measured.
    pub measure: Measure,
    /// Seconds after which the process gives up, whatever it hangs in.
    pub deadline_s: u64,
    /// Read everything back afterwards and compare it with what was pushed.
    pub check: bool,
}

impl Spec {
    /// The deadline of `measure`.
    #[cfg(feature = "peers")]
    pub(crate) fn deadline_s(measure: &Measure) -> u64 {
        (measure.seconds() + ALLOWANCE_S) as u64
    }
}

/// How a system is set. Each takes from it what it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Bytes of payload in each message.
    pub payload_bytes: usize,
    /// Whether each message has an index key of its own.
    pub keys: bool,
    /// Which thread runs on which core, and so also how many producers there are.
    pub cores: Placement,
    /// tapline: how run files are written.
    pub disk: Disk,
    /// tapline and the bare write: the most bytes in one commit.
    pub batch_bytes: usize,
    /// tapline and the bare ring: lines of 64 bytes in each producer's ring.
    pub ring_lines: usize,
    /// tapline: the writer spins when idle, instead of yielding and sleeping.
    pub spin: bool,
    /// Databases behind a channel: the most rows in one commit, where not as each is used by
    /// default.
    pub rows_per_commit: Option<usize>,
    /// tapline: bytes of frames that its reader keeps, where not its default.
    pub keep_bytes: Option<usize>,
}

impl Settings {
    /// Bytes a message takes in whole lines, as tapline lays it out: a header line, then key and
    /// payload.
    pub fn record_bytes(&self) -> usize {
        const LINE: usize = 64;
        const KEY_HEADER: usize = 4;
        let key = if self.keys { KEY_HEADER + KEY_BYTES } else { 0 };
        LINE + (self.payload_bytes + key).next_multiple_of(LINE)
    }
}

/// How files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "peers", derive(clap::ValueEnum))]
pub enum Disk {
    /// Large writes past the page cache.
    Direct,
    /// The same, with a write-ahead log of 16 MiB in front.
    Logged,
    /// Through the page cache.
    Buffered,
    /// Not at all: entries are kept in memory.
    Memory,
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Measure {
    /// Entries a second from producers that push as fast as they can.
    Saturated {
        /// When the producers stop.
        stop: Stop,
    },
    /// Latencies at a fixed rate.
    Paced {
        /// Messages a second, of all producers together.
        rate: u64,
        /// Seconds to measure.
        seconds: f64,
        /// Seconds to send at the same rate before.
        warmup_seconds: f64,
        /// Seconds to measure the idle machine, once before and once after.
        idle_seconds: f64,
    },
    /// Scanning and verifying a run that has been written before.
    Reading {
        /// How long the run is.
        stop: Stop,
    },
    /// Single entries of a run that has been written before, by `seq` and by key.
    Points {
        /// How long the run is.
        stop: Stop,
        /// How many entries are read in each way, at most.
        reads: u64,
        /// Seconds for each way, at most.
        seconds: f64,
    },
    /// A run that is left behind by a crash, and what it takes the next boot to seal it.
    Recovery {
        /// How long the run's file is, about.
        bytes_file: u64,
    },
    /// The `tapline` program, recording a file.
    Record {
        /// The file.
        input: PathBuf,
    },
}

#[cfg(feature = "peers")]
impl Measure {
    /// How long it takes at most on a machine that does its work, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        match self {
            Self::Saturated { stop } | Self::Reading { stop } => stop.seconds,
            Self::Paced { seconds, warmup_seconds, idle_seconds, .. } => {
                2.0 * (seconds + warmup_seconds + idle_seconds)
            }
            Self::Points { stop, seconds, .. } => stop.seconds + 4.0 * seconds,
            Self::Recovery { .. } | Self::Record { .. } => 0.0,
        }
    }
}

/// When producers stop pushing: at the first of both, so that slow systems write shorter runs in
/// the same time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// After so many entries, of all producers together.
    pub entries: u64,
    /// After so long.
    pub seconds: f64,
}
