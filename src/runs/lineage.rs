//! Which run continues which. This is the only place that decides it.
//!
//! A node's state is what all its runs say, one after the other. So every run continues the
//! **head** of its instance's history, and becomes the new head:
//!
//! ```text
//!   run 1      <--  run 2             <--  run 3             <--  run 4             <--  next run
//!   Ended           CrashedRecovered       CrashedRecovered       CrashedRecovered
//!   snapshot        snapshot, trades       failed start           failed start
//!                   |                                             |
//!                   restoring begins here                         the head
//! ```
//!
//! An arrow leads from a run to its parent, which its manifest names. The next run continues run 4,
//! even though run 4 holds nothing. Its node restores run 2's snapshot, and then applies what runs
//! 2, 3 and 4 recorded after it.
//!
//! - **How a run ended does not matter.** A run that was closed in order and a run that a crash cut
//!   off are continued alike: both left the node's state.
//! - **A failed start loses nothing.** A run that failed before its first snapshot is the head,
//!   though it holds nothing yet. Its manifest names its parent, so restoring goes back to the
//!   nearest run with a snapshot, past any number of failed starts.
//! - **A quarantined run is no head**: its entries are not to be trusted. If it is the newest, a
//!   start refuses, unless it was told to pass it over: it may hold what happened last.
//! - **A replay is no head**: a node that replays another run records nothing that really happened.
//! - **Names are believed before ids.** Ids ascend with time, so the run with the largest id is the
//!   newest. But if a sound run names another one as its parent, it came after that one, whatever
//!   the clock showed.

use crate::model::{RunId, RunManifest, RunStatus};

/// What decides about a run's place in its instance's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunFacts {
    pub(super) run_id: RunId,
    pub(super) status: RunStatus,
    pub(super) parent_run_id: Option<RunId>,
    pub(super) is_replay: bool,
}

impl RunFacts {
    pub(super) fn of(manifest: &RunManifest) -> Self {
        Self {
            run_id: manifest.run_id,
            status: manifest.status,
            parent_run_id: manifest.parent_run_id,
            is_replay: manifest.is_replay(),
        }
    }

    /// A run that nobody could read yet, as it may turn out: cut off by a crash.
    fn cut_off(run_id: RunId) -> Self {
        let status = RunStatus::CrashedRecovered;
        Self { run_id, status, parent_run_id: None, is_replay: false }
    }

    /// True if the run tells what happened and can be trusted. Only such a run is continued.
    pub(super) fn is_sound(&self) -> bool {
        let is_trusted = matches!(self.status, RunStatus::Ended | RunStatus::CrashedRecovered);
        is_trusted && !self.is_replay
    }
}

/// The run that the next one continues; `None` if no run is sound.
pub(super) fn head(runs: &[RunFacts]) -> Option<RunId> {
    path_to_head(runs).last().copied()
}

/// The runs that lead to the head: the newest by its id, then each run that continues the one
/// before it. Nearly always this is the head alone.
///
/// Runs that are added or removed do not change the head, unless an added run is newer than the
/// first of these, or continues one of them.
pub(super) fn path_to_head(runs: &[RunFacts]) -> Vec<RunId> {
    let newest = runs.iter().filter(|run| run.is_sound()).map(|run| run.run_id).max();
    newest.map_or_else(Vec::new, |newest| path_from(newest, runs))
}

/// The path from `first` on: it leads to the head if `first` is the newest run.
pub(super) fn path_from(first: RunId, runs: &[RunFacts]) -> Vec<RunId> {
    let mut path = vec![first];
    let mut last = first;
    while let Some(next) = newest_child(last, runs)
        // Runs that name each other in a circle end the path.
        && !path.contains(&next)
    {
        path.push(next);
        last = next;
    }
    path
}

fn newest_child(parent: RunId, runs: &[RunFacts]) -> Option<RunId> {
    let is_child = |run: &&RunFacts| run.is_sound() && run.parent_run_id == Some(parent);
    runs.iter().filter(is_child).map(|run| run.run_id).max()
}

