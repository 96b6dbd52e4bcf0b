use std::sync::Arc;

use bytes::Bytes;

use super::{AnchorError, AppendError, OpenRunError, ReadFault, SealError};
use crate::format::{KeyBlockId, SealedFrame};
use crate::model::{Hash, RunManifest, RunStatus, SnapshotAnchor, UnixNanos};

/// The write side of a store. It holds at most one open run. One thread at a time uses it.
///
/// Every call that returns `Ok` has made its effect durable. After a
/// [`BackendFault`](super::BackendFault) the run must not be written any more.
pub trait EventStore: Send {
    /// Opens the run of `manifest`. Makes it, or, if it exists and was never sealed, reopens it at
    /// its durable watermark. The result says which. Ignores what `manifest` says about the run's
    /// end (status, watermark, `end_ts_init` and root): a new run begins as `Running` without any.
    fn open_run(&mut self, manifest: RunManifest) -> Result<RunOpening, OpenRunError>;

    /// Commits frames with their index keys and new names: all of them, or none. The first
    /// continues the run, and each of the others the one before it. Each has at least one entry. Without a
    /// frame, does nothing.
    fn append(&mut self, frames: &[SealedFrame<'_>]) -> Result<(), AppendError>;

    /// Records an anchor in place of the previous one.
    fn record_anchor(&mut self, anchor: &SnapshotAnchor) -> Result<(), AnchorError>;

    /// Writes the terminal status, the watermark, `end_ts_init` and the last root into the
    /// manifest. Also sorts the index, if the store keeps it in the order of arrival; with redb
    /// this takes about 0.1 µs a key. The index of a run that is sealed as `Quarantined` is not
    /// sorted.
    fn seal(
        &mut self,
        status: RunStatus,
        end_ts_init: Option<UnixNanos>,
    ) -> Result<SealedRun, SealError>;

    /// Where the open or just sealed run ends; `None` before `open_run`.
    fn tail(&self) -> Option<Tail>;

    /// The read side of the open or just sealed run; `None` before `open_run`. It sees what is
    /// appended later.
    ///
    /// It does not keep the run's file in use. Once the store is dropped, or has opened another
    /// run, it reads the sealed run. If the run was not sealed, every read is [`ReadFault::Closed`]
    /// until somebody seals it. A run in memory can always be read.
    fn reader(&self) -> Option<Arc<dyn RunReader>>;
}

/// What `open_run` did.
#[derive(Debug, Clone, PartialEq)]
pub enum RunOpening {
    /// It made a new run.
    Created,
    /// It reopened a run that was never sealed because its process died. The run is repaired up to
    /// its last commit. This is the manifest that was found.
    CrashedPredecessor(Box<RunManifest>),
}

/// A run after its seal.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedRun {
    /// The manifest as sealed.
    pub manifest: RunManifest,
    /// The run's root. It reveals any later change to the run.
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
/// A read sees what is committed when it is called.
/// [`EventStoreReader`](crate::read::EventStoreReader) reads entries out of frames.
pub trait RunReader: Send + Sync {
    /// The manifest.
    fn manifest(&self) -> Result<RunManifest, ReadFault>;

    /// The run's root, as the seal gave it; `None` while it is not sealed.
    fn root(&self) -> Result<Option<Hash>, ReadFault>;

    /// The durable watermark.
    fn watermark(&self) -> Result<u64, ReadFault>;

    /// The recorded snapshot anchor.
    fn anchor(&self) -> Result<Option<SnapshotAnchor>, ReadFault>;

    /// The last frame that begins at or before `seq`, with the `seq` that is its key.
    fn frame_at_or_before(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault>;

    /// The first frame that begins at or after `seq`, with the `seq` that is its key.
    fn frame_at_or_after(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault>;

    /// The frames that the store has in one piece with the frame under `first_seq`, behind it. Who
    /// reads frames in order is spared a search for each of them.
    fn frames_behind(&self, _first_seq: u64) -> Result<Vec<(u64, Bytes)>, ReadFault> {
        Ok(Vec::new())
    }

    /// Copies a frame into memory of its own if the store needs its memory back. For a frame that
    /// is kept long.
    fn detach(&self, frame: Bytes) -> Bytes {
        Bytes::copy_from_slice(&frame)
    }

    /// All names from number `from` on, in the order of their numbers.
    fn names(&self, from: u32) -> Result<Vec<(u32, String)>, ReadFault>;

    /// The first `seq`, at or after `from`, that the index has for keys with this hash (`key_hash`
    /// in `docs/format.md`). The index has one `seq` for each frame with such a key: the first
    /// entry that has one.
    fn indexed(&self, hash: u64, from: u64) -> Result<Option<u64>, ReadFault>;

    /// The first block of the index at or after `from`, with its key. The writer merges blocks of a
    /// live run, so a walk may see some rows twice. It misses none.
    fn key_block_at_or_after(
        &self,
        from: KeyBlockId,
    ) -> Result<Option<(KeyBlockId, Bytes)>, ReadFault>;

    /// True if a search for `first_seq` leads to the frame that a walk has shown under it. In a
    /// damaged tree, a walk may pass frames that no search finds.
    fn finds_frame(&self, _first_seq: u64) -> Result<bool, ReadFault> {
        Ok(true)
    }

    /// True if a search for `id` leads to the block that a walk has shown under it.
    fn finds_key_block(&self, _id: KeyBlockId) -> Result<bool, ReadFault> {
        Ok(true)
    }
}
