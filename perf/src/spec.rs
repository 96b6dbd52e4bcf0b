//! One measurement, as it is handed to the process that makes it.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::instruments::Placement;
use crate::system::KEY_BYTES;

/// How long a disk may stall, and how long to wait for durability. A measurement should report a
/// stall, not die of it.
pub const PATIENCE: Duration = Duration::from_secs(60);

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
    /// Read everything back afterwards and compare it with what was pushed.
    pub check: bool,
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
}

impl Settings {
    /// Bytes a message takes in whole lines, as tapline lays it out: a header line, then key and payload.
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
        /// How many entries are read in each way.
        reads: u64,
    },
    /// The `tapline` program, recording a file.
    Record {
        /// The file.
        input: PathBuf,
    },
}

/// When producers stop pushing: at the first of both, so that slow systems write shorter runs in the
/// same time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// After so many entries, of all producers together.
    pub entries: u64,
    /// After so long.
    pub seconds: f64,
}
