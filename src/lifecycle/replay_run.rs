use std::path::Path;

use crate::model::{InstanceId, RunId, RunStatus};
use crate::read::{Finding, Verifier};
use crate::store::{OpenSealedError, ReadFault, guarded, open_sealed};

/// Why a run cannot be replayed from (setting `replay_from_run_id`).
#[derive(Debug, thiserror::Error)]
pub enum ReplayRunError {
    /// It is not there, not sealed, cannot be opened, or its file holds another run or one of another instance.
    #[error("cannot replay from run {run_id}: {source}")]
    Open {
        /// The run.
        run_id: RunId,
        /// What is wrong.
        source: OpenSealedError,
    },
    /// It cannot be read.
    #[error("cannot replay from run {run_id}: {source}")]
    Read {
        /// The run.
        run_id: RunId,
        /// What is wrong.
        source: ReadFault,
    },
    /// It was quarantined.
    #[error(
        "cannot replay from run {run_id}: it is quarantined; `tapline verify` says what is wrong"
    )]
    Quarantined {
        /// The run.
        run_id: RunId,
    },
    /// It does not verify.
    #[error("cannot replay from run {run_id}: it does not verify, first finding: {first}")]
    Damaged {
        /// The run.
        run_id: RunId,
        /// The first thing that is wrong.
        first: Finding,
    },
    /// It is damaged in a way that makes reading it panic.
    #[error("cannot replay from run {run_id}: {panic}")]
    Panicked {
        /// The run.
        run_id: RunId,
        /// What the panic said.
        panic: String,
    },
}

/// Whether `run_id` is sealed, not quarantined, and in order. Reads all of it.
pub(super) fn check_replay_run(
    base_dir: &Path,
    instance_id: &InstanceId,
    run_id: RunId,
) -> Result<(), ReplayRunError> {
    let check = || {
        let open = |source| ReplayRunError::Open { run_id, source };
        let source = open_sealed(base_dir, instance_id, run_id).map_err(open)?;
        let read = |source| ReplayRunError::Read { run_id, source };
        if source.manifest().map_err(read)?.status == RunStatus::Quarantined {
            return Err(ReplayRunError::Quarantined { run_id });
        }
        match Verifier::new(source).run(|_| ()).findings.into_iter().next() {
            Some(first) => Err(ReplayRunError::Damaged { run_id, first }),
            None => Ok(()),
        }
    };
    guarded(check).map_err(|panic| ReplayRunError::Panicked { run_id, panic })?
}
