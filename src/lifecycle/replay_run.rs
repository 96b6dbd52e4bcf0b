use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use crate::model::{InstanceId, RunId, RunStatus};
use crate::read::{Finding, Verifier};
use crate::store::{OpenSealedError, open_sealed};

/// Why a run cannot be replayed from (setting `replay_from_run_id`).
#[derive(Debug, thiserror::Error)]
pub enum ReplayRunError {
    /// It is not there, not sealed, or cannot be read.
    #[error("cannot replay from run {run_id}: {source}")]
    Open {
        /// The run.
        run_id: RunId,
        /// What is wrong.
        source: OpenSealedError,
    },
    /// It was quarantined.
    #[error("cannot replay from run {run_id}: it is quarantined")]
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
}

/// Whether `run_id` is sealed, not quarantined, and in order. Reads all of it.
pub(super) fn check_replay_run(
    base_dir: &Path,
    instance_id: &InstanceId,
    run_id: RunId,
) -> Result<(), ReplayRunError> {
    let open = |source| ReplayRunError::Open { run_id, source };
    let source = open_sealed(base_dir, instance_id, run_id).map_err(open)?;
    let report = Verifier::new(Arc::clone(&source)).threads(NonZero::<usize>::MIN).run(|_| ());
    match report.findings.into_iter().next() {
        Some(first) => Err(ReplayRunError::Damaged { run_id, first }),
        None if report.status == Some(RunStatus::Quarantined) => {
            Err(ReplayRunError::Quarantined { run_id })
        }
        None => Ok(()),
    }
}
