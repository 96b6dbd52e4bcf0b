use std::collections::BTreeSet;
use std::path::Path;

use super::OpenError;
use crate::model::{InstanceId, RunId};
use crate::read::{EventStoreReader, ReadError};
use crate::replay::{RestoreError, RestoreReport, StateCache, restore_snapshot_and_replay_tail};
use crate::store::{OpenSealedError, guarded, open_sealed};

/// What was restored of a run and those it continued from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentRestore {
    /// The run whose last state the cache has now.
    pub parent_run_id: RunId,
    /// What each run contributed, oldest first: the nearest one with a snapshot, or the first there was, and
    /// all after it.
    pub runs: Vec<(RunId, RestoreReport)>,
}

/// Why a cache could not be restored. It must not be used then, unless nothing was to be restored yet.
#[derive(Debug, thiserror::Error)]
pub enum RestoreParentError {
    /// What was left behind could not be swept up, so that it is not known what to restore.
    #[error(transparent)]
    Boot(#[from] OpenError),
    /// A run that is needed cannot be opened, or its file holds another. One that was reclaimed, while a later one without a snapshot
    /// was kept, cannot be made up for: begin with an empty cache.
    #[error("run {run_id} is needed to restore from, and cannot be opened: {source}")]
    Open {
        /// The run.
        run_id: RunId,
        /// What is wrong.
        source: OpenSealedError,
    },
    /// A run that is needed cannot be read.
    #[error("run {run_id} is needed to restore from, and cannot be read: {source}")]
    Read {
        /// The run.
        run_id: RunId,
        /// What is wrong.
        source: ReadError,
    },
    /// A run that is needed is damaged in a way that makes reading it panic.
    #[error("run {run_id} is needed to restore from: {panic}")]
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
    /// A run could not be replayed.
    #[error("cannot restore from run {run_id}: {source}")]
    Restore {
        /// The run.
        run_id: RunId,
        /// What is wrong.
        source: RestoreError,
    },
}

impl ParentRestore {
    /// Whether a snapshot was at the beginning. Where none was, the cache has what these runs recorded, on top
    /// of what it had before.
    pub fn has_snapshot(&self) -> bool {
        self.runs.first().is_some_and(|(_, report)| report.snapshot_seq.is_some())
    }
}

/// Brings `cache` to the last state of `parent_run_id`. A run's own entries are only what happened since it
/// opened: where it has no snapshot, the run it continued from is restored first, and so on.
pub(super) fn restore_parent(
    base_dir: &Path,
    instance_id: &InstanceId,
    parent_run_id: RunId,
    cache: &mut dyn StateCache,
) -> Result<ParentRestore, RestoreParentError> {
    let mut runs = Vec::new();
    for run_id in lineage(base_dir, instance_id, parent_run_id)?.into_iter().rev() {
        let restore = || {
            let reader = open(base_dir, instance_id, run_id)?;
            restore_snapshot_and_replay_tail(cache, &reader)
                .map_err(|source| RestoreParentError::Restore { run_id, source })
        };
        let panicked = |panic| RestoreParentError::Panicked { run_id, panic };
        runs.push((run_id, guarded(restore).map_err(panicked)??));
    }
    Ok(ParentRestore { parent_run_id, runs })
}

/// The runs to restore from, newest first: up to the first with a snapshot.
fn lineage(
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
    let source = open_sealed(base_dir, instance_id, run_id);
    let source = source.map_err(|source| RestoreParentError::Open { run_id, source })?;
    Ok(EventStoreReader::new(source))
}
