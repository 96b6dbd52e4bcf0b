//! Which of an instance's runs may be removed: the plan, and its rule.
//!
//! The rule keeps more than the mode asks for:
//!
//! - **what kept runs are restored from**: their parents, up to a run with a snapshot;
//! - **the head of the history**, which the next run continues, and the runs by which it is found
//!   (`lineage.rs`). A run that cannot be read yet may turn out to be newer than all others, or the
//!   parent of a sealed run. The runs that it would lead to stay as well.
//!
//! So no removal changes which run the next boot continues. That holds whatever the unreadable runs
//! turn out to be, and wherever a removal is interrupted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::folder::{read_sealed, run_files};
use super::lineage::{self, RunFacts};
use crate::model::{InstanceId, RetentionMode, RunId, RunManifest, RunStatus, error_chain};
use crate::store::{FileError, OpenSealedError, RunReader, check_held, sidecar_path};

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
/// Whatever is removed, the next start continues the same run.
///
/// Only sealed runs that can be read are ever removed. Without a restore point, none is.
#[derive(Debug)]
pub struct RetentionPlan {
    base_dir: PathBuf,
    instance_id: InstanceId,
    mode: RetentionMode,
    runs: Vec<PlannedRun>,
}

/// One run of a plan.
#[derive(Debug, Clone)]
pub struct PlannedRun {
    /// The run file.
    pub path: PathBuf,
    /// The run that the file is named after; `None` if its name is no run id.
    pub run_id: Option<RunId>,
    /// Bytes of the run file and its sidecar.
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
    /// [`RetentionMode::Bounded`] is to keep 0 runs.
    #[error("at least one run is to be kept: keep_last is 0")]
    KeepsNone,
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

/// What retention says of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetentionDecision {
    /// It stays.
    Keep(KeepReason),
    /// It may be removed.
    Reclaim(ReclaimReason),
}

/// Why a run stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeepReason {
    /// The mode is [`RetentionMode::Full`].
    #[error("everything is kept")]
    Everything,
    /// It is being recorded, or was left behind by a crash.
    #[error("not sealed: it is being recorded, or is to be recovered")]
    NotSealed,
    /// It cannot be read, so that it cannot be said what would be lost.
    #[error("cannot be read: {error}")]
    Unreadable {
        /// What is wrong.
        error: String,
    },
    /// There is nothing to restore from, so that each run may be the last that tells what happened.
    #[error("no run has a snapshot to restore from")]
    NoRestorePoint,
    /// It is the newest known-good restore point.
    #[error("the newest restore point")]
    RestorePoint,
    /// It is one of the newest runs.
    #[error("one of the newest")]
    Newest,
    /// It is newer than the newest known-good restore point.
    #[error("newer than the restore point {restore_point}")]
    AfterRestorePoint {
        /// The restore point.
        restore_point: RunId,
    },
    /// It is the head of the history, as far as can be said: the next run may continue from it. Or
    /// the head is found by it.
    #[error("the next run may continue from it")]
    Continuable,
    /// A kept run without a snapshot of its own continues from it.
    #[error("{run_id} continues from it")]
    NeededBy {
        /// The run that does.
        run_id: RunId,
    },
}

/// Why a run may be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReclaimReason {
    /// There are enough newer ones.
    #[error("not one of the newest {keep_last}")]
    NotNewest {
        /// How many are kept.
        keep_last: u32,
    },
    /// It is older than the newest known-good restore point.
    #[error("older than the restore point {restore_point}")]
    BeforeRestorePoint {
        /// The restore point.
        restore_point: RunId,
    },
}

/// What a sealed run says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SealedFacts {
    manifest: RunManifest,
    /// True if it has a valid anchor.
    anchored: bool,
}

