//! Removes the runs that a retention plan names. Only an explicit call does this.

use std::io;
use std::path::PathBuf;

use super::folder::remove_run;
use super::retention::{
    KeepReason, PlannedRun, RetentionDecision, RetentionError, RetentionPlan, SealedFacts,
};
use crate::store::OpenSealedError;

/// Why a run of a plan was not removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReclaimError {
    /// By now the plan would be another.
    #[error("{path} is to be kept by now: {reason}")]
    Kept {
        /// The run file.
        path: PathBuf,
        /// Why it is kept.
        reason: KeepReason,
    },
    /// The file is gone, or holds another run than when the plan was made.
    #[error("{path} is not what it was when the plan was made; make a new plan")]
    Changed {
        /// The run file.
        path: PathBuf,
    },
    /// The run can no longer be read.
    #[error("a run that cannot be read is not removed")]
    Unreadable {
        /// What is wrong.
        source: OpenSealedError,
    },
    /// The restore point that makes the run dispensable is none any more.
    #[error("{path} is kept: state can no longer be restored from {restore_point}")]
    RestorePointLost {
        /// The run file.
        path: PathBuf,
        /// The file of the restore point.
        restore_point: PathBuf,
    },
    /// The system did not remove the file.
    #[error("cannot remove {path}")]
    Remove {
        /// The run file, or its sidecar.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl RetentionPlan {
    /// Removes the runs that may be removed, oldest first, each with its sidecar, durably. Calls
    /// `removed` with the result for each. An error with one run does not keep the others.
    ///
    /// Makes the plan again, and removes only what is in both plans. Reads each run once more right
    /// before it removes it: the run must be sealed and unchanged, and its restore point must still
    /// be one.
    pub fn apply<'a>(
        &'a self,
        mut removed: impl FnMut(&'a PlannedRun, Result<(), ReclaimError>),
    ) -> Result<(), RetentionError> {
        let now = self.again()?;
        for run in self.reclaimable() {
            removed(run, now.reclaim(run));
        }
        Ok(())
    }

    /// Removes a run of an earlier plan.
    fn reclaim(&self, planned: &PlannedRun) -> Result<(), ReclaimError> {
        let path = || planned.path.clone();
        let Some(run) = self.runs().iter().find(|run| run.path == planned.path) else {
            return Err(ReclaimError::Changed { path: path() });
        };
        if let RetentionDecision::Keep(reason) = &run.decision {
            return Err(ReclaimError::Kept { path: path(), reason: reason.clone() });
        }
        self.check_restore_point(planned)?;
        let found = SealedFacts::read(&run.path);
        let found = found.map_err(|source| ReclaimError::Unreadable { source })?;
        if planned.sealed.as_ref() != Some(&found) {
            return Err(ReclaimError::Changed { path: path() });
        }
        remove_run(&run.path).map_err(|(path, source)| ReclaimError::Remove { path, source })
    }

    /// Checks the restore point that makes this run dispensable, as it is now.
    fn check_restore_point(&self, planned: &PlannedRun) -> Result<(), ReclaimError> {
        let Some(point) = self.restore_point().filter(|point| point.path != planned.path) else {
            let reason = KeepReason::NoRestorePoint;
            return Err(ReclaimError::Kept { path: planned.path.clone(), reason });
        };
        let found = SealedFacts::read(&point.path);
        if found.is_ok_and(|found| point.sealed.as_ref() == Some(&found)) {
            return Ok(());
        }
        let (path, restore_point) = (planned.path.clone(), point.path.clone());
        Err(ReclaimError::RestorePointLost { path, restore_point })
    }
}
