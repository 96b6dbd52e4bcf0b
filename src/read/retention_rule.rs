//! Which of an instance's runs are kept: the rule alone, over what is known of each run.

use serde::Serialize;

use crate::model::{RetentionMode, RunId, RunStatus};
use crate::store::{Known, choose_parent};

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
    /// It took over from a run that stays, and of those that stay no other did: without it, the next run would
    /// continue from what is over.
    #[error("it took over from {run_id}, which would be continued from without it")]
    TookOver {
        /// The run that it took over from.
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

    /// What the sweep of the next boot will know of the run. Of one that cannot be read yet: what would make it the
    /// one to continue from.
    fn known(&self, run_id: RunId) -> Known {
        match *self {
            Self::Sealed { status, parent: parent_run_id, is_replay, .. } => {
                Known { run_id, status, parent_run_id, is_replay, is_recovered_now: false }
            }
            Self::NotSealed | Self::Unreadable { .. } => Known::left(run_id),
        }
    }
}

/// A run and its standing. A file whose name is no run id has none.
pub(super) type Candidate = (Option<RunId>, Standing);

/// Decides on all runs of an instance, given oldest first.
///
/// Whatever the mode: what a kept run is restored from stays, and the run that the next boot continues from is the
/// same as if nothing went.
pub(super) fn decide(mode: RetentionMode, runs: &[Candidate]) -> Vec<RetentionDecision> {
    let mut decisions = by_mode(mode, runs);
    keep_continuable(runs, &mut decisions);
    // What stays for one reason may need others for the other.
    while keep_parents(runs, &mut decisions) || keep_successors(runs, &mut decisions) {}
    decisions
}

/// What the mode says of each run by itself.
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

/// Keeps the run that the next boot continues from, as far as that can be said: a run that cannot be read yet may be
/// newer, and damaged.
fn keep_continuable(runs: &[Candidate], decisions: &mut [RetentionDecision]) {
    let sealed = |(run_id, standing): &Candidate| {
        run_id.filter(|_| standing.is_sealed()).map(|run_id| standing.known(run_id))
    };
    let sealed: Vec<Known> = runs.iter().filter_map(sealed).collect();
    if let Some(chosen) = choose_parent(&sealed)
        && let Some(at) = runs.iter().position(|(run_id, _)| *run_id == Some(chosen))
        && let RetentionDecision::Reclaim(_) = decisions[at]
    {
        decisions[at] = RetentionDecision::Keep(KeepReason::Continuable);
    }
}

/// Keeps what kept runs continue from; says whether anything was to be kept for that. Parents are older, so that one
/// pass from the newest run on follows every chain to its end: a run with a snapshot, or without a parent.
fn keep_parents(runs: &[Candidate], decisions: &mut [RetentionDecision]) -> bool {
    let mut has_kept = false;
    for at in (0..runs.len()).rev() {
        if let RetentionDecision::Keep(_) = decisions[at]
            && let Some(run_id) = runs[at].0
            && let Some(parent) = continues_from(at, runs)
            && let RetentionDecision::Reclaim(_) = decisions[parent]
        {
            decisions[parent] = RetentionDecision::Keep(KeepReason::NeededBy { run_id });
            has_kept = true;
        }
    }
    has_kept
}

/// Keeps, of the runs that took over from a kept one that would be continued from else, the newest, where none of
/// them stays anyway; says whether there was such a run. One that cannot be read is not counted on: it may be damaged.
fn keep_successors(runs: &[Candidate], decisions: &mut [RetentionDecision]) -> bool {
    let mut has_kept = false;
    for at in 0..runs.len() {
        let RetentionDecision::Keep(_) = decisions[at] else { continue };
        let Some(left) = cut_off(&runs[at]) else { continue };
        let mut newest = None;
        for by in (0..runs.len()).rev().filter(|by| took_over(&runs[*by], &left)) {
            if let RetentionDecision::Keep(_) = decisions[by] {
                newest = None;
                break;
            }
            newest = newest.or(Some(by));
        }
        if let Some(by) = newest {
            decisions[by] = RetentionDecision::Keep(KeepReason::TookOver { run_id: left.run_id });
            has_kept = true;
        }
    }
    has_kept
}

/// What is known of a run that the next boot continues from if none took over from it.
fn cut_off((run_id, standing): &Candidate) -> Option<Known> {
    run_id.map(|run_id| standing.known(run_id)).filter(Known::is_cut_off)
}

/// Whether a run that can be read took over from `left`.
fn took_over((run_id, standing): &Candidate, left: &Known) -> bool {
    standing.is_sealed() && run_id.is_some_and(|run_id| standing.known(run_id).supersedes(left))
}

/// What has become of a run while a plan is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nobody has touched it.
    There,
    /// It was to be removed, and that failed: a power cut may bring it back, or have it gone.
    Doubtful,
    /// It is gone for good.
    Gone,
}

/// The run that would be continued from, as things are amid the removal, if `at` went: one that may still be there,
/// and from which of all that are there for sure only `at` took over.
pub(super) fn only_took_over_from(at: usize, runs: &[Candidate], fates: &[Fate]) -> Option<RunId> {
    let others = || (0..runs.len()).filter(move |other| *other != at);
    let left = others().filter(|other| fates[*other] != Fate::Gone);
    let mut left = left.filter_map(|other| cut_off(&runs[other]));
    let is_there = |by: &usize| fates[*by] == Fate::There;
    let is_held = |left: &Known| {
        took_over(&runs[at], left)
            && !others().filter(is_there).any(|by| took_over(&runs[by], left))
    };
    left.find(is_held).map(|left| left.run_id)
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
