use super::progress::Progress;
use super::{CacheError, ReplayError, StateCache};
use crate::model::{ContentHash, SnapshotAnchor};
use crate::read::EventStoreReader;

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
    /// The entry that the cache did not take.
    stopped_at: Option<u64>,
}

/// Why a follower could not go on.
#[derive(Debug, thiserror::Error)]
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
    /// The cache could not encode its state.
    #[error("the cache cannot encode its state at entry {seq}: {source}")]
    ToBlob {
        /// The last entry that was applied.
        seq: u64,
        /// The cache's error.
        source: CacheError,
    },
    /// The cache could not keep the snapshot.
    #[error("the cache cannot keep its snapshot at entry {seq}: {source}")]
    KeepBlob {
        /// The last entry that was applied.
        seq: u64,
        /// The cache's error.
        source: CacheError,
    },
}

impl<C: StateCache> CacheFollower<C> {
    /// Follows the run with a cache whose state is that at `applied_seq`: 0 for one that begins with
    /// the run, [`RestoreReport::to_seq`](super::RestoreReport::to_seq) for one restored from it.
    pub fn new(cache: C, reader: EventStoreReader, applied_seq: u64) -> Self {
        Self { cache, reader, progress: Progress::at(applied_seq), stopped_at: None }
    }

    /// Applies every entry that is durable when this is called, and returns the last applied `seq`.
    /// Blocks for as long as they take to read and apply, in the memory of one frame.
    ///
    /// After an error of reading the state is that at [`applied_seq`](Self::applied_seq), and it can
    /// be tried again. After an entry the cache did not take, this and
    /// [`snapshot`](Self::snapshot) return [`FollowError::Stopped`].
    pub fn catch_up(&mut self) -> Result<u64, FollowError> {
        self.check_going()?;
        let applied_seq = self.progress.seq;
        let watermark =
            self.reader.watermark().map_err(|source| ReplayError::Read { applied_seq, source })?;
        let advanced = self.progress.advance(&mut self.cache, &self.reader, watermark);
        if let Err(ReplayError::Apply { seq, .. }) = advanced {
            self.stopped_at = Some(seq);
        }
        advanced?;
        Ok(self.progress.seq)
    }

    /// Has the cache keep its state, and returns the anchor that ties it to the last applied entry.
    /// Blocks until the cache has made it durable.
    ///
    /// The run knows of the snapshot only once its writer has recorded the anchor; that is the
    /// caller's to do. The anchor is never past the watermark, since only durable entries are applied.
    pub fn snapshot(&mut self) -> Result<SnapshotAnchor, FollowError> {
        self.check_going()?;
        let seq = self.progress.seq;
        let blob = self.cache.to_blob().map_err(|source| FollowError::ToBlob { seq, source })?;
        let blob_ref =
            self.cache.keep_blob(&blob).map_err(|source| FollowError::KeepBlob { seq, source })?;
        Ok(SnapshotAnchor { high_watermark: seq, blob_ref, content_hash: ContentHash::of(&blob) })
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

    fn check_going(&self) -> Result<(), FollowError> {
        self.stopped_at.map_or(Ok(()), |seq| Err(FollowError::Stopped { seq }))
    }
}
