//! Which of an instance's runs may be removed: the rule.
//!
//! The rule keeps more than the mode asks for:
//!
//! - **what kept runs are restored from**: their parents, up to a run with a snapshot;
//! - **the head of the history**, which the next run continues, and the runs by which it is found
//!   (`lineage.rs`). A run that cannot be read yet may turn out to be newer than all others, or the
//!   parent of a sealed run. The runs that it would lead to stay as well;
//! - **a quarantined run that would be the head**: because of it a start refuses to go on from an
//!   older state;
//! - **the newest sealed run**, also if its node replayed another run.
//!
//! So no removal changes which run the next boot continues, or whether it may. That holds whatever
//! the unreadable runs turn out to be, and wherever a removal is interrupted.
//!
//! **Without a restore point**, two modes remove nothing. Two go by age and by size alone where no
//! node restores, and do not keep parents there: no run has a snapshot, or was recorded by a node
//! that restored when it started.

use std::collections::BTreeMap;

use super::lineage::{self, RunFacts};
use super::retention_decision::{KeepReason, ReclaimReason, RetentionDecision};
use crate::model::{RetentionMode, RunId, RunStatus, UnixNanos};
use RetentionDecision::{Keep, Reclaim};

/// A run, as far as the rule needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// `None` for a file whose name is no run id. It is never sealed.
    pub(super) run_id: Option<RunId>,
    /// Of the run file, its sidecar and its log.
    pub(super) bytes: u64,
    pub(super) standing: Standing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    NotSealed {
        /// If it has a snapshot, or its node restored when it started. False for a run that is
        /// being recorded: nobody else can read it.
        has_state: bool,
    },
    Unreadable {
        error: String,
    },
    Sealed {
        facts: RunFacts,
        /// If it has a snapshot.
        anchored: bool,
        /// If it has a snapshot, or its node restored when it started.
        has_state: bool,
        ended_at: UnixNanos,
    },
}

impl Standing {
    fn is_sealed(&self) -> bool {
        self.facts().is_some()
    }

    pub(super) fn facts(&self) -> Option<&RunFacts> {
        match self {
            Self::Sealed { facts, .. } => Some(facts),
            Self::NotSealed { .. } | Self::Unreadable { .. } => None,
        }
    }

    pub(super) fn has_state(&self) -> bool {
        matches!(self, Self::Sealed { has_state: true, .. } | Self::NotSealed { has_state: true })
    }

    /// True if state can be restored from this run alone.
    pub(super) fn is_restore_point(&self) -> bool {
        matches!(self, Self::Sealed { facts, anchored: true, .. } if facts.is_sound())
    }
}

/// Decides about all runs of an instance. They come oldest first.
pub(super) fn decide(
    mode: RetentionMode,
    now: UnixNanos,
    runs: &[Candidate],
) -> Vec<RetentionDecision> {
    let mut decisions = by_mode(mode, now, runs);
    keep_head(runs, &mut decisions);
    keep_newest(runs, &mut decisions);
    let parents = Parents::of(runs);
    parents.keep_all(&mut decisions);
    if let RetentionMode::MaxBytes { keep_bytes } = mode {
        keep_what_fits(keep_bytes, &parents, &mut decisions);
    }
    decisions
}

/// What the mode alone says about each run. By size, first all go that may.
fn by_mode(mode: RetentionMode, now: UnixNanos, runs: &[Candidate]) -> Vec<RetentionDecision> {
    let restore_point = runs.iter().rposition(|run| run.standing.is_restore_point());
    let restore_point = restore_point.and_then(|at| Some((at, runs[at].run_id?)));
    // Some node restores, and may need every run.
    let needs_all = restore_point.is_none() && a_node_restores(runs);
    let mut newer_sealed = runs.iter().filter(|run| run.standing.is_sealed()).count();
    let decide = |(at, run): (usize, &Candidate)| {
        newer_sealed -= usize::from(run.standing.is_sealed());
        let ended_at = match &run.standing {
            Standing::NotSealed { .. } => return Keep(KeepReason::NotSealed),
            Standing::Unreadable { error } => {
                return Keep(KeepReason::Unreadable { error: error.clone() });
            }
            Standing::Sealed { ended_at, .. } => *ended_at,
        };
        match (mode, restore_point) {
            (RetentionMode::Full, _) => Keep(KeepReason::Everything),
            (RetentionMode::Bounded { .. } | RetentionMode::SnapshotAnchored, None) => {
                Keep(KeepReason::NoRestorePoint)
            }
            (_, None) if needs_all => Keep(KeepReason::NoRestorePoint),
            (_, Some((point, _))) if at == point => Keep(KeepReason::RestorePoint),
            (RetentionMode::Bounded { keep_last }, _) => by_count(newer_sealed, keep_last),
            (RetentionMode::SnapshotAnchored, Some((point, restore_point))) if at > point => {
                Keep(KeepReason::AfterRestorePoint { restore_point })
            }
            (RetentionMode::SnapshotAnchored, Some((_, restore_point))) => {
                Reclaim(ReclaimReason::BeforeRestorePoint { restore_point })
            }
            (RetentionMode::MaxAge { keep_for_s }, _) => by_age(ended_at, now, keep_for_s),
            (RetentionMode::MaxBytes { keep_bytes }, _) => {
                Reclaim(ReclaimReason::OverBytes { keep_bytes })
            }
        }
    };
    runs.iter().enumerate().map(decide).collect()
}

fn by_count(newer_sealed: usize, keep_last: u32) -> RetentionDecision {
    if newer_sealed < keep_last as usize {
        Keep(KeepReason::Newest)
    } else {
        Reclaim(ReclaimReason::NotNewest { keep_last })
    }
}

