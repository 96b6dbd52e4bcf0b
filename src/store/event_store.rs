use std::sync::Arc;

use bytes::Bytes;

use super::{AnchorError, AppendError, OpenRunError, ReadFault, SealError};
use crate::format::{KeyBlockId, SealedFrame};
use crate::model::{Hash, RunManifest, RunStatus, SnapshotAnchor, UnixNanos};

/// The write side of a store: holds at most one open run. Used from one thread at a time.
///
/// Every call that returns `Ok` has made its effect durable. After a
/// [`BackendFault`](super::BackendFault) the run must not be written on.
pub trait EventStore: Send {
    /// Opens the run that `manifest` describes: makes it, or, where it exists and was never sealed,
    /// takes it up at its durable watermark. The returned value says which.
    fn open_run(&mut self, manifest: RunManifest) -> Result<RunOpening, OpenRunError>;

    /// Commits one frame with its index keys and new names, in one transaction.
    fn append(&mut self, frame: &SealedFrame<'_>) -> Result<(), AppendError>;

    /// Records an anchor in place of the previous one.
    fn record_anchor(&mut self, anchor: &SnapshotAnchor) -> Result<(), AnchorError>;

    /// Writes the terminal status, the watermark, `end_ts_init` and the last root into the
    /// manifest. A store that keeps the index in the order in which keys came sorts it now, unless
    /// the run is sealed as `Quarantined`: with redb about 0.1 µs a key.
    fn seal(
        &mut self,
        status: RunStatus,
        end_ts_init: Option<UnixNanos>,
    ) -> Result<SealedRun, SealError>;

    /// Where the open or just sealed run ends; `None` before `open_run`.
    fn tail(&self) -> Option<Tail>;

    /// The read side of the open or just sealed run, which follows what is appended; `None` before
    /// `open_run`.
    ///
    /// It does not keep the run's file in use. Once the store is dropped, or has opened another
    /// run, it reads the sealed run; of one that was not sealed, every read is
    /// [`ReadFault::Closed`] until somebody seals it. A run in memory is
    /// read on in any case.
    fn reader(&self) -> Option<Arc<dyn RunReader>>;
}

/// How `open_run` found the run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunOpening {
    /// It is new.
    Created,
    /// It was there, never sealed: its process died. It is now open on this backend, repaired as
    /// far as its last commit. This is the manifest found.
    CrashedPredecessor(Box<RunManifest>),
}

/// A run after its seal.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedRun {
    /// The manifest as sealed.
    pub manifest: RunManifest,
    /// The run's root: with it, any later change to the run can be found.
    pub root: Hash,
}

/// Where a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The largest durable `seq`; 0 for none.
    pub watermark: u64,
    /// The root of the last frame; 32 zero bytes for none.
    pub root: Hash,
    /// How many names the run has.
    pub names: u32,
}

/// The read side of one run: its frames in order, and what is kept beside them. Any thread may
/// read.
///
/// Reads see what is committed at the time of the call. Entries are read out of frames by
/// [`EventStoreReader`](crate::read::EventStoreReader).
pub trait RunReader: Send + Sync {
    /// The manifest.
    fn manifest(&self) -> Result<RunManifest, ReadFault>;

    /// The run's root, as [`SealedRun::root`]; `None` while it is not sealed.
    fn root(&self) -> Result<Option<Hash>, ReadFault>;

    /// The durable watermark.
    fn watermark(&self) -> Result<u64, ReadFault>;

    /// The recorded snapshot anchor.
    fn anchor(&self) -> Result<Option<SnapshotAnchor>, ReadFault>;

    /// The last frame that begins at or before `seq`, with the `seq` it is stored under.
    fn frame_at_or_before(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault>;

    /// The first frame that begins at or after `seq`, with the `seq` it is stored under.
    fn frame_at_or_after(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault>;

    /// The same frame in memory of its own, where the store needs back what it lends: for one that
    /// is to be kept for long.
    fn detach(&self, frame: Bytes) -> Bytes {
        Bytes::copy_from_slice(&frame)
    }

    /// All names from number `from` on, in the order of their numbers.
    fn names(&self, from: u32) -> Result<Vec<(u32, String)>, ReadFault>;

    /// The first `seq`, not below `from`, that the index has for keys with this
    /// hash (`key_hash` in `docs/format.md`). The index has a `seq` for each frame with such a key: the
    /// frame's first entry that mentions one.
    fn indexed(&self, hash: u64, from: u64) -> Result<Option<u64>, ReadFault>;

    /// The first block of the index at or behind `from`, with what it is
    /// stored under. Blocks of a live run are merged: a walk may see their rows twice, but misses
    /// none.
    fn key_block_at_or_after(
        &self,
        from: KeyBlockId,
    ) -> Result<Option<(KeyBlockId, Bytes)>, ReadFault>;

    /// Whether the frame that a walk has shown under `first_seq` is also where a search for it
    /// looks. In a damaged tree a walk may come past what no search finds.
    fn finds_frame(&self, _first_seq: u64) -> Result<bool, ReadFault> {
        Ok(true)
    }

    /// The same for a block of the index.
    fn finds_key_block(&self, _id: KeyBlockId) -> Result<bool, ReadFault> {
        Ok(true)
    }
}
