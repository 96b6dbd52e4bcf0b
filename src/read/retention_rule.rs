//! Which of an instance's runs are kept: the rule alone, over what is known of each run.

use serde::Serialize;

use crate::model::{RetentionMode, RunId, RunStatus};

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
    /// A crash cut it off and no run came after it, so that the next one may continue from it.
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

/// What the rule has to know of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    NotSealed,
    Unreadable { error: String },
    Sealed { status: RunStatus, parent: Option<RunId>, anchored: bool, is_replay: bool },
}

impl Standing {
    fn is_sealed(&self) -> bool {
        matches!(self, Self::Sealed { .. })
    }

    /// Whether state can be restored from it alone: known-good.
    pub(super) fn is_restore_point(&self) -> bool {
        self.is_live() && matches!(self, Self::Sealed { anchored: true, .. })
    }

    /// Whether it tells what happened live and can be trusted.
    fn is_live(&self) -> bool {
        let quarantined = RunStatus::Quarantined;
        matches!(self, Self::Sealed { status, is_replay: false, .. } if *status != quarantined)
    }

    fn is_recovered(&self) -> bool {
        let recovered = RunStatus::CrashedRecovered;
        self.is_live() && matches!(self, Self::Sealed { status, .. } if *status == recovered)
    }
}

/// A run and its standing. A file whose name is no run id has none.
pub(super) type Candidate = (Option<RunId>, Standing);

/// Decides on all runs of an instance, given oldest first.
pub(super) fn decide(mode: RetentionMode, runs: &[Candidate]) -> Vec<RetentionDecision> {
    use RetentionDecision::{Keep, Reclaim};

    let restore_point = runs.iter().rposition(|(_, standing)| standing.is_restore_point());
    let restore_point = restore_point.and_then(|at| Some((at, runs[at].0?)));
    let newest_live = runs.iter().rposition(|(_, standing)| standing.is_live());
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
                } else if newest_live == Some(at) && standing.is_recovered() {
                    Keep(KeepReason::Continuable)
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
    let mut decisions: Vec<RetentionDecision> = runs.iter().enumerate().map(decide).collect();
    keep_parents(runs, &mut decisions);
    decisions
}

/// Keeps what kept runs continue from. Parents are older, so that one pass from the newest run on
/// follows every chain to its end: a run with a snapshot, or without a parent.
fn keep_parents(runs: &[Candidate], decisions: &mut [RetentionDecision]) {
    for at in (0..runs.len()).rev() {
        if let RetentionDecision::Keep(_) = decisions[at]
            && let Some(run_id) = runs[at].0
            && let Some(parent) = continues_from(at, runs)
            && let RetentionDecision::Reclaim(_) = decisions[parent]
        {
            decisions[parent] = RetentionDecision::Keep(KeepReason::NeededBy { run_id });
        }
    }
}

/// The run without which `at` cannot be restored.
fn continues_from(at: usize, runs: &[Candidate]) -> Option<usize> {
    let older = &runs[..at];
    match runs[at].1 {
        Standing::Sealed { status: RunStatus::Quarantined, .. }
        | Standing::Sealed { anchored: true, .. } => None,
        Standing::Sealed { parent, .. } => {
            let parent = parent?;
            older.iter().rposition(|(run_id, _)| *run_id == Some(parent))
        }
        // It does not say while it is open. Recovery at its start chose the newest such run.
        Standing::NotSealed | Standing::Unreadable { .. } => {
            older.iter().rposition(|(_, standing)| standing.is_recovered())
        }
    }
}

#[cfg(test)]
mod tests;
