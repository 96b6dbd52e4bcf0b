use proptest::prelude::*;

use super::{
    Candidate, Fate, KeepReason, ReclaimReason, RetentionDecision, Standing, decide,
    only_took_over_from,
};
use crate::model::{RetentionMode, RunId, RunStatus};
use crate::store::{Known, choose_parent};
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
fn replay(status: RunStatus, anchored: bool, parent: Option<usize>) -> Standing {
    Standing::Sealed { status, parent: parent.map(id), anchored, is_replay: true }
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

fn candidates(runs: impl IntoIterator<Item = Standing>) -> Vec<Candidate> {
    runs.into_iter().enumerate().map(|(n, standing)| (Some(id(n)), standing)).collect()
}

fn decisions(
    mode: RetentionMode,
    runs: impl IntoIterator<Item = Standing>,
) -> Vec<RetentionDecision> {
    decide(mode, &candidates(runs))
}

const BOUNDED_1: RetentionMode = RetentionMode::Bounded { keep_last: 1 };
const BOUNDED_2: RetentionMode = RetentionMode::Bounded { keep_last: 2 };
const SNAPSHOT: RetentionMode = RetentionMode::SnapshotAnchored;
const NOT_NEWEST_OF_1: RetentionDecision = Reclaim(ReclaimReason::NotNewest { keep_last: 1 });
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

fn took_over(n: usize) -> RetentionDecision {
    Keep(KeepReason::TookOver { run_id: id(n) })
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
    let runs = [plain(), anchored(), plain(), replay(Ended, true, None)];
    assert_eq!(decisions(SNAPSHOT, runs), [before(1), POINT, after(1), after(1)]);
}

#[test]
fn the_run_that_the_next_start_continues_from_stays() {
    let crashed = || sealed(CrashedRecovered, false, None);
    let bad = || sealed(Quarantined, false, None);
    let continuable = Keep(KeepReason::Continuable);
    for newest in [[bad(), bad()], [bad(), replay(CrashedRecovered, false, None)]] {
        let [third, fourth] = newest;
        let runs = [anchored(), crashed(), crashed(), third, fourth];
        let expected = [POINT, NOT_NEWEST, continuable.clone(), NEWEST, NEWEST];
        assert_eq!(decisions(BOUNDED_2, runs), expected);
    }
    // One that ended in order after it leaves nothing to be continued.
    let runs = [anchored(), crashed(), plain(), bad(), bad()];
    assert_eq!(decisions(BOUNDED_2, runs), [POINT, NOT_NEWEST, NOT_NEWEST, NEWEST, NEWEST]);
}

/// The crashed run stays for its replay, or for one that does not say what it continues from; the run that took over
/// from it would not by itself, and the next start would continue from what is over.
#[test]
fn a_run_that_took_over_from_one_that_stays_stays_too() {
    let crashed = || sealed(CrashedRecovered, false, None);
    let child = || sealed(Ended, false, Some(1));
    let runs = [anchored(), crashed(), child(), replay(Ended, false, Some(1))];
    assert_eq!(decisions(BOUNDED_1, runs), [POINT, needed_by(3), took_over(1), NEWEST]);

    let runs = [anchored(), crashed(), child(), sealed(Quarantined, false, None), unreadable()];
    let expected = [POINT, needed_by(4), took_over(1), NEWEST];
    assert_eq!(decisions(BOUNDED_1, runs)[..4], expected);

    // One is enough, and who only came later did so as well.
    let runs = [anchored(), crashed(), child(), plain(), replay(Ended, false, Some(1))];
    let expected = [POINT, needed_by(4), NOT_NEWEST_OF_1, took_over(1), NEWEST];
    assert_eq!(decisions(BOUNDED_1, runs), expected);
    // Without the replay none of it is needed.
    let runs = [anchored(), crashed(), child(), sealed(Quarantined, false, None)];
    assert_eq!(decisions(BOUNDED_1, runs), [POINT, NOT_NEWEST_OF_1, NOT_NEWEST_OF_1, NEWEST]);
}

#[test]
fn a_run_that_took_over_from_one_that_could_not_be_removed_is_held_back() {
    use Fate::{Doubtful, Gone, There};
    let crashed = || sealed(CrashedRecovered, false, None);
    let runs =
        candidates([crashed(), sealed(Ended, false, Some(0)), plain(), replay(Ended, true, None)]);
    let held = |at, fates: [Fate; 4]| only_took_over_from(at, &runs, &fates);
    assert_eq!(held(0, [There; 4]), None);
    assert_eq!(held(1, [Doubtful, There, There, There]), None, "the third did, too");
    assert_eq!(held(2, [Doubtful, Gone, There, There]), Some(id(0)));
    assert_eq!(held(2, [Doubtful, Doubtful, There, There]), Some(id(0)));
    assert_eq!(held(2, [Gone, Gone, There, There]), None);
    assert_eq!(held(3, [There, Gone, There, There]), None, "a replay takes nobody's place");
}

#[test]
fn no_runs() {
    assert_eq!(decisions(SNAPSHOT, []), []);
}

fn any_sealed() -> impl Strategy<Value = Standing> {
    let status = prop::sample::select(vec![Ended, CrashedRecovered, Quarantined]);
    let parent = prop::option::of(0_usize..12);
    (status, prop::bool::weighted(0.3), parent, prop::bool::weighted(0.15)).prop_map(
        |(status, anchored, parent, is_replay)| {
            let make = if is_replay { replay } else { sealed };
            make(status, anchored, parent)
        },
    )
}

/// What a run is in truth, and what retention can see of it.
type Run = (Standing, Standing);

fn any_run() -> impl Strategy<Value = Run> {
    (any_sealed(), 0..10).prop_map(|(truth, seen)| {
        let seen = match seen {
            0 => Standing::NotSealed,
            1 => unreadable(),
            _ => truth.clone(),
        };
        (truth, seen)
    })
}

fn any_mode() -> impl Strategy<Value = RetentionMode> {
    let mode = |keep_last: Option<u32>| {
        keep_last.map_or(SNAPSHOT, |keep_last| RetentionMode::Bounded { keep_last })
    };
    prop::option::of(1_u32..6).prop_map(mode)
}

/// What the next boot makes of a file that could not be read.
#[derive(Debug, Clone, Copy)]
enum Unread {
    Skips,
    Reads,
    Recovers,
}

/// The run that the next boot continues from, of those that are there.
fn next_parent(runs: &[Run], unread: Unread, is_there: impl Fn(usize) -> bool) -> Option<RunId> {
    let known = |n: usize| {
        let (truth, seen) = &runs[n];
        let known = truth.known(id(n));
        // The engine's ids ascend; only to what is sealed and read already another order can be told.
        let parent_run_id = known.parent_run_id.filter(|parent| *parent < known.run_id);
        let recovered = Known { parent_run_id, is_recovered_now: true, ..known };
        match (seen, unread) {
            (Standing::Sealed { .. }, _) => Some(known),
            (Standing::NotSealed, _) | (_, Unread::Recovers) => Some(recovered),
            (_, Unread::Reads) => Some(Known { is_recovered_now: false, ..recovered }),
            (_, Unread::Skips) => None,
        }
    };
    let known: Vec<Known> = (0..runs.len()).filter(|n| is_there(*n)).filter_map(known).collect();
    choose_parent(&known)
}

/// Expects that the next boot continues from the run that it would have continued from with all runs there. Of a run
/// whose removal failed nobody knows whether it is there.
fn check_next_parent(runs: &[Run], fates: &[Fate]) -> Result<(), TestCaseError> {
    for unread in [Unread::Skips, Unread::Reads, Unread::Recovers] {
        let before = next_parent(runs, unread, |_| true);
        let without = next_parent(runs, unread, |n| fates[n] == Fate::There);
        prop_assert!(
            without == before,
            "{without:?} for {before:?}: {unread:?}, gone of {fates:?}"
        );
        let with = next_parent(runs, unread, |n| fates[n] != Fate::Gone);
        prop_assert!(with == before, "{with:?} for {before:?}: {unread:?}, there of {fates:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_run_that_the_next_boot_continues_from_is_the_same(
        runs in prop::collection::vec(any_run(), 0..12),
        fails in prop::collection::vec(prop::bool::weighted(0.3), 12),
        mode in any_mode(),
    ) {
        let candidates = candidates(runs.iter().map(|(_, seen)| seen.clone()));
        let decisions = decide(mode, &candidates);
        let is_reclaimed = |n: usize| matches!(decisions[n], Reclaim(_));
        let all_gone: Vec<Fate> = (0..runs.len())
            .map(|n| if is_reclaimed(n) { Fate::Gone } else { Fate::There })
            .collect();
        check_next_parent(&runs, &all_gone)?;

        // One after the other, as a plan is applied: at any moment the process may end.
        let mut fates = vec![Fate::There; runs.len()];
        for at in (0..runs.len()).filter(|at| is_reclaimed(*at)) {
            if only_took_over_from(at, &candidates, &fates).is_none() {
                fates[at] = if fails[at] { Fate::Doubtful } else { Fate::Gone };
                check_next_parent(&runs, &fates)?;
            }
        }
    }

    #[test]
    fn what_stays_can_be_restored(
        runs in prop::collection::vec(any_run(), 0..12),
        mode in any_mode(),
    ) {
        let runs: Vec<Standing> = runs.into_iter().map(|(_, seen)| seen).collect();
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
