//! Restores a node's state from the run that it continues and the runs before it. Also checks a run
//! that a node is told to replay.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use crate::model::{InstanceId, RunId, RunStatus};
use crate::read::{EntryRef, EventStoreReader, Finding, ReadError, Verifier};
use crate::replay::{
    Applied, CacheError, RestoreError, RestoreReport, StateCache, restore_snapshot_and_replay_tail,
};
use crate::store::{OpenSealedError, ReadFault, guarded, open_sealed};

/// What was restored. It is the whole state: if a run that is needed cannot be read, restoring
/// fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentRestore {
    /// The run whose last state the cache now has.
    pub parent_run_id: RunId,
    /// What each run contributed, oldest first. It begins with the nearest run with a snapshot, or
    /// with the first run of all.
    pub runs: Vec<(RunId, RestoreReport)>,
}

/// Why a cache could not be restored. It must not be used then, unless nothing was to be restored
/// yet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreParentError {
    /// A run that is needed cannot be opened, or its file holds another. One that was reclaimed,
    /// while a later one without a snapshot was kept, cannot be made up for: begin with an empty
    /// cache.
    #[error("run {run_id} is needed, and cannot be opened")]
    Open {
        /// The run.
        run_id: RunId,
        /// What is wrong.
        source: OpenSealedError,
    },
    /// A run that is needed cannot be read.
    #[error("run {run_id} is needed, and cannot be read")]
    Read {
        /// The run.
        run_id: RunId,
        /// What is wrong.
        source: ReadError,
    },
    /// A run that is needed is damaged in a way that makes reading it panic.
    #[error("run {run_id} is needed, and cannot be read: {panic}")]
    Panicked {
        /// The run.
        run_id: RunId,
        /// What the panic said.
        panic: String,
    },
    /// The runs name each other as parents.
    #[error("run {run_id} continues from itself: the manifests of these runs were changed")]
    Circle {
        /// The run.
        run_id: RunId,
    },
    /// The run to replay from was quarantined.
    #[error("run {run_id} is quarantined; `tapline verify` says what is wrong")]
    Quarantined {
        /// The run.
        run_id: RunId,
    },
    /// The run to replay from does not verify.
    #[error("run {run_id} does not verify, first finding: {first}")]
    Damaged {
        /// The run.
        run_id: RunId,
        /// The first thing that is wrong.
        first: Finding,
    },
    /// A run could not be replayed.
    #[error("cannot restore from run {run_id}")]
    Restore {
        /// The run.
        run_id: RunId,
        /// What is wrong.
        source: RestoreError,
    },
}

/// Brings `cache` to the last state of `parent_run_id`. A run's entries only tell what happened
/// since it opened. So if it has no snapshot, the run that it continued is restored first, and so
/// on.
///
/// # Panics
///
/// If the cache panics, the panic goes on to the caller.
pub(crate) fn restore_parent(
    base_dir: &Path,
    instance_id: &InstanceId,
    parent_run_id: RunId,
    cache: &mut dyn StateCache,
) -> Result<ParentRestore, RestoreParentError> {
    let mut cache = PanicKeeper { cache, panic: Cell::new(None) };
    let mut runs = Vec::new();
    for run_id in runs_to_restore(base_dir, instance_id, parent_run_id)?.into_iter().rev() {
        let restore = || {
            let reader = open(base_dir, instance_id, run_id)?;
            restore_snapshot_and_replay_tail(&mut cache, &reader)
                .map_err(|source| RestoreParentError::Restore { run_id, source })
        };
        let restored = guarded(restore);
        if let Some(panic) = cache.panic.take() {
            resume_unwind(panic);
        }
        let panicked = |panic| RestoreParentError::Panicked { run_id, panic };
        runs.push((run_id, restored.map_err(panicked)??));
    }
    Ok(ParentRestore { parent_run_id, runs })
}

/// Passes every call on to the node's cache. Turns a panic of the cache into an error and keeps it,
/// because a panic inside the code that reads the file would mean a damaged file. The kept panic is
/// resumed later.
struct PanicKeeper<'a> {
    cache: &'a mut dyn StateCache,
    panic: Cell<Option<Box<dyn Any + Send>>>,
}

fn kept<T>(
    panic: &Cell<Option<Box<dyn Any + Send>>>,
    call: impl FnOnce() -> Result<T, CacheError>,
) -> Result<T, CacheError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        panic.set(Some(payload));
        Err("the cache panicked".into())
    })
}

impl StateCache for PanicKeeper<'_> {
    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError> {
        kept(&self.panic, || self.cache.load_blob(blob_ref))
    }

    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError> {
        kept(&self.panic, || self.cache.take_over(blob))
    }

    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError> {
        kept(&self.panic, || self.cache.apply(entry))
    }

    fn to_blob(&self) -> Result<Vec<u8>, CacheError> {
        kept(&self.panic, || self.cache.to_blob())
    }

    fn keep_blob(&mut self, blob: &[u8]) -> Result<String, CacheError> {
        kept(&self.panic, || self.cache.keep_blob(blob))
    }
}

/// The runs to restore from, newest first, up to the first with a snapshot.
fn runs_to_restore(
    base_dir: &Path,
    instance_id: &InstanceId,
    newest: RunId,
) -> Result<Vec<RunId>, RestoreParentError> {
    let mut runs = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next = Some(newest);
    while let Some(run_id) = next {
        if !seen.insert(run_id) {
            return Err(RestoreParentError::Circle { run_id });
        }
        runs.push(run_id);
        let look = || {
            let read = |source| RestoreParentError::Read { run_id, source };
            let reader = open(base_dir, instance_id, run_id)?;
            let has_snapshot = reader.anchor().map_err(read)?.is_some();
            let parent = reader.manifest().map_err(read)?.parent_run_id;
            Ok::<_, RestoreParentError>(parent.filter(|_| !has_snapshot))
        };
        let panicked = |panic| RestoreParentError::Panicked { run_id, panic };
        next = guarded(look).map_err(panicked)??;
    }
    Ok(runs)
}

fn open(
    base_dir: &Path,
    instance_id: &InstanceId,
    run_id: RunId,
) -> Result<EventStoreReader, RestoreParentError> {
    EventStoreReader::open_sealed(base_dir, instance_id, run_id)
        .map_err(|source| RestoreParentError::Open { run_id, source })
}

/// Checks that `run_id` is sealed, not quarantined, and in order. Reads all of it.
pub(crate) fn check_replay_run(
    base_dir: &Path,
    instance_id: &InstanceId,
    run_id: RunId,
) -> Result<(), RestoreParentError> {
    let check = || {
        let open = |source| RestoreParentError::Open { run_id, source };
        let source = open_sealed(base_dir, instance_id, run_id).map_err(open)?;
        let read = |source: ReadFault| RestoreParentError::Read { run_id, source: source.into() };
        if source.manifest().map_err(read)?.status == RunStatus::Quarantined {
            return Err(RestoreParentError::Quarantined { run_id });
        }
        match Verifier::new(source).run(|_| ()).findings.into_iter().next() {
            Some(first) => Err(RestoreParentError::Damaged { run_id, first }),
            None => Ok(()),
        }
    };
    guarded(check).map_err(|panic| RestoreParentError::Panicked { run_id, panic })?
}
