//! The cache of a node that is being recorded. It follows the log and is snapshotted from time to
//! time.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tapline::SnapshotAnchorer;
use tapline::internals::panic_text;
use tapline::replay::{CacheFollower, FollowError, StateCache};

use super::error::CliError;
use super::tap::StopFlag;

/// How far behind the log the cache may be.
const FOLLOW_EVERY: Duration = Duration::from_millis(20);

/// Why the cache could not be kept up or snapshotted.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error("its thread panicked: {0}")]
    Panicked(String),
}

/// A thread that keeps a cache up with the run.
pub(super) struct CacheKeeper<C> {
    stop: StopFlag,
    thread: JoinHandle<Result<C, KeepError>>,
}

impl<C: StateCache + Send + 'static> CacheKeeper<C> {
    /// Takes a snapshot at once, and then one in each interval `every`.
    pub(super) fn start(
        mut follower: CacheFollower<C>,
        anchorer: SnapshotAnchorer,
        every: Duration,
    ) -> Result<Self, CliError> {
        let stop = StopFlag::default();
        let asked = stop.clone();
        let keep = move || {
            loop {
                let is_last = asked.is_set();
                follower.record_snapshot(&anchorer)?;
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

    /// Takes a last snapshot of everything durable, and returns the cache. The run is no longer
    /// read.
    pub(super) fn finish(self) -> Result<C, KeepError> {
        self.stop.set();
        self.thread.join().unwrap_or_else(|panic| {
            let said = panic_text(&*panic).unwrap_or("without a message");
            Err(KeepError::Panicked(said.to_owned()))
        })
    }
}
