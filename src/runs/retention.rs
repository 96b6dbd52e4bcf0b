//! What may be removed of an instance's runs: the plan. `retention_rule.rs` decides.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::folder::{read_sealed, run_files};
use super::lineage::RunFacts;
use super::retention_decision::{KeepReason, RetentionDecision};
use super::retention_rule::{Candidate, Standing, decide};
use crate::engine::{ConfigError, check_range};
use crate::model::{InstanceId, RetentionMode, RunId, RunManifest, UnixNanos, error_chain};
use crate::read::{ReadError, ts_publish_of};
use crate::store::{
    BackendFault, FileError, OpenSealedError, ReadFault, RunReader, check_held, guarded, log_path,
    open_file, sidecar_path,
};

/// Which of an instance's runs are kept, and which may be removed. Making a plan changes nothing.
/// [`apply`](Self::apply) removes runs.
///
/// A **restore point** is a run that state can be restored from without any other run. It is known
/// to be good: sealed, not quarantined, not recorded by a node that replayed another run, and with
/// a snapshot anchor within its durable watermark, by the manifest and by the frames. Its state is
/// the snapshot and the entries after it.
///
/// Any other run needs its parents, back to a run with a snapshot or to the first run. So a kept
/// run keeps these. A run that is still being recorded cannot be read, so its parent is unknown.
/// The newest sound run before it is kept instead: its start chose that one, unless it was told
/// another (`replay_from_run_id`).
///
/// Whatever is removed, the next start continues the same run. The newest sealed run stays too.
///
/// Only sealed runs that can be read are ever removed. Without a restore point, none is by
/// [`Bounded`](RetentionMode::Bounded) and [`SnapshotAnchored`](RetentionMode::SnapshotAnchored).
///
/// [`MaxAge`](RetentionMode::MaxAge) and [`MaxBytes`](RetentionMode::MaxBytes) also remove runs of
/// an instance where no node restores, as of NDJSON recordings, and keep no parents there. No node
/// restores if no run has a snapshot, nor was recorded by a node that restored at its start (the
/// feature flag `restores`). A run that a crash left behind counts as well; one that is being
/// recorded cannot be asked. A node that restores for the first time after such a removal is
/// refused: [`RestoreParentError::Open`](super::RestoreParentError::Open) names the missing run.
#[derive(Debug)]
pub struct RetentionPlan {
    base_dir: PathBuf,
    instance_id: InstanceId,
    mode: RetentionMode,
    now: UnixNanos,
    runs: Vec<PlannedRun>,
}

/// One run of a plan.
#[derive(Debug, Clone)]
pub struct PlannedRun {
    /// The run file.
    pub path: PathBuf,
    /// The run that the file is named after; `None` if its name is no run id.
    pub run_id: Option<RunId>,
    /// Bytes of the run file, its sidecar and its log.
    pub bytes: u64,
    /// If it is kept or may be removed, and why.
    pub decision: RetentionDecision,
    /// The run when the plan was made; `None` if it is not sealed or cannot be read.
    pub(super) sealed: Option<SealedFacts>,
}

