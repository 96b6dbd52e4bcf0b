//! Removes the runs that a retention plan names. Only an explicit call does this.

use super::folder::remove_run;
use super::retention::{PlannedRun, RetentionError, RetentionPlan, SealedFacts};
use super::retention_decision::{KeepReason, RetentionDecision};

impl RetentionPlan {
    /// Removes the runs that may be removed, oldest first, each with its sidecar, durably. Calls
    /// `removed` with the result for each. An error with one run does not keep the others.
    ///
    /// Makes the plan again, and removes only what is in both plans. Reads each run once more right
    /// before it removes it: the run must be sealed and unchanged, and its restore point must still
    /// be one.
    pub fn apply<'a>(
        &'a self,
        mut removed: impl FnMut(&'a PlannedRun, Result<(), RetentionError>),
    ) -> Result<(), RetentionError> {
        let now = self.again()?;
        for run in self.reclaimable() {
            removed(run, now.reclaim(run, self.restore_point().is_some()));
        }
        Ok(())
    }

    /// Removes a run of an earlier plan. `had_point` says if that plan had a restore point.
    fn reclaim(&self, planned: &PlannedRun, had_point: bool) -> Result<(), RetentionError> {
        let path = || planned.path.clone();
        let Some(run) = self.runs().iter().find(|run| run.path == planned.path) else {
            return Err(RetentionError::Changed { path: path() });
        };
        if let RetentionDecision::Keep(reason) = &run.decision {
            return Err(RetentionError::Kept { path: path(), reason: reason.clone() });
        }
        if had_point || self.restore_point().is_some() {
            self.check_restore_point(planned)?;
        }
        let found = SealedFacts::read(&run.path);
        let found = found.map_err(|source| RetentionError::Unreadable { source })?;
        if planned.sealed.as_ref() != Some(&found) {
            return Err(RetentionError::Changed { path: path() });
        }
        remove_run(&run.path).map_err(|(path, source)| RetentionError::Remove { path, source })
    }

    /// Checks the restore point that makes this run dispensable, as it is now.
    fn check_restore_point(&self, planned: &PlannedRun) -> Result<(), RetentionError> {
        let Some(point) = self.restore_point().filter(|point| point.path != planned.path) else {
            let reason = KeepReason::NoRestorePoint;
            return Err(RetentionError::Kept { path: planned.path.clone(), reason });
        };
        let found = SealedFacts::read(&point.path);
        if found.is_ok_and(|found| point.sealed.as_ref() == Some(&found)) {
            return Ok(());
        }
        let (path, restore_point) = (planned.path.clone(), point.path.clone());
        Err(RetentionError::RestorePointLost { path, restore_point })
    }
}