/// The runs that would be the head if they were sound: those out of `unknown`, which nobody could
/// read yet, and quarantined ones, whose entries are not to be trusted. Such a run may hold what
/// happened last.
pub(super) fn passed_over(known: &[RunFacts], unknown: &[RunId]) -> Vec<RunId> {
    let is_quarantined = |run: &&RunFacts| run.status == RunStatus::Quarantined && !run.is_replay;
    let quarantined = known.iter().filter(is_quarantined).map(|run| run.run_id);
    let would_be_head = |run_id: &RunId| {
        let others = known.iter().filter(|run| run.run_id != *run_id).copied();
        let with_it: Vec<RunFacts> = others.chain([RunFacts::cut_off(*run_id)]).collect();
        head(&with_it) == Some(*run_id)
    };
    unknown.iter().copied().chain(quarantined).filter(would_be_head).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunStatus::{CrashedRecovered, Ended, Quarantined};

    fn id(n: u32) -> RunId {
        format!("{n}-00000000").parse().expect("a run id")
    }

    fn run(n: u32, status: RunStatus) -> RunFacts {
        RunFacts { run_id: id(n), status, parent_run_id: None, is_replay: false }
    }

    fn child(n: u32, status: RunStatus, parent: u32) -> RunFacts {
        RunFacts { parent_run_id: Some(id(parent)), ..run(n, status) }
    }

    fn replay(run: RunFacts) -> RunFacts {
        RunFacts { is_replay: true, ..run }
    }

    /// Checks that the head is `expected`, in whatever order the runs are listed.
    #[track_caller]
    fn assert_head(runs: &[RunFacts], expected: Option<u32>) {
        let backwards: Vec<RunFacts> = runs.iter().rev().copied().collect();
        assert_eq!(head(runs), expected.map(id));
        assert_eq!(head(&backwards), expected.map(id), "listed backwards");
    }

    #[test]
    fn the_newest_sound_run_is_the_head() {
        assert_head(&[], None);
        assert_head(&[run(1, Ended)], Some(1));
        assert_head(&[run(1, CrashedRecovered)], Some(1));
        assert_head(&[run(1, CrashedRecovered), run(2, Ended)], Some(2));
        assert_head(&[run(1, Ended), run(2, CrashedRecovered)], Some(2));
        assert_head(&[run(1, Ended), child(2, Ended, 1), child(3, CrashedRecovered, 2)], Some(3));
    }

    #[test]
    fn a_quarantined_run_is_no_head() {
        assert_head(&[run(1, Quarantined)], None);
        assert_head(&[run(1, Ended), child(2, Quarantined, 1)], Some(1));
        assert_head(&[run(1, Ended), run(2, Quarantined), child(3, Ended, 2)], Some(3));
    }

    #[test]
    fn a_replay_is_no_head() {
        assert_head(&[replay(run(2, Ended))], None);
        assert_head(&[run(1, Ended), replay(child(2, Ended, 1))], Some(1));
        assert_head(&[run(1, Ended), replay(child(2, CrashedRecovered, 1))], Some(1));
    }

    #[test]
    fn an_open_run_is_no_head() {
        assert_head(&[run(1, Ended), child(2, RunStatus::Running, 1)], Some(1));
    }

    #[test]
    fn a_named_parent_counts_more_than_an_id() {
        assert_head(&[run(9, CrashedRecovered), child(2, CrashedRecovered, 9)], Some(2));
        assert_head(&[run(9, Ended), child(2, Ended, 9), child(1, CrashedRecovered, 2)], Some(1));
        assert_head(
            &[run(9, Ended), child(2, Quarantined, 9), replay(child(3, Ended, 9))],
            Some(9),
        );
        assert_head(&[run(9, Ended), child(3, Ended, 9), child(2, Ended, 9)], Some(3));
    }

    #[test]
    fn a_circle_of_names_ends() {
        assert_head(&[child(1, Ended, 1)], Some(1));
        assert_head(&[child(1, Ended, 2), child(2, Ended, 1)], Some(1));
        assert_head(&[child(1, Ended, 3), child(2, Ended, 1), child(3, Ended, 2)], Some(2));
    }

    #[test]
    fn only_a_possible_head_is_passed_over() {
        let known = [run(2, Ended), child(5, CrashedRecovered, 2)];
        assert_eq!(passed_over(&known, &[id(1), id(4)]), []);
        assert_eq!(passed_over(&known, &[id(1), id(7)]), [id(7)]);
        assert_eq!(passed_over(&known, &[id(6), id(7)]), [id(6), id(7)], "each by itself");
        assert_eq!(passed_over(&[], &[id(1)]), [id(1)]);
        // Quarantined runs too.
        let known = [run(2, Ended), child(5, Quarantined, 2)];
        assert_eq!(passed_over(&known, &[]), [id(5)]);
        assert_eq!(passed_over(&[known[0], known[1], child(6, Ended, 2)], &[]), []);
        assert_eq!(passed_over(&[known[0], replay(known[1])], &[]), []);
        assert_eq!(passed_over(&[run(1, Quarantined)], &[id(3)]), [id(3), id(1)]);
        // Another run continues it, so it is older, whatever the ids say.
        assert_eq!(passed_over(&[run(2, Ended), child(3, Ended, 9)], &[id(9)]), []);
    }
}