/// Why no plan could be made, or a run of a plan was not removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// The instance's folder could not be listed.
    #[error("cannot list {path}")]
    List {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A number of the mode is out of its range.
    #[error(transparent)]
    Mode(#[from] ConfigError),
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

/// Checks the numbers of a mode against their ranges.
pub(crate) fn check_mode(mode: RetentionMode) -> Result<(), ConfigError> {
    /// A hundred years.
    const KEEP_FOR_S_MAX: u64 = 100 * 365 * 86_400;
    match mode {
        RetentionMode::Bounded { keep_last } => {
            check_range("retention.keep_last", keep_last, 1..=1_000_000)
        }
        RetentionMode::MaxAge { keep_for_s } => {
            check_range("retention.keep_for_s", keep_for_s, 1..=KEEP_FOR_S_MAX)
        }
        RetentionMode::Full | RetentionMode::SnapshotAnchored | RetentionMode::MaxBytes { .. } => {
            Ok(())
        }
    }
}

/// What a sealed run says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SealedFacts {
    manifest: RunManifest,
    /// True if it has a valid anchor.
    anchored: bool,
    /// When it ended: its last entry's `ts_publish`, or its start. The start is that of its id,
    /// which is later than those of the runs before it, whatever the clock shows.
    ended_at: UnixNanos,
}

impl SealedFacts {
    /// Reads them from the file.
    pub(super) fn read(path: &Path) -> Result<Self, OpenSealedError> {
        let read = |run: &dyn RunReader| {
            let manifest = run.manifest()?;
            let durable = run.watermark()?.min(manifest.high_watermark);
            let anchor = run.anchor()?;
            let anchored = anchor.is_some_and(|anchor| anchor.high_watermark <= durable);
            let ended_at = last_publish(run, durable)?.max(Some(manifest.run_id.start()));
            Ok(Self { anchored, ended_at: ended_at.unwrap_or_default(), manifest })
        };
        read_sealed(path, read)
    }

    fn standing(&self) -> Standing {
        let (facts, ended_at) = (RunFacts::of(&self.manifest), self.ended_at);
        let has_state = self.anchored || self.manifest.restores();
        Standing::Sealed { facts, anchored: self.anchored, has_state, ended_at }
    }

    pub(super) fn is_restore_point(&self) -> bool {
        self.standing().is_restore_point()
    }
}

impl RetentionPlan {
    /// Looks at all runs of an instance and plans what `mode` keeps now, by the system's clock.
    /// Reads manifest, anchor and last frame of each run. By age and by bytes, where no sealed run
    /// has state, also reads all of each run that a crash left behind.
    pub fn new(
        base_dir: &Path,
        instance_id: &InstanceId,
        mode: RetentionMode,
    ) -> Result<Self, RetentionError> {
        Self::new_at(base_dir, instance_id, mode, UnixNanos::now())
    }

    /// As [`new`](Self::new), by another clock, which shows `now`.
    pub fn new_at(
        base_dir: &Path,
        instance_id: &InstanceId,
        mode: RetentionMode,
        now: UnixNanos,
    ) -> Result<Self, RetentionError> {
        check_mode(mode)?;
        let files = run_files(base_dir, instance_id).map_err(|source| {
            let path = base_dir.join(instance_id.as_str());
            RetentionError::List { path, source }
        })?;
        let look = |(run_id, path): &(Option<RunId>, PathBuf)| {
            let (standing, sealed) = standing(path, instance_id, *run_id);
            let bytes = bytes_with_companions(path);
            (Candidate { run_id: *run_id, bytes, standing }, sealed)
        };
        let (mut candidates, sealed): (Vec<Candidate>, Vec<_>) = files.iter().map(look).unzip();
        if matches!(mode, RetentionMode::MaxAge { .. } | RetentionMode::MaxBytes { .. }) {
            ask_left_runs(&files, &mut candidates);
        }
        let mut runs = Vec::with_capacity(files.len());
        let decisions = decide(mode, now, &candidates);
        let rest = sealed.into_iter().zip(candidates).zip(decisions);
        for ((run_id, path), ((sealed, Candidate { bytes, .. }), decision)) in
            files.into_iter().zip(rest)
        {
            runs.push(PlannedRun { path, run_id, bytes, decision, sealed });
        }
        let (base_dir, instance_id) = (base_dir.to_owned(), instance_id.clone());
        Ok(Self { base_dir, instance_id, mode, now, runs })
    }

    /// Makes the plan again for the same moment, from the present runs.
    pub(super) fn again(&self) -> Result<Self, RetentionError> {
        Self::new_at(&self.base_dir, &self.instance_id, self.mode, self.now)
    }

    /// What is kept of older runs.
    pub fn mode(&self) -> RetentionMode {
        self.mode
    }

    /// All runs of the instance, oldest first.
    pub fn runs(&self) -> &[PlannedRun] {
        &self.runs
    }

    /// The runs that may be removed, oldest first.
    pub fn reclaimable(&self) -> impl Iterator<Item = &PlannedRun> {
        self.runs.iter().filter(|run| matches!(run.decision, RetentionDecision::Reclaim(_)))
    }

    /// The bytes of all runs that stay, with their sidecars and logs.
    pub fn kept_bytes(&self) -> u64 {
        let kept =
            self.runs.iter().filter(|run| matches!(run.decision, RetentionDecision::Keep(_)));
        kept.fold(0, |sum, run| sum.saturating_add(run.bytes))
    }

    /// The newest known-good run.
    pub(super) fn restore_point(&self) -> Option<&PlannedRun> {
        let is_good =
            |run: &&PlannedRun| run.sealed.as_ref().is_some_and(SealedFacts::is_restore_point);
        self.runs.iter().rev().find(is_good)
    }
}

fn standing(
    path: &Path,
    instance_id: &InstanceId,
    run_id: Option<RunId>,
) -> (Standing, Option<SealedFacts>) {
    let unreadable = |error: String| (Standing::Unreadable { error }, None);
    match SealedFacts::read(path) {
        Ok(facts) => match check_held(&facts.manifest, instance_id, run_id) {
            Ok(()) => (facts.standing(), Some(facts)),
            Err(foreign) => unreadable(error_chain(&foreign)),
        },
        Err(OpenSealedError::File(FileError::NotSealed { .. })) => {
            (Standing::NotSealed { has_state: false }, None)
        }
        Err(error) => unreadable(error_chain(&error)),
    }
}

/// Where no sealed run says that a node restores, asks those that a crash left behind. This reads
/// such a file as a whole.
fn ask_left_runs(files: &[(Option<RunId>, PathBuf)], candidates: &mut [Candidate]) {
    if candidates.iter().any(|run| run.standing.has_state()) {
        return;
    }
    for ((_, path), run) in files.iter().zip(candidates) {
        if let Standing::NotSealed { has_state } = &mut run.standing {
            *has_state = left_run_has_state(path);
        }
    }
}

/// True if an unsealed run has a snapshot or its node restored, and also if its file is too damaged
/// to say. False if it is being recorded: then nobody else can read it.
fn left_run_has_state(path: &Path) -> bool {
    let look = || match open_file(path) {
        Ok(run) => match (run.anchor(), run.manifest()) {
            (Ok(None), Ok(manifest)) => manifest.restores(),
            _ => true,
        },
        Err(OpenSealedError::File(FileError::InUse { .. })) => false,
        Err(_) => true,
    };
    guarded(look).unwrap_or(true)
}

/// When the entry `seq` was published; `None` for a run without entries.
fn last_publish(run: &dyn RunReader, seq: u64) -> Result<Option<UnixNanos>, ReadFault> {
    ts_publish_of(run, seq).map_err(|error| match error {
        ReadError::Store(fault) => fault,
        damage => BackendFault::corrupted(error_chain(&damage)).into(),
    })
}

/// Of a run file, its sidecar and its log. A sealed run has a log only if one was left over.
fn bytes_with_companions(run: &Path) -> u64 {
    let files = [run.to_owned(), sidecar_path(run), log_path(run)];
    files.iter().fold(0, |sum, file| sum.saturating_add(bytes_of(file)))
}

fn bytes_of(file: &Path) -> u64 {
    fs::symlink_metadata(file).map_or(0, |metadata| metadata.len())
}
