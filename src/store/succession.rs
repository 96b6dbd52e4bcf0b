//! Which run the next one continues from: what the sweep of a boot chooses by, and what retention must not change.

use crate::model::{RunId, RunManifest, RunStatus};

/// What has to be known of a run to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) run_id: RunId,
    pub(crate) status: RunStatus,
    pub(crate) parent_run_id: Option<RunId>,
    /// Recorded by a node that replayed another run: no part of what happened live.
    pub(crate) is_replay: bool,
    /// Sealed by this sweep.
    pub(crate) is_recovered_now: bool,
}

impl Known {
    pub(crate) fn new(manifest: &RunManifest, is_recovered_now: bool) -> Self {
        Self {
            run_id: manifest.run_id,
            status: manifest.status,
            parent_run_id: manifest.parent_run_id,
            is_replay: manifest.is_replay(),
            is_recovered_now,
        }
    }

    /// What a run may turn out to be that nobody could look into yet: one that a crash cut off.
    pub(crate) fn left(run_id: RunId) -> Self {
        Self {
            run_id,
            status: RunStatus::CrashedRecovered,
            parent_run_id: None,
            is_replay: false,
            is_recovered_now: true,
        }
    }

    /// Whether the next run may continue from it, unless another took over.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.status == RunStatus::CrashedRecovered && !self.is_replay
    }

    /// Whether `self` took over from `other`, so that nothing is to be continued from `other` any more: it
    /// continues it, or came after it and had no reason to. Of runs that were left behind at once neither knew
    /// of the other. A quarantined run did not take over: what it had is not to be trusted. Ids ascend, but
    /// names are believed first.
    pub(crate) fn supersedes(&self, other: &Self) -> bool {
        let continues_it = self.parent_run_id == Some(other.run_id);
        let left_at_once = self.is_recovered_now && other.is_recovered_now;
        let is_continued = other.parent_run_id == Some(self.run_id);
        let came_after_it = self.run_id > other.run_id && !left_at_once && !is_continued;
        self.status != RunStatus::Quarantined && !self.is_replay && (continues_it || came_after_it)
    }
}

/// The newest run that a crash cut off and that none came after.
pub(crate) fn choose_parent(runs: &[Known]) -> Option<RunId> {
    let is_superseded = |run: &Known| runs.iter().any(|other| other.supersedes(run));
    let candidates = runs.iter().filter(|run| run.is_cut_off() && !is_superseded(run));
    candidates.map(|run| run.run_id).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunStatus::{CrashedRecovered, Ended, Quarantined};

    fn id(n: u32) -> RunId {
        format!("{n}-00000000").parse().expect("a run id")
    }

    fn run(n: u32, status: RunStatus) -> Known {
        Known {
            run_id: id(n),
            status,
            parent_run_id: None,
            is_replay: false,
            is_recovered_now: false,
        }
    }

    fn child(n: u32, status: RunStatus, parent: u32) -> Known {
        Known { parent_run_id: Some(id(parent)), ..run(n, status) }
    }

    #[track_caller]
    fn assert_chosen(runs: &[Known], chosen: Option<u32>) {
        assert_eq!(choose_parent(runs), chosen.map(id));
        let now: Vec<Known> =
            runs.iter().map(|run| Known { is_recovered_now: true, ..*run }).collect();
        // When each was sealed matters only to runs that do not name each other.
        if runs.iter().skip(1).all(|run| run.parent_run_id.is_some()) {
            assert_eq!(choose_parent(&now), chosen.map(id), "all recovered now");
        }
    }

    #[test]
    fn the_newest_that_none_came_after() {
        assert_chosen(&[], None);
        assert_chosen(&[run(1, CrashedRecovered)], Some(1));
        assert_chosen(&[run(1, Ended)], None);
        assert_chosen(&[run(1, Quarantined)], None);
        assert_chosen(&[run(1, CrashedRecovered), child(2, CrashedRecovered, 1)], Some(2));
        assert_chosen(&[run(1, CrashedRecovered), child(2, Ended, 1)], None);
        assert_chosen(&[run(1, CrashedRecovered), child(2, Quarantined, 1)], Some(1));
        assert_chosen(&[run(1, CrashedRecovered), run(2, Ended)], None);
        assert_chosen(&[run(1, CrashedRecovered), run(2, Quarantined)], Some(1));
        assert_chosen(&[run(1, Ended), run(2, CrashedRecovered)], Some(2));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_matter_to_runs_that_name_each_other() {
        assert_chosen(&[run(9, CrashedRecovered), child(2, CrashedRecovered, 9)], Some(2));
        assert_chosen(&[run(9, CrashedRecovered), child(2, Ended, 9)], None);
    }

    #[test]
    fn what_was_done_with_stays_so_when_the_run_that_ended_it_is_reclaimed() {
        let ended_now = Known { is_recovered_now: true, ..child(6, Ended, 5) };
        let left = [run(1, CrashedRecovered), run(4, CrashedRecovered)];
        assert_eq!(
            choose_parent(&[left[0], left[1], child(5, CrashedRecovered, 4), ended_now]),
            None
        );
        assert_eq!(choose_parent(&left), Some(id(4)));
    }

    #[test]
    fn replays_are_nobodys_past() {
        let replay = |run: Known| Known { is_replay: true, ..run };
        assert_chosen(&[run(1, CrashedRecovered), replay(child(2, Ended, 1))], Some(1));
        assert_chosen(&[run(1, CrashedRecovered), replay(child(2, CrashedRecovered, 1))], Some(1));
        assert_chosen(&[replay(run(2, CrashedRecovered))], None);
    }

    #[test]
    fn of_several_left_behind_at_once_the_newest_that_was_cut_off() {
        let now = |run: Known| Known { is_recovered_now: true, ..run };
        let runs =
            [now(run(1, CrashedRecovered)), now(run(2, CrashedRecovered)), now(run(3, Ended))];
        assert_eq!(choose_parent(&runs), Some(id(2)));
    }

    #[test]
    fn of_one_left_behind_now_and_one_before_the_newer_had_a_choice() {
        let now = |run: Known| Known { is_recovered_now: true, ..run };
        assert_eq!(choose_parent(&[run(1, CrashedRecovered), now(run(2, Ended))]), None);
    }
}
