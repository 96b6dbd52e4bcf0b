//! The steps of a node's start, counted, with one of them made to fail.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tapline::internals::format::SealedFrame;
use tapline::internals::{DiskOp, DiskProbe};
use tapline::read::EntryRef;
use tapline::replay::{Applied, CacheError};
use tapline::store::{
    AnchorError, AppendError, BackendFault, EventStore, FileError, OpenRunError, RunOpening,
    RunReader, SealError, SealedRun, Tail,
};
use tapline::{RunManifest, RunStatus, SnapshotAnchor, StateCache, UnixNanos};

/// What becomes of the step that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It is not done, and says so.
    Error,
    /// It panics. Not what is done to the disk: a panic there is one inside redb, whose destructors
    /// then end the process, as `Abort` does.
    Panic,
    /// The process is gone.
    Abort,
}

/// Counts what a node does as it starts: what its store does to the disk, what is asked of the
/// store, the cache and the node's own code. The step of choice fails, once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    taken: u64,
    fails: Option<(u64, Failure)>,
    struck: Option<String>,
}

impl Steps {
    /// Step `step`, from 1, fails.
    pub(crate) fn failing(step: u64, failure: Failure) -> Self {
        let steps = Self::default();
        steps.arm(step, failure);
        steps
    }

    /// Counts anew, and fails at `step`, from 1.
    pub(crate) fn arm(&self, step: u64, failure: Failure) {
        *self.state() = State { fails: Some((step, failure)), ..State::default() };
    }

    /// From now on nothing fails.
    pub(crate) fn disarm(&self) {
        *self.state() = State::default();
    }

    /// What failed, if it did.
    pub(crate) fn struck(&self) -> Option<String> {
        self.state().struck.clone()
    }

    /// One more step is about to be taken.
    pub(crate) fn take(&self, what: impl Debug) -> io::Result<()> {
        let mut state = self.state();
        state.taken += 1;
        let failure = match state.fails {
            Some((step, failure)) if step == state.taken => failure,
            _ => return Ok(()),
        };
        let said = format!("step {} failed: {what:?}", state.taken);
        state.struck = Some(said.clone());
        drop(state);
        match failure {
            Failure::Error => Err(io::Error::other(said)),
            Failure::Panic => panic!("{said}"),
            Failure::Abort => std::process::abort(),
        }
    }

    /// A step, the call, and one more step.
    fn around<T>(
        &self,
        what: &str,
        call: impl FnOnce() -> Result<T, CacheError>,
    ) -> Result<T, CacheError> {
        self.take(what)?;
        let done = call()?;
        self.take(format_args!("{what}, done"))?;
        Ok(done)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn panics(&self) -> bool {
        matches!(self.state().fails, Some((_, Failure::Panic)))
    }

    fn fault(&self, what: &str) -> Result<(), BackendFault> {
        self.take(what).map_err(BackendFault::io)
    }
}

impl DiskProbe for Steps {
    fn before(&self, _path: &Path, op: DiskOp<'_>) -> io::Result<()> {
        if self.panics() {
            return Ok(());
        }
        match op {
            DiskOp::Write { offset, data } => {
                self.take(format!("write {} bytes at {offset}", data.len()))
            }
            op => self.take(op),
        }
    }
}

/// A store each of whose calls is two steps: one before it is done, one after. The anchor that
/// fails is refused, without a halt.
pub(crate) struct SteppedStore(pub(crate) Box<dyn EventStore>, pub(crate) Steps);

impl EventStore for SteppedStore {
    fn open_run(&mut self, manifest: RunManifest) -> Result<RunOpening, OpenRunError> {
        let at = |source| FileError::Fault { path: "a run".into(), source };
        self.1.fault("open_run").map_err(at)?;
        let opening = self.0.open_run(manifest)?;
        self.1.fault("open_run, done").map_err(at)?;
        Ok(opening)
    }

    fn append(&mut self, frames: &[SealedFrame<'_>]) -> Result<(), AppendError> {
        self.1.fault("append")?;
        self.0.append(frames)?;
        Ok(self.1.fault("append, done")?)
    }

    fn record_anchor(&mut self, anchor: &SnapshotAnchor) -> Result<(), AnchorError> {
        let refusal = |_error| AnchorError::PastWatermark {
            anchor: anchor.high_watermark,
            watermark: anchor.high_watermark - 1,
        };
        self.1.take("record_anchor").map_err(refusal)?;
        self.0.record_anchor(anchor)?;
        self.1.take("record_anchor, done").map_err(refusal)
    }

    fn seal(
        &mut self,
        status: RunStatus,
        end_ts_init: Option<UnixNanos>,
    ) -> Result<SealedRun, SealError> {
        self.1.fault("seal")?;
        let sealed = self.0.seal(status, end_ts_init)?;
        self.1.fault("seal, done")?;
        Ok(sealed)
    }

    fn tail(&self) -> Option<Tail> {
        self.0.tail()
    }

    fn reader(&self) -> Option<Arc<dyn RunReader>> {
        self.0.reader()
    }
}

/// A cache each of whose calls is two steps: one before it is done, one after.
#[derive(Debug)]
pub(crate) struct SteppedCache<C>(pub(crate) C, pub(crate) Steps);

impl<C: StateCache> StateCache for SteppedCache<C> {
    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError> {
        self.1.around("load_blob", || self.0.load_blob(blob_ref))
    }

    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError> {
        self.1.around("take_over", || self.0.take_over(blob))
    }

    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError> {
        self.1.around("apply", || self.0.apply(entry))
    }

    fn to_blob(&self) -> Result<Vec<u8>, CacheError> {
        self.1.around("to_blob", || self.0.to_blob())
    }

    fn keep_blob(&mut self, blob: &[u8]) -> Result<String, CacheError> {
        self.1.around("keep_blob", || self.0.keep_blob(blob))
    }
}
