use super::progress::Progress;
use super::{CacheError, ReplayError, StateCache};
use crate::model::{ContentHash, SnapshotAnchor};
use crate::read::{EventStoreReader, ReadError};

/// What a restore did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreReport {
    /// The place of the snapshot in the run; `None` if the run has no anchor and was replayed from
    /// its first entry.
    pub snapshot_seq: Option<u64>,
    /// The first entry to apply: the one after the snapshot, or 1.
    pub from_seq: u64,
    /// The entry that the state belongs to: the last of the run. Below `from_seq` if no entry came
    /// after the snapshot.
    pub to_seq: u64,
    /// Entries that became part of the state.
    pub applied: u64,
    /// Entries the cache had no use for.
    pub ignored: u64,
}

/// Why a cache was not restored. After any of these the cache must not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The run's anchor or watermark could not be read, or a sealed run has lost its last entries.
    /// The cache is as it was.
    #[error("cannot tell what to restore (`tapline verify` says what is damaged)")]
    Plan(#[source] ReadError),
    /// The snapshot could not be loaded.
    #[error("cannot load snapshot {blob_ref:?}, which the run's anchor names")]
    LoadBlob {
        /// Where the snapshot should be.
        blob_ref: String,
        /// The cache's error.
        source: CacheError,
    },
    /// The cache does not have the snapshot. The cache is as it was.
    #[error(
        "there is no snapshot {blob_ref:?}, which the run's anchor at entry {high_watermark} names; \
         put it back, or replay the run from its first entry on top of the state it began with, which \
         is empty only if nothing was restored before"
    )]
    MissingBlob {
        /// Where the snapshot should be.
        blob_ref: String,
        /// The anchor's place in the run.
        high_watermark: u64,
    },
    /// The snapshot is not the one the anchor was recorded for. The cache is as it was.
    #[error(
        "snapshot {blob_ref:?} has hash {found}, but the run's anchor says {expected}: it was \
         changed after it was taken; put the right one back, or replay the run from its first entry \
         on top of the state it began with, which is empty only if nothing was restored before"
    )]
    HashMismatch {
        /// Where the snapshot is.
        blob_ref: String,
        /// The hash in the anchor.
        expected: ContentHash,
        /// The hash of what was loaded.
        found: ContentHash,
    },
    /// The cache did not take the snapshot over.
    #[error(
        "the cache cannot take over snapshot {blob_ref:?}, whose hash is right (restore \
         with the version of the program that took it)"
    )]
    TakeOver {
        /// Where the snapshot is.
        blob_ref: String,
        /// The cache's error.
        source: CacheError,
    },
    /// An entry behind the snapshot could not be read or applied.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// Brings `cache` to the state at the run's last durable entry. Loads the anchored snapshot, checks
/// its hash, hands it to the cache, and applies the entries after it in the order of their `seq`.
///
/// If the run has no anchor, replays it from its first entry onto the cache's present state: an
/// empty one, or that of the run's parent. Stops at the first error, and gives the cache no later
/// entry.
///
/// Changes nothing but the cache: a replay publishes nothing, queries nobody and arms no timer.
/// Blocks while it reads the snapshot and the entries after it. Holds the snapshot and one frame in
/// memory.
pub fn restore_snapshot_and_replay_tail(
    cache: &mut dyn StateCache,
    reader: &EventStoreReader,
) -> Result<RestoreReport, RestoreError> {
    let (anchor, to_seq) = plan(reader).map_err(RestoreError::Plan)?;
    if let Some(anchor) = &anchor {
        take_over(cache, anchor)?;
    }
    let snapshot_seq = anchor.map(|anchor| anchor.high_watermark);
    let mut progress = Progress::at(snapshot_seq.unwrap_or(0));
    let from_seq = progress.seq + 1;
    progress.advance(cache, reader, to_seq)?;
    let Progress { applied, ignored, .. } = progress;
    Ok(RestoreReport { snapshot_seq, from_seq, to_seq, applied, ignored })
}

/// The snapshot to begin with, and the entry to end with. Like
/// [`ReplayPlan`](crate::read::ReplayPlan), but with the anchor itself.
fn plan(reader: &EventStoreReader) -> Result<(Option<SnapshotAnchor>, u64), ReadError> {
    // The anchor first: a live run may record a later one meanwhile, past the watermark that was
    // read before.
    let anchor = reader.anchor()?;
    let watermark = reader.whole_watermark()?;
    match anchor {
        Some(SnapshotAnchor { high_watermark: anchor, .. }) if anchor > watermark => {
            Err(ReadError::AnchorPastWatermark { anchor, watermark })
        }
        anchor => Ok((anchor, watermark)),
    }
}

fn take_over(cache: &mut dyn StateCache, anchor: &SnapshotAnchor) -> Result<(), RestoreError> {
    let SnapshotAnchor { high_watermark, content_hash: expected, .. } = *anchor;
    let blob_ref = || anchor.blob_ref.clone();
    let blob = cache
        .load_blob(&anchor.blob_ref)
        .map_err(|source| RestoreError::LoadBlob { blob_ref: blob_ref(), source })?
        .ok_or_else(|| RestoreError::MissingBlob { blob_ref: blob_ref(), high_watermark })?;
    let found = ContentHash::of(&blob);
    if found != expected {
        return Err(RestoreError::HashMismatch { blob_ref: blob_ref(), expected, found });
    }
    cache.take_over(&blob).map_err(|source| RestoreError::TakeOver { blob_ref: blob_ref(), source })
}
