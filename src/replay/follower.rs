use super::progress::Progress;
use super::{CacheError, ReplayError, StateCache};
use crate::engine::{AnchorRequestError, SnapshotAnchorer};
use crate::model::{ContentHash, SnapshotAnchor};
use crate::read::{EventStoreReader, ReadError};

/// Keeps a cache up with a live run: applies what has become durable, in the order of the run, when
/// its owner asks it to.
///
/// With many producers no thread of the node sees all messages in the order of the run, so none can
/// say which entry its state belongs to. A follower can: its state is always that of one place in
/// the total order, [`applied_seq`](Self::applied_seq), and so is a snapshot it takes.
///
/// It has no thread of its own, and nothing to publish with. Where it lags behind, the run waits for
/// nothing: it reads what is durable, at its own pace.
pub struct CacheFollower<C> {
    cache: C,
    reader: EventStoreReader,
    progress: Progress,
    state: State,
}

/// Whether a follower can go on.
#[derive(Debug, Clone, Copy)]
enum State {
    /// It has not looked at the run yet.
    New,
    /// It applies what becomes durable.
    Following,
    /// The cache did not take this entry.
    Stopped { seq: u64 },
    /// The cache came with the state at an entry that the run did not have, which ended here.
    Ahead { watermark: u64 },
}

/// Why a follower could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The run could not be read, or the cache did not take an entry.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The cache did not take an entry earlier; its state is no longer that of any place in the run.
    #[error(
        "the cache stopped at entry {seq}, which it could not apply; restore another cache from the \
         run and follow with that"
    )]
    Stopped {
        /// The entry that was not applied.
        seq: u64,
    },
    /// The cache is said to have the state at an entry that the run does not have: it is that of another
    /// run, or `applied_seq` is not its place.
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
}

/// Why a snapshot was not taken and recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The cache could not be brought up to date, or not be snapshotted.
    #[error(transparent)]
    Follow(#[from] FollowError),
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
    /// Follows the run with a cache whose state is that at `applied_seq`: 0 for one that begins with
    /// the run, [`RestoreReport::to_seq`](super::RestoreReport::to_seq) for one restored from it. Past the
    /// run's watermark it cannot be: [`catch_up`](Self::catch_up) would return [`FollowError::Ahead`].
    pub fn new(cache: C, reader: EventStoreReader, applied_seq: u64) -> Self {
        Self { cache, reader, progress: Progress::at(applied_seq), state: State::New }
    }

    /// Applies every entry that is durable when this is called, and returns the last applied `seq`.
    /// Blocks for as long as they take to read and apply, in the memory of one frame.
    ///
    /// After an error of reading the state is that at [`applied_seq`](Self::applied_seq), and it can
    /// be tried again. After an entry the cache did not take, this and
    /// [`snapshot`](Self::snapshot) return [`FollowError::Stopped`]; after [`FollowError::Ahead`], that
    /// again, whatever has become durable meanwhile.
    pub fn catch_up(&mut self) -> Result<u64, FollowError> {
        self.check_going()?;
        let applied_seq = self.progress.seq;
        let watermark =
            self.watermark().map_err(|source| ReplayError::Read { applied_seq, source })?;
        if applied_seq > watermark {
            // To go on once the run is there would leave out what comes before.
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

    /// Has the cache keep its state, and returns the anchor that ties it to the last applied entry.
    /// Blocks until the cache has made it durable.
    ///
    /// The run knows of the snapshot only once its writer has recorded the anchor; that is the
    /// caller's to do. Once this has [caught up](Self::catch_up) the anchor is never past the watermark,
    /// since only durable entries are applied.
    pub fn snapshot(&mut self) -> Result<SnapshotAnchor, FollowError> {
        self.check_going()?;
        let seq = self.progress.seq;
        let blob = self.cache.to_blob().map_err(|source| FollowError::ToBlob { seq, source })?;
        let blob_ref =
            self.cache.keep_blob(&blob).map_err(|source| FollowError::KeepBlob { seq, source })?;
        Ok(SnapshotAnchor { high_watermark: seq, blob_ref, content_hash: ContentHash::of(&blob) })
    }

    /// Catches up, has the cache keep its state, and records the snapshot in the run that
    /// `anchorer` belongs to: from here on the node can be restored from it. Blocks as
    /// [`catch_up`](Self::catch_up), [`snapshot`](Self::snapshot) and
    /// [`SnapshotAnchorer::record_at`] do.
    pub fn record_snapshot(
        &mut self,
        anchorer: &SnapshotAnchorer,
    ) -> Result<SnapshotAnchor, SnapshotError> {
        self.catch_up()?;
        let SnapshotAnchor { high_watermark: seq, blob_ref, content_hash } = self.snapshot()?;
        let recorded = anchorer.record_at(seq, &blob_ref, content_hash);
        recorded.map_err(|source| SnapshotError::Anchor { seq, source })
    }

    /// The last applied `seq`: the place in the run that the state belongs to.
    pub fn applied_seq(&self) -> u64 {
        self.progress.seq
    }

    /// The cache.
    pub fn cache(&self) -> &C {
        &self.cache
    }

    /// Ends following, and hands the cache back.
    pub fn into_cache(self) -> C {
        self.cache
    }

    fn watermark(&self) -> Result<u64, ReadError> {
        match self.state {
            // A run that is sealed may have lost entries; one that is live has all that come.
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
