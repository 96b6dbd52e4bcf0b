//! What is measured: a system that takes messages and makes them durable, seen alike whichever it
//! is.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::instruments::Latencies;
use crate::spec::Settings;

/// A system under test. What it needs of the disk it keeps below one folder.
pub trait System: Sized {
    /// One producer's way in.
    type Lane: Lane;

    /// How it is set, in one line: what a commit is, and how it is synced.
    fn describe(settings: &Settings) -> String;

    /// Opens an empty one in `dir`, which exists and is empty, with a lane for each producer of the
    /// settings.
    fn open(dir: &Path, settings: &Settings) -> Result<(Self, Vec<Self::Lane>)>;

    /// Makes durable what was pushed, and closes. All lanes have been dropped. After a failure, the
    /// error that caused it.
    fn close(self) -> Result<Closed>;

    /// Opens, for reading, what was closed in `dir`. An error where nothing is kept that can be
    /// read.
    fn reader(dir: &Path, settings: &Settings) -> Result<Box<dyn Reader>>;
}

/// One producer's way into a [`System`].
pub trait Lane: Send {
    /// Pushes one message; returns when it is accepted. Waits where there is no room.
    fn push(&mut self, message: &Message<'_>) -> Result<()>;

    /// How many of the messages pushed through this lane are durable, in the order they were
    /// pushed. Polled without pause: a load or two.
    fn durable(&self) -> u64;
}

/// What a [`System`] says when it is closed.
#[derive(Debug)]
pub struct Closed {
    /// How many entries it holds, besides its own.
    pub entries: u64,
    /// How long each commit took, where the system tells.
    pub commits: Option<Latencies>,
}

impl Closed {
    /// Fails unless it holds just the `entries` that went in.
    pub(crate) fn holds(&self, entries: u64) -> Result<()> {
        ensure!(self.entries == entries, "{entries} entries went in, {} are durable", self.entries);
        Ok(())
    }
}

/// Reads a closed system's entries.
pub trait Reader {
    /// Hands out all entries, by `seq`, and returns how many there were.
    fn scan(&mut self, each: &mut dyn FnMut(&Stored<'_>)) -> Result<u64>;

    /// Checks all that the system can check, and returns how many entries that were. `None`: the
    /// system has no such function.
    fn verify(&mut self) -> Result<Option<u64>>;

    /// The `number` of the message stored as `seq`; its payload has been looked at.
    fn read(&mut self, seq: u64) -> Result<Option<u64>>;

    /// The first `seq` that mentions `key`.
    fn lookup(&mut self, key: &str) -> Result<Option<u64>>;
}

/// One message on its way in.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Its topic: always [`TOPIC`].
    pub topic: &'static str,
    /// Its payload's type: always [`PAYLOAD_TYPE`].
    pub payload_type: &'static str,
    /// Distinct for every message of a run; stored as its domain time.
    pub number: u64,
    /// Its bytes.
    pub payload: &'a [u8],
    /// An index key, in workloads that have them.
    pub key: Option<&'a str>,
}

/// Length of the index key of a message that has one.
pub(crate) const KEY_BYTES: usize = 18;

/// The topic of every message.
pub const TOPIC: &str = "orders.sim.es";
/// The payload type of every message.
pub const PAYLOAD_TYPE: &str = "OrderAdded";

/// One entry as it is read back.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Its place, from 1.
    pub seq: u64,
    /// The message's [`number`](Message::number).
    pub number: u64,
    /// Its topic.
    pub topic: &'a str,
    /// Its payload's type.
    pub payload_type: &'a str,
    /// Its bytes.
    pub payload: &'a [u8],
}