impl SealedFacts {
    /// Reads them from the file.
    pub(super) fn read(path: &Path) -> Result<Self, OpenSealedError> {
        let read = |run: &dyn RunReader| {
            let manifest = run.manifest()?;
            let durable = run.watermark()?.min(manifest.high_watermark);
            let anchor = run.anchor()?;
            let anchored = anchor.is_some_and(|anchor| anchor.high_watermark <= durable);
            Ok(Self { manifest, anchored })
        };
        read_sealed(path, read)
    }

    fn standing(&self) -> Standing {
        Standing::Sealed { facts: RunFacts::of(&self.manifest), anchored: self.anchored }
    }

    pub(super) fn is_restore_point(&self) -> bool {
        self.standing().is_restore_point()
    }
}

impl RetentionPlan {
    /// Looks at all runs of an instance and plans what `mode` keeps. Reads manifest, anchor and
    /// last frame of each run.
    pub fn new(
        base_dir: &Path,
        instance_id: &InstanceId,
        mode: RetentionMode,
    ) -> Result<Self, RetentionError> {
        if mode == (RetentionMode::Bounded { keep_last: 0 }) {
            return Err(RetentionError::KeepsNone);
        }
        let files = run_files(base_dir, instance_id).map_err(|source| {
            let path = base_dir.join(instance_id.as_str());
            RetentionError::List { path, source }
        })?;
        let look = |(run_id, path): &(Option<RunId>, PathBuf)| {
            let (standing, sealed) = standing(path, instance_id, *run_id);
            ((*run_id, standing), sealed)
        };
        let (candidates, sealed): (Vec<Candidate>, Vec<_>) = files.iter().map(look).unzip();
        let mut runs = Vec::with_capacity(files.len());
        for (((run_id, path), sealed), decision) in
            files.into_iter().zip(sealed).zip(decide(mode, &candidates))
        {
            let bytes = bytes_of(&path) + bytes_of(&sidecar_path(&path));
            runs.push(PlannedRun { path, run_id, bytes, decision, sealed });
        }
        let (base_dir, instance_id) = (base_dir.to_owned(), instance_id.clone());
        Ok(Self { base_dir, instance_id, mode, runs })
    }

    /// Makes the plan again, from the present runs.
    pub(super) fn again(&self) -> Result<Self, RetentionError> {
        Self::new(&self.base_dir, &self.instance_id, self.mode)
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
        Err(OpenSealedError::File(FileError::NotSealed { .. })) => (Standing::NotSealed, None),
        Err(error) => unreadable(error_chain(&error)),
    }
}

fn bytes_of(file: &Path) -> u64 {
    fs::symlink_metadata(file).map_or(0, |metadata| metadata.len())
}

/// What the rule needs to know about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    NotSealed,
    Unreadable { error: String },
    Sealed { facts: RunFacts, anchored: bool },
}

impl Standing {
    fn is_sealed(&self) -> bool {
        self.facts().is_some()
    }

    fn facts(&self) -> Option<&RunFacts> {
        match self {
            Self::Sealed { facts, .. } => Some(facts),
            Self::NotSealed | Self::Unreadable { .. } => None,
        }
    }

    /// True if state can be restored from this run alone.
    fn is_restore_point(&self) -> bool {
        matches!(self, Self::Sealed { facts, anchored: true } if facts.is_sound())
    }
}

/// A run and its standing. A file whose name is no run id has no run, and is never sealed.
type Candidate = (Option<RunId>, Standing);

/// Decides about all runs of an instance. They come oldest first.
fn decide(mode: RetentionMode, runs: &[Candidate]) -> Vec<RetentionDecision> {
    let mut decisions = by_mode(mode, runs);
    keep_head(runs, &mut decisions);
    keep_parents(runs, &mut decisions);
    decisions
}

