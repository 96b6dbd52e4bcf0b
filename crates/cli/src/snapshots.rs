//! The cache of a node that is being recorded: it follows the log, and is snapshotted now and then.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tapline::engine::{AnchorRequestError, SnapshotAnchorer};
use tapline::internals::panic_text;
use tapline::read::EventStoreReader;
use tapline::replay::{CacheFollower, FollowError, StateCache};
use tapline::store::RunReader;

use super::error::CliError;
use super::tap::StopFlag;

/// How far behind the log the cache may be.
const FOLLOW_EVERY: Duration = Duration::from_millis(20);

/// Why the cache could not be kept up or snapshotted.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error("cannot record the snapshot at entry {seq}: {source}")]
    Anchor { seq: u64, source: AnchorRequestError },
    #[error("its thread panicked: {0}")]
    Panicked(String),
}

/// A thread that keeps a cache up with the run.
pub(super) struct CacheKeeper<C> {
    stop: StopFlag,
    thread: JoinHandle<Result<C, KeepError>>,
}

impl<C: StateCache + Send + 'static> CacheKeeper<C> {
    /// Takes the first snapshot at once, so that the run can be restored from without those before it, and
    /// then one `every` so often.
    pub(super) fn start(
        cache: C,
        run: Arc<dyn RunReader>,
        anchorer: SnapshotAnchorer,
        every: Duration,
    ) -> Result<Self, CliError> {
        let mut follower = CacheFollower::new(cache, EventStoreReader::new(run), 0);
        let stop = StopFlag::default();
        let asked = stop.clone();
        let keep = move || {
            loop {
                let is_last = asked.is_set();
                snapshot(&mut follower, &anchorer)?;
                if is_last {
                    return Ok(follower.into_cache());
                }
                let taken = Instant::now();
                while taken.elapsed() < every && !asked.is_set() {
                    std::thread::sleep(FOLLOW_EVERY.min(every));
                    follower.catch_up()?;
                }
            }
        };
        let thread = std::thread::Builder::new().name("cache".to_owned()).spawn(keep);
        Ok(Self { stop, thread: thread.map_err(CliError::Thread)? })
    }

    /// Takes a last snapshot, of all that is durable, and hands the cache back. The run is no longer read.
    pub(super) fn finish(self) -> Result<C, KeepError> {
        self.stop.set();
        self.thread.join().unwrap_or_else(|panic| {
            let said = panic_text(&*panic).unwrap_or("without a message");
            Err(KeepError::Panicked(said.to_owned()))
        })
    }
}

fn snapshot<C: StateCache>(
    follower: &mut CacheFollower<C>,
    anchorer: &SnapshotAnchorer,
) -> Result<(), KeepError> {
    follower.catch_up()?;
    let anchor = follower.snapshot()?;
    let seq = anchor.high_watermark;
    anchorer
        .record_at(seq, &anchor.blob_ref, anchor.content_hash)
        .map_err(|source| KeepError::Anchor { seq, source })?;
    Ok(())
}
