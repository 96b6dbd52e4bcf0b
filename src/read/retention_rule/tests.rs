use proptest::prelude::*;

use super::{Candidate, KeepReason, ReclaimReason, RetentionDecision, Standing, decide};
use crate::model::{RetentionMode, RunId, RunStatus};
use RetentionDecision::{Keep, Reclaim};
use RunStatus::{CrashedRecovered, Ended, Quarantined};

/// The id of run `n`.
fn id(n: usize) -> RunId {
    format!("{}-00000000", n + 1).parse().expect("a run id")
}

fn sealed(status: RunStatus, anchored: bool, parent: Option<usize>) -> Standing {
    Standing::Sealed { status, parent: parent.map(id), anchored, is_replay: false }
}

/// Sealed by a node that replayed another run.
fn replay(status: RunStatus, anchored: bool) -> Standing {
    Standing::Sealed { status, parent: None, anchored, is_replay: true }
}

/// Sealed in order, with a snapshot.
fn anchored() -> Standing {
    sealed(Ended, true, None)
}

/// Sealed in order, without a snapshot.
fn plain() -> Standing {
    sealed(Ended, false, None)
}

fn unreadable() -> Standing {
    Standing::Unreadable { error: "torn".to_owned() }
}

fn decisions(
    mode: RetentionMode,
    runs: impl IntoIterator<Item = Standing>,
) -> Vec<RetentionDecision> {
    let runs: Vec<Candidate> =
        runs.into_iter().enumerate().map(|(n, standing)| (Some(id(n)), standing)).collect();
    decide(mode, &runs)
}

const BOUNDED_2: RetentionMode = RetentionMode::Bounded { keep_last: 2 };
const SNAPSHOT: RetentionMode = RetentionMode::SnapshotAnchored;
const NOT_NEWEST: RetentionDecision = Reclaim(ReclaimReason::NotNewest { keep_last: 2 });
const NEWEST: RetentionDecision = Keep(KeepReason::Newest);
const POINT: RetentionDecision = Keep(KeepReason::RestorePoint);

fn before(n: usize) -> RetentionDecision {
    Reclaim(ReclaimReason::BeforeRestorePoint { restore_point: id(n) })
}

fn after(n: usize) -> RetentionDecision {
    Keep(KeepReason::AfterRestorePoint { restore_point: id(n) })
}

fn needed_by(n: usize) -> RetentionDecision {
    Keep(KeepReason::NeededBy { run_id: id(n) })
}

#[test]
fn full_keeps_everything() {
    let runs = [anchored(), plain(), anchored()];
    assert_eq!(decisions(RetentionMode::Full, runs), vec![Keep(KeepReason::Everything); 3]);
}

#[test]
fn bounded_keeps_the_newest_and_the_restore_point() {
    let runs = [anchored(), anchored(), plain(), plain(), plain()];
    assert_eq!(decisions(BOUNDED_2, runs), [NOT_NEWEST, POINT, NOT_NEWEST, NEWEST, NEWEST]);
    // A restore point among the newest takes no place of its own.
    let runs = [anchored(), plain(), plain(), anchored()];
    assert_eq!(decisions(BOUNDED_2, runs), [NOT_NEWEST, NOT_NEWEST, NEWEST, POINT]);
    assert_eq!(decisions(BOUNDED_2, [plain(), anchored()]), [NEWEST, POINT]);
}

#[test]
fn bounded_counts_sealed_runs_only() {
    let runs = [plain(), plain(), anchored(), Standing::NotSealed, unreadable()];
    let (not_sealed, torn) = (Keep(KeepReason::NotSealed), "torn".to_owned());
    let torn = Keep(KeepReason::Unreadable { error: torn });
    assert_eq!(decisions(BOUNDED_2, runs), [NOT_NEWEST, NEWEST, POINT, not_sealed, torn]);
}

#[test]
fn snapshot_keeps_the_restore_point_and_what_is_newer() {
    let runs = [anchored(), plain(), anchored(), plain()];
    assert_eq!(decisions(SNAPSHOT, runs), [before(2), before(2), POINT, after(2)]);
}

#[test]
fn without_a_restore_point_nothing_goes() {
    for nearly in [plain(), sealed(Quarantined, true, None), Standing::NotSealed, unreadable()] {
        for mode in [BOUNDED_2, SNAPSHOT] {
            let runs = [plain(), plain(), plain(), nearly.clone()];
            let kept = vec![Keep(KeepReason::NoRestorePoint); 3];
            assert_eq!(decisions(mode, runs)[..3], kept, "{nearly:?}");
        }
    }
}

#[test]
fn a_quarantined_run_is_no_restore_point_and_may_go() {
    let runs = [sealed(Quarantined, true, None), anchored(), sealed(Quarantined, true, None)];
    assert_eq!(decisions(SNAPSHOT, runs), [before(1), POINT, after(1)]);
}