/// What the mode alone says about each run.
fn by_mode(mode: RetentionMode, runs: &[Candidate]) -> Vec<RetentionDecision> {
    use RetentionDecision::{Keep, Reclaim};

    let restore_point = runs.iter().rposition(|(_, standing)| standing.is_restore_point());
    let restore_point = restore_point.and_then(|at| Some((at, runs[at].0?)));
    let mut newer_sealed = runs.iter().filter(|(_, standing)| standing.is_sealed()).count();
    let decide = |(at, (_, standing)): (usize, &Candidate)| {
        newer_sealed -= usize::from(standing.is_sealed());
        match (standing, mode, restore_point) {
            (Standing::NotSealed, ..) => Keep(KeepReason::NotSealed),
            (Standing::Unreadable { error }, ..) => {
                Keep(KeepReason::Unreadable { error: error.clone() })
            }
            (_, RetentionMode::Full, _) => Keep(KeepReason::Everything),
            (_, _, None) => Keep(KeepReason::NoRestorePoint),
            (_, _, Some((point, _))) if at == point => Keep(KeepReason::RestorePoint),
            (_, RetentionMode::Bounded { keep_last }, _) => {
                if newer_sealed < keep_last as usize {
                    Keep(KeepReason::Newest)
                } else {
                    Reclaim(ReclaimReason::NotNewest { keep_last })
                }
            }
            (_, RetentionMode::SnapshotAnchored, Some((point, restore_point))) => {
                if at > point {
                    Keep(KeepReason::AfterRestorePoint { restore_point })
                } else {
                    Reclaim(ReclaimReason::BeforeRestorePoint { restore_point })
                }
            }
        }
    };
    runs.iter().enumerate().map(decide).collect()
}

/// Keeps the head and the runs by which the next boot finds it, whatever the unreadable runs turn
/// out to be.
///
/// The path to the head goes from the newest run to the newest run that continues it, and so on.
/// This keeps every run that the path may begin with and, for each of these, the newest run that
/// continues it. So no removed run is on any path.
fn keep_head(runs: &[Candidate], decisions: &mut [RetentionDecision]) {
    let sealed = sealed(runs);
    let mut staying = lineage::path_to_head(&sealed);
    let unknown = runs.iter().filter(|(_, standing)| !standing.is_sealed());
    for run_id in unknown.filter_map(|(run_id, _)| *run_id) {
        staying.extend(lineage::path_from(run_id, &sealed));
    }
    for ((run_id, _), decision) in runs.iter().zip(decisions) {
        let stays = run_id.is_some_and(|run_id| staying.contains(&run_id));
        if stays && matches!(decision, RetentionDecision::Reclaim(_)) {
            *decision = RetentionDecision::Keep(KeepReason::Continuable);
        }
    }
}

/// Keeps the parents of kept runs: the parent, its parent and so on, up to a run with a snapshot or
/// without a parent.
fn keep_parents(runs: &[Candidate], decisions: &mut [RetentionDecision]) {
    let is_kept = |at: &usize| matches!(decisions[*at], RetentionDecision::Keep(_));
    let mut left: Vec<usize> = (0..runs.len()).filter(is_kept).collect();
    while let Some(at) = left.pop() {
        if let Some(run_id) = runs[at].0
            && let Some(parent) = continues_from(at, runs)
            && let RetentionDecision::Reclaim(_) = decisions[parent]
        {
            decisions[parent] = RetentionDecision::Keep(KeepReason::NeededBy { run_id });
            left.push(parent);
        }
    }
}

/// The run that is needed to restore `at`.
fn continues_from(at: usize, runs: &[Candidate]) -> Option<usize> {
    let parent = match &runs[at].1 {
        Standing::Sealed { facts, anchored } => {
            let is_restored = facts.status != RunStatus::Quarantined && !anchored;
            facts.parent_run_id.filter(|_| is_restored)
        }
        // An open run does not name its parent. Its start chose the head of that time.
        Standing::NotSealed | Standing::Unreadable { .. } => lineage::head(&sealed(&runs[..at])),
    };
    let parent = parent?;
    runs.iter().position(|(run_id, _)| *run_id == Some(parent))
}

fn sealed(runs: &[Candidate]) -> Vec<RunFacts> {
    runs.iter().filter_map(|(_, standing)| standing.facts().copied()).collect()
}

#[cfg(test)]
mod tests;
