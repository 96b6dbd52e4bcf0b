use super::{EventStoreConfig, OpenError};
use crate::model::{InstanceId, OnUnreadableRun, REPLAY_FLAG, RESTORES_FLAG, RunId};
use crate::replay::StateCache;
use crate::runs::{
    InstanceLock, ParentRestore, RestoreParentError, SkipKind, SkippedFile, SweepReport,
    check_replay_run, restore_parent, sweep,
};
use crate::store::run_path;

/// An instance's folder that is ready for recording: locked and swept. The run that the next one
/// continues is chosen. Released when dropped.
pub(super) struct Boot {
    pub(super) instance_id: InstanceId,
    pub(super) sweep: SweepReport,
    /// The run that the next one continues.
    pub(super) parent_run_id: Option<RunId>,
    /// The feature flags for the manifest of the next run: how it began.
    pub(super) flags: Vec<String>,
    /// A run that may hold what happened last and cannot be continued, if there is one.
    passed_over: Option<(RunId, SkippedFile)>,
    _lock: InstanceLock,
}

/// The feature flag of a run that took the place of one that nobody could read. The id of that run
/// follows a `=`.
const PASSED_OVER_FLAG: &str = "passed-over";

/// The feature flag of a run that continues none, although there are earlier ones.
const FRESH_START_FLAG: &str = "fresh-start";

impl Boot {
    /// Locks the folder of `instance_id` and seals every run that was left behind there.
    pub(super) fn new(
        config: &EventStoreConfig,
        instance_id: &InstanceId,
    ) -> Result<Self, OpenError> {
        config.validate()?;
        let base_dir = &config.base_dir;
        let lock = InstanceLock::acquire(base_dir, instance_id)?;
        let sweep = sweep(base_dir, instance_id, config.recovery(), |progress| {
            let (path, scanned) = (progress.path.display(), progress.entries_scanned);
            tracing::info!("recovering {path}: {scanned} entries scanned");
        })?;
        for skipped in &sweep.skipped {
            tracing::warn!("{} is left alone: {}", skipped.path.display(), skipped.error);
        }
        let (parent_run_id, flags, passed_over) = if let Some(run_id) = config.replay_from_run_id {
            check_replay_run(base_dir, instance_id, run_id).map_err(OpenError::ReplayRun)?;
            (Some(run_id), vec![REPLAY_FLAG.to_owned()], None)
        } else {
            let passed_over = passed_over(config, instance_id, &sweep);
            (sweep.parent_run_id, passed_over_flags(&sweep), passed_over)
        };
        let instance_id = instance_id.clone();
        Ok(Self { instance_id, sweep, parent_run_id, flags, passed_over, _lock: lock })
    }

    /// Brings `cache` to the state of the run that the next one continues. `None` if there is none.
    pub(super) fn restore(
        &mut self,
        config: &EventStoreConfig,
        cache: &mut dyn StateCache,
    ) -> Result<Option<ParentRestore>, RestoreParentError> {
        if !self.flags.iter().any(|flag| flag == RESTORES_FLAG) {
            self.flags.push(RESTORES_FLAG.to_owned());
        }
        let restore = |run_id| restore_parent(&config.base_dir, &self.instance_id, run_id, cache);
        self.parent_run_id.map(restore).transpose()
    }

    /// Refuses if a run that cannot be continued may hold what happened last: what can be restored
    /// would be older, and once a run has opened in its place, nothing brings that back. The node
    /// may say that this is what it wants, but not of a run in another version of the format.
    pub(super) fn check_whole(&self, config: &EventStoreConfig) -> Result<(), OpenError> {
        let Some((run_id, file)) = &self.passed_over else { return Ok(()) };
        let may_pass_over = file.kind != SkipKind::OtherVersion;
        if may_pass_over && config.on_unreadable_run == OnUnreadableRun::PassOver {
            return Ok(());
        }
        Err(OpenError::PassedOver { run_id: *run_id, file: file.clone() })
    }

    /// Logs that a run is passed over, once the next one is about to open in its place.
    pub(super) fn log_passed_over(&self) {
        if let Some((run_id, file)) = &self.passed_over {
            tracing::error!(
                "run {run_id} may hold what happened last, and is passed over for good: {}: {}",
                file.path.display(),
                file.error
            );
        }
    }

    /// From now on the next run continues none.
    pub(super) fn start_fresh(&mut self) {
        let parent = self.parent_run_id.take().is_some();
        let passed_over = self.passed_over.take().is_some();
        if parent || passed_over {
            self.flags.push(FRESH_START_FLAG.to_owned());
        }
    }
}

/// The run that was passed over and its file, if there is one. Of several: one that another version
/// of the program can read, or else the newest.
fn passed_over(
    config: &EventStoreConfig,
    instance_id: &InstanceId,
    sweep: &SweepReport,
) -> Option<(RunId, SkippedFile)> {
    let with_file = |run_id: &RunId| {
        let path = run_path(&config.base_dir, instance_id, *run_id);
        let skipped = sweep.skipped.iter().find(|skipped| skipped.path == path).cloned();
        let quarantined = || SkippedFile {
            path,
            kind: SkipKind::Damaged,
            error: "it is quarantined: `tapline verify` says what is wrong".to_owned(),
        };
        (*run_id, skipped.unwrap_or_else(quarantined))
    };
    let runs = sweep.passed_over.iter().map(with_file);
    runs.max_by_key(|(run_id, file)| (file.kind == SkipKind::OtherVersion, *run_id))
}

/// A run that opens now takes the place of those that were passed over.
fn passed_over_flags(sweep: &SweepReport) -> Vec<String> {
    sweep.passed_over.iter().map(|run_id| format!("{PASSED_OVER_FLAG}={run_id}")).collect()
}