#[test]
fn parents_of_kept_runs_stay_up_to_one_with_a_snapshot() {
    let crashed = |parent| sealed(CrashedRecovered, false, parent);
    // 5 continues from 2, and 2 from 1, which has a snapshot; so 1 needs 0 no more.
    let runs = [
        crashed(None),
        sealed(CrashedRecovered, true, Some(0)),
        crashed(Some(1)),
        plain(),
        anchored(),
        crashed(Some(2)),
    ];
    let expected = [before(4), needed_by(2), needed_by(5), before(4), POINT, after(4)];
    assert_eq!(decisions(SNAPSHOT, runs), expected);
}

#[test]
fn a_restore_point_and_a_quarantined_run_need_no_parent() {
    let runs = [plain(), sealed(Ended, true, Some(0)), sealed(Quarantined, false, Some(0))];
    assert_eq!(decisions(SNAPSHOT, runs), [before(1), POINT, after(1)]);
}

#[test]
fn a_parent_that_is_gone_or_not_older_is_none() {
    let runs = [plain(), sealed(Ended, false, Some(9)), sealed(Ended, false, Some(2)), anchored()];
    assert_eq!(decisions(SNAPSHOT, runs), [before(3), before(3), before(3), POINT]);
}

#[test]
fn the_newest_recovered_run_stays_for_one_that_does_not_say_its_parent() {
    for open in [Standing::NotSealed, unreadable()] {
        let crashed = || sealed(CrashedRecovered, false, None);
        let runs = [crashed(), crashed(), plain(), anchored(), open];
        let decisions = decisions(SNAPSHOT, runs);
        assert_eq!(decisions[..4], [before(3), needed_by(4), before(3), POINT]);
    }
}

#[test]
fn a_file_whose_name_is_no_run_id_is_left_alone() {
    let runs = [(None, unreadable()), (Some(id(0)), plain()), (Some(id(1)), anchored())];
    let torn = Keep(KeepReason::Unreadable { error: "torn".to_owned() });
    assert_eq!(decide(SNAPSHOT, &runs), [torn, before(1), POINT]);
}

/// What happened live does not go because a replay of it has a snapshot.
#[test]
fn a_replay_is_no_restore_point() {
    let runs = [plain(), anchored(), plain(), replay(Ended, true)];
    assert_eq!(decisions(SNAPSHOT, runs), [before(1), POINT, after(1), after(1)]);
}

#[test]
fn the_run_that_the_next_start_continues_from_stays() {
    let crashed = || sealed(CrashedRecovered, false, None);
    let bad = || sealed(Quarantined, false, None);
    let continuable = Keep(KeepReason::Continuable);
    for newest in [[bad(), bad()], [bad(), replay(CrashedRecovered, false)]] {
        let [third, fourth] = newest;
        let runs = [anchored(), crashed(), crashed(), third, fourth];
        let expected = [POINT, NOT_NEWEST, continuable.clone(), NEWEST, NEWEST];
        assert_eq!(decisions(BOUNDED_2, runs), expected);
    }
    // One that ended in order after it leaves nothing to be continued.
    let runs = [anchored(), crashed(), plain(), bad(), bad()];
    assert_eq!(decisions(BOUNDED_2, runs), [POINT, NOT_NEWEST, NOT_NEWEST, NEWEST, NEWEST]);
}

#[test]
fn no_runs() {
    assert_eq!(decisions(SNAPSHOT, []), []);
}

fn any_standing() -> impl Strategy<Value = Standing> {
    let status = prop::sample::select(vec![Ended, CrashedRecovered, Quarantined]);
    let parent = prop::option::of(0_usize..12);
    prop_oneof![
        1 => Just(Standing::NotSealed),
        1 => Just(unreadable()),
        8 => (status.clone(), prop::bool::weighted(0.3), parent).prop_map(|(s, a, p)| sealed(s, a, p)),
        1 => (status, any::<bool>()).prop_map(|(status, anchored)| replay(status, anchored)),
    ]
}

proptest! {
    #[test]
    fn what_stays_can_be_restored(
        runs in prop::collection::vec(any_standing(), 0..12),
        keep_last in prop::option::of(1_u32..6),
    ) {
        let mode = keep_last.map_or(SNAPSHOT, |keep_last| RetentionMode::Bounded { keep_last });
        let decisions = decisions(mode, runs.clone());
        let reclaimed = |n: usize| matches!(decisions[n], Reclaim(_));
        let point = (0..runs.len()).rev().find(|&n| runs[n].is_restore_point());
        let mut newer_sealed = 0;
        for n in (0..runs.len()).rev() {
            if reclaimed(n) {
                prop_assert!(runs[n].is_sealed());
                prop_assert!(point.is_some_and(|point| n != point));
                match mode {
                    RetentionMode::Bounded { keep_last } => prop_assert!(newer_sealed >= keep_last),
                    _ => prop_assert!(point.is_some_and(|point| n < point)),
                }
            } else if let Standing::Sealed { status: Ended | CrashedRecovered, parent: Some(parent), anchored: false, .. } = &runs[n]
                && let Some(parent) = (0..n).find(|&older| id(older) == *parent)
            {
                prop_assert!(!reclaimed(parent), "{n} continues from {parent}");
            }
            newer_sealed += u32::from(runs[n].is_sealed());
        }
    }
}