fn by_age(ended_at: UnixNanos, now: UnixNanos, keep_for_s: u64) -> RetentionDecision {
    let age_ns = u128::from(now.as_u64().saturating_sub(ended_at.as_u64()));
    if age_ns <= u128::from(keep_for_s) * 1_000_000_000 {
        Keep(KeepReason::Young { keep_for_s })
    } else {
        Reclaim(ReclaimReason::TooOld { keep_for_s })
    }
}

/// Keeps the newest runs, each with its parents, until one does not fit beside what is kept anyway.
fn keep_what_fits(keep_bytes: u64, parents: &Parents<'_>, decisions: &mut [RetentionDecision]) {
    let runs = parents.runs;
    let mut taken = kept_bytes(runs, decisions);
    for at in (0..runs.len()).rev() {
        if let Keep(_) = decisions[at] {
            continue;
        }
        decisions[at] = Keep(KeepReason::Fits { keep_bytes });
        let mut with_it = parents.keep_for(at, decisions);
        with_it.push(at);
        taken = with_it.iter().fold(taken, |sum, at| sum.saturating_add(runs[*at].bytes));
        if taken > keep_bytes {
            for at in with_it {
                decisions[at] = Reclaim(ReclaimReason::OverBytes { keep_bytes });
            }
            return;
        }
    }
}

/// The bytes of all runs that are kept.
fn kept_bytes(runs: &[Candidate], decisions: &[RetentionDecision]) -> u64 {
    let kept = runs.iter().zip(decisions).filter(|(_, decision)| matches!(decision, Keep(_)));
    kept.fold(0, |sum, (run, _)| sum.saturating_add(run.bytes))
}

/// Keeps the head and the runs by which the next boot finds it, whatever the unreadable runs turn
/// out to be; and what makes that boot refuse.
///
/// The path to the head goes from the newest run to the newest run that continues it, and so on.
/// This keeps every run that the path may begin with and, for each of these, the newest run that
/// continues it. So no removed run is on any path.
fn keep_head(runs: &[Candidate], decisions: &mut [RetentionDecision]) {
    let sealed = sealed(runs);
    let mut staying = lineage::path_to_head(&sealed);
    let unknown = runs.iter().filter(|run| !run.standing.is_sealed());
    for run_id in unknown.filter_map(|run| run.run_id) {
        staying.extend(lineage::path_from(run_id, &sealed));
    }
    staying.extend(lineage::passed_over(&sealed, &[]));
    for (run, decision) in runs.iter().zip(decisions) {
        let stays = run.run_id.is_some_and(|run_id| staying.contains(&run_id));
        if stays && matches!(decision, Reclaim(_)) {
            *decision = Keep(KeepReason::Continuable);
        }
    }
}

/// Keeps the newest sealed run. It is the head, unless it is a replay or quarantined.
fn keep_newest(runs: &[Candidate], decisions: &mut [RetentionDecision]) {
    if let Some(newest) = runs.iter().rposition(|run| run.standing.is_sealed())
        && let Reclaim(_) = decisions[newest]
    {
        decisions[newest] = Keep(KeepReason::Newest);
    }
}

/// Which runs are needed to restore others: the parent, its parent and so on, up to a run with a
/// snapshot or without a parent.
struct Parents<'a> {
    runs: &'a [Candidate],
    places: BTreeMap<RunId, usize>,
    /// Where no node restores, only the parents of runs that nobody can read yet are needed: such a
    /// run's node may restore.
    a_node_restores: bool,
}

impl<'a> Parents<'a> {
    fn of(runs: &'a [Candidate]) -> Self {
        let mut places = BTreeMap::new();
        for (at, run) in runs.iter().enumerate() {
            if let Some(run_id) = run.run_id {
                places.entry(run_id).or_insert(at);
            }
        }
        Self { runs, places, a_node_restores: a_node_restores(runs) }
    }

    /// Keeps the parents of all kept runs.
    fn keep_all(&self, decisions: &mut [RetentionDecision]) {
        for at in (0..self.runs.len()).rev() {
            if let Keep(_) = decisions[at] {
                self.keep_for(at, decisions);
            }
        }
    }

    /// Keeps what is needed to restore `at`. Returns what would have gone otherwise.
    fn keep_for(&self, mut at: usize, decisions: &mut [RetentionDecision]) -> Vec<usize> {
        let mut kept = Vec::new();
        while (self.a_node_restores || !self.runs[at].standing.is_sealed())
            && let Some(run_id) = self.runs[at].run_id
            && let Some(parent) = self.parent(at)
            && let Reclaim(_) = decisions[parent]
        {
            decisions[parent] = Keep(KeepReason::NeededBy { run_id });
            kept.push(parent);
            at = parent;
        }
        kept
    }

    /// The run that is needed to restore `at`.
    fn parent(&self, at: usize) -> Option<usize> {
        let parent = match &self.runs[at].standing {
            Standing::Sealed { facts, anchored, .. } => {
                let is_restored = facts.status != RunStatus::Quarantined && !anchored;
                facts.parent_run_id.filter(|_| is_restored)
            }
            // An open run does not name its parent. Its start chose the head of that time.
            Standing::NotSealed { .. } | Standing::Unreadable { .. } => {
                lineage::head(&sealed(&self.runs[..at]))
            }
        };
        self.places.get(&parent?).copied()
    }
}

/// True if a node of this instance restores its state, by any run, sound or not.
fn a_node_restores(runs: &[Candidate]) -> bool {
    runs.iter().any(|run| run.standing.has_state())
}

fn sealed(runs: &[Candidate]) -> Vec<RunFacts> {
    runs.iter().filter_map(|run| run.standing.facts().copied()).collect()
}
