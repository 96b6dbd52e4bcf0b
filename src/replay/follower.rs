use super::progress::Progress;
use super::{CacheError, ReplayError, StateCache};
use crate::engine::{AnchorRequestError, SnapshotAnchorer};
use crate::model::{ContentHash, SnapshotAnchor};
use crate::read::{EventStoreReader, ReadError};

/// Keeps a cache up with a live run: applies durable entries in the order of the run, whenever its
/// owner calls it.
///
/// With many producers, no thread of the node sees all messages in the order of the run. So no
/// thread can say which entry its state belongs to. A follower can: its state, and each snapshot
/// that it takes, belongs to one place in the total order, [`applied_seq`](Self::applied_seq).
///
/// It has no thread of its own and cannot publish. It reads what is durable at its own pace. The
/// run never waits for it.
pub struct CacheFollower<C> {
    cache: C,
    reader: EventStoreReader,
    progress: Progress,
    state: State,
}

/// What a follower can do next.
#[derive(Debug, Clone, Copy)]
enum State {
    /// It has not looked at the run yet.
    New,
    /// It applies what becomes durable.
    Following,
    /// The cache failed to apply this entry.
    Stopped { seq: u64 },
    /// The cache was said to have the state at an entry that the run does not have. The run ended
    /// here then.
    Ahead { watermark: u64 },
}

/// Why a follower could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The run could not be read, or the cache did not take an entry.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The cache failed to apply an entry earlier. Its state no longer belongs to any place in the
    /// run.
    #[error(
        "the cache stopped at entry {seq}, which it could not apply; restore another cache from the \
         run and follow with that"
    )]
    Stopped {
        /// The entry that was not applied.
        seq: u64,
    },
    /// The cache was said to have the state at an entry that the run does not have. It has the
    /// state of another run, or `applied_seq` is wrong.
    #[error(
        "the cache is said to be at entry {applied_seq}, but the run ended with entry {watermark}; \
         restore a cache from this run and follow from its report's to_seq"
    )]
    Ahead {
        /// The entry whose state the cache was said to have.
        applied_seq: u64,
        /// The run's watermark when that was found out.
        watermark: u64,
    },
    /// The cache could not encode its state.
    #[error("the cache cannot encode its state at entry {seq}")]
    ToBlob {
        /// The last entry that was applied.
        seq: u64,
        /// The cache's error.
        source: CacheError,
    },
    /// The cache could not keep the snapshot.
    #[error("the cache cannot keep its snapshot at entry {seq}")]
    KeepBlob {
        /// The last entry that was applied.
        seq: u64,
        /// The cache's error.
        source: CacheError,
    },
    /// The run did not take the anchor. The snapshot is kept, and nothing names it.
    #[error("the snapshot at entry {seq} was not recorded")]
    Anchor {
        /// The last entry whose effect the snapshot contains.
        seq: u64,
        /// Why.
        source: AnchorRequestError,
    },
}

impl<C: StateCache> CacheFollower<C> {
    /// Follows a run with a cache that has the state at `applied_seq`: 0 for a cache at the
    /// beginning of the run, [`RestoreReport::to_seq`](super::RestoreReport::to_seq) for a restored
    /// one. If that is past the run's watermark, [`catch_up`](Self::catch_up) returns
    /// [`FollowError::Ahead`].
    pub fn new(cache: C, reader: EventStoreReader, applied_seq: u64) -> Self {
        Self { cache, reader, progress: Progress::at(applied_seq), state: State::New }
    }

    /// Applies every entry that is durable when this is called. Returns the last applied `seq`.
    /// Blocks while it reads and applies them. Holds one frame in memory.
    ///
    /// After a read error, the cache has the state at [`applied_seq`](Self::applied_seq), and the
    /// call can be repeated. If the cache fails to apply an entry, this and
    /// [`snapshot`](Self::snapshot) return [`FollowError::Stopped`] from then on. After
    /// [`FollowError::Ahead`], they return that again, whatever becomes durable.
    pub fn catch_up(&mut self) -> Result<u64, FollowError> {
        self.check_going()?;
        let applied_seq = self.progress.seq;
        let watermark =
            self.watermark().map_err(|source| ReplayError::Read { applied_seq, source })?;
        if applied_seq > watermark {
            // To go on once the run has this entry would leave out the entries before it.
            self.state = State::Ahead { watermark };
            return Err(FollowError::Ahead { applied_seq, watermark });
        }
        self.state = State::Following;
        let advanced = self.progress.advance(&mut self.cache, &self.reader, watermark);
        if let Err(ReplayError::Apply { seq, .. }) = advanced {
            self.state = State::Stopped { seq };
        }
        advanced?;
        Ok(self.progress.seq)
    }

    /// Has the cache keep its state. Returns the anchor that ties it to the last applied entry.
    /// Blocks until the cache has made the state durable.
    ///
    /// The run learns about the snapshot when its writer records the anchor, which the caller has
    /// to request. After [`catch_up`](Self::catch_up) the anchor is never past the watermark,
    /// because only durable entries are applied.
    pub fn snapshot(&mut self) -> Result<SnapshotAnchor, FollowError> {
        self.check_going()?;
        let seq = self.progress.seq;
        let blob = self.cache.to_blob().map_err(|source| FollowError::ToBlob { seq, source })?;
        let blob_ref =
            self.cache.keep_blob(&blob).map_err(|source| FollowError::KeepBlob { seq, source })?;
        Ok(SnapshotAnchor { high_watermark: seq, blob_ref, content_hash: ContentHash::of(&blob) })
    }

    /// Catches up, has the cache keep its state, and records the snapshot in the run of `anchorer`.
    /// From then on the node can be restored from it. Blocks like [`catch_up`](Self::catch_up),
    /// [`snapshot`](Self::snapshot) and [`SnapshotAnchorer::record_at`] together.
    pub fn record_snapshot(
        &mut self,
        anchorer: &SnapshotAnchorer,
    ) -> Result<SnapshotAnchor, FollowError> {
        self.catch_up()?;
        let SnapshotAnchor { high_watermark: seq, blob_ref, content_hash } = self.snapshot()?;
        let recorded = anchorer.record_at(seq, &blob_ref, content_hash);
        recorded.map_err(|source| FollowError::Anchor { seq, source })
    }

    /// The last applied `seq`. The state belongs to this place in the run.
    pub fn applied_seq(&self) -> u64 {
        self.progress.seq
    }

    /// The cache.
    pub fn cache(&self) -> &C {
        &self.cache
    }

    /// Ends following, and returns the cache.
    pub fn into_cache(self) -> C {
        self.cache
    }

    fn watermark(&self) -> Result<u64, ReadError> {
        match self.state {
            // A sealed run may have lost entries. In a live run they are all there or still to
            // come.
            State::New => self.reader.whole_watermark(),
            _ => self.reader.watermark(),
        }
    }

    fn check_going(&self) -> Result<(), FollowError> {
        match self.state {
            State::New | State::Following => Ok(()),
            State::Stopped { seq } => Err(FollowError::Stopped { seq }),
            State::Ahead { watermark } => {
                Err(FollowError::Ahead { applied_seq: self.progress.seq, watermark })
            }
        }
    }
}
