use proptest::prelude::*;

use super::retention_decision::{KeepReason, ReclaimReason, RetentionDecision};
use super::retention_rule::{Candidate, Standing, decide};
use crate::model::{RetentionMode, RunId, RunStatus, UnixNanos};
use crate::runs::lineage::{self, RunFacts};
use RetentionDecision::{Keep, Reclaim};
use RunStatus::{CrashedRecovered, Ended, Quarantined};

/// The id of run `n`.
fn id(n: usize) -> RunId {
    format!("{}-00000000", n + 1).parse().expect("a run id")
}

/// A sealed run. [`candidates`] gives it its id and its end.
fn sealed(status: RunStatus, anchored: bool, parent: Option<usize>) -> Standing {
    let parent_run_id = parent.map(id);
    let facts = RunFacts { run_id: id(0), status, parent_run_id, is_replay: false };
    Standing::Sealed { facts, anchored, has_state: anchored, ended_at: UnixNanos::default() }
}

/// A run sealed by a node that replayed another run.
fn replay(status: RunStatus, anchored: bool, parent: Option<usize>) -> Standing {
    numbered(0, sealed(status, anchored, parent), true)
}

fn numbered(n: usize, standing: Standing, is_replay: bool) -> Standing {
    match standing {
        Standing::Sealed { facts, anchored, has_state, .. } => {
            let facts =
                RunFacts { run_id: id(n), is_replay: is_replay || facts.is_replay, ..facts };
            Standing::Sealed { facts, anchored, has_state, ended_at: second(n as u64) }
        }
        other => other,
    }
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

/// The moment `n` seconds after the first run ended.
fn second(n: u64) -> UnixNanos {
    UnixNanos::new(n * 1_000_000_000)
}

/// Runs of [`BYTES`] that ended a second after each other, the first at 0.
fn candidates(runs: impl IntoIterator<Item = Standing>) -> Vec<Candidate> {
    let numbered = |(n, standing)| {
        let (run_id, standing) = (Some(id(n)), numbered(n, standing, false));
        Candidate { run_id, bytes: BYTES, standing }
    };
    runs.into_iter().enumerate().map(numbered).collect()
}

fn decisions(
    mode: RetentionMode,
    runs: impl IntoIterator<Item = Standing>,
) -> Vec<RetentionDecision> {
    decide(mode, second(10), &candidates(runs))
}

const BYTES: u64 = 100;

const NOT_SEALED: Standing = Standing::NotSealed { has_state: false };

const BOUNDED_1: RetentionMode = RetentionMode::Bounded { keep_last: 1 };
const BOUNDED_2: RetentionMode = RetentionMode::Bounded { keep_last: 2 };
const SNAPSHOT: RetentionMode = RetentionMode::SnapshotAnchored;
const NOT_NEWEST_OF_1: RetentionDecision = Reclaim(ReclaimReason::NotNewest { keep_last: 1 });
const NOT_NEWEST: RetentionDecision = Reclaim(ReclaimReason::NotNewest { keep_last: 2 });
const NEWEST: RetentionDecision = Keep(KeepReason::Newest);
const POINT: RetentionDecision = Keep(KeepReason::RestorePoint);

fn age(keep_for_s: u64) -> RetentionMode {
    RetentionMode::MaxAge { keep_for_s }
}

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
fn bounded_keeps_newest_and_restore_point() {
    let runs = [anchored(), anchored(), plain(), plain(), plain()];
    assert_eq!(decisions(BOUNDED_2, runs), [NOT_NEWEST, POINT, NOT_NEWEST, NEWEST, NEWEST]);
    // A restore point among the newest does not count extra.
    let runs = [anchored(), plain(), plain(), anchored()];
    assert_eq!(decisions(BOUNDED_2, runs), [NOT_NEWEST, NOT_NEWEST, NEWEST, POINT]);
    assert_eq!(decisions(BOUNDED_2, [plain(), anchored()]), [NEWEST, POINT]);
}

#[test]
fn bounded_counts_sealed_runs_only() {
    let runs = [plain(), plain(), anchored(), NOT_SEALED, unreadable()];
    let (not_sealed, torn) = (Keep(KeepReason::NotSealed), "torn".to_owned());
    let torn = Keep(KeepReason::Unreadable { error: torn });
    assert_eq!(decisions(BOUNDED_2, runs), [NOT_NEWEST, NEWEST, POINT, not_sealed, torn]);
}

#[test]
fn snapshot_keeps_the_restore_point_and_newer() {
    let runs = [anchored(), plain(), anchored(), plain()];
    assert_eq!(decisions(SNAPSHOT, runs), [before(2), before(2), POINT, after(2)]);
}

#[test]
fn without_a_restore_point_all_runs_stay() {
    for nearly in [plain(), sealed(Quarantined, true, None), NOT_SEALED, unreadable()] {
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
fn kept_runs_keep_parents_up_to_a_snapshot() {
    let crashed = |parent| sealed(CrashedRecovered, false, parent);
    // 5 continues 2, and 2 continues 1, which has a snapshot. So 1 does not need 0.
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
fn a_missing_or_newer_parent_is_ignored() {
    let runs = [plain(), sealed(Ended, false, Some(9)), sealed(Ended, false, Some(2)), anchored()];
    assert_eq!(decisions(SNAPSHOT, runs), [before(3), before(3), before(3), POINT]);
}

/// An open run does not name its parent. It continues the head of that time.
#[test]
fn the_head_before_an_open_run_stays() {
    for open in [NOT_SEALED, unreadable()] {
        let bad = sealed(Quarantined, false, None);
        let runs = [plain(), plain(), bad, open, anchored()];
        let decisions = decisions(SNAPSHOT, runs);
        assert_eq!(decisions[..3], [before(4), needed_by(3), before(4)]);
    }
}

#[test]
fn a_parent_stays_whatever_its_id() {
    let runs = [sealed(Ended, false, Some(2)), anchored(), plain(), plain()];
    assert_eq!(decisions(BOUNDED_1, runs), [NOT_NEWEST_OF_1, POINT, NOT_NEWEST_OF_1, NEWEST]);
    // Run 0 continues run 2, so it came last.
    let bad = || sealed(Quarantined, false, None);
    let runs = [sealed(Ended, false, Some(2)), anchored(), plain(), bad()];
    let continuable = || Keep(KeepReason::Continuable);
    assert_eq!(decisions(BOUNDED_1, runs), [continuable(), POINT, continuable(), NEWEST]);
}

#[test]
fn a_file_whose_name_is_no_run_id_is_left_alone() {
    let mut runs = candidates([plain(), anchored()]);
    runs.insert(0, Candidate { run_id: None, bytes: BYTES, standing: unreadable() });
    let torn = Keep(KeepReason::Unreadable { error: "torn".to_owned() });
    assert_eq!(decide(SNAPSHOT, second(10), &runs), [torn, before(1), POINT]);
}

/// A snapshot of a replay makes no run dispensable that happened live.
#[test]
fn a_replay_is_no_restore_point() {
    let runs = [plain(), anchored(), plain(), replay(Ended, true, None)];
    assert_eq!(decisions(SNAPSHOT, runs), [before(1), POINT, after(1), after(1)]);
}

#[test]
fn the_next_parent_stays() {
    let bad = || sealed(Quarantined, false, None);
    let continuable = Keep(KeepReason::Continuable);
    for status in [CrashedRecovered, Ended] {
        let left = || sealed(status, false, None);
        for newest in [[bad(), bad()], [bad(), replay(CrashedRecovered, false, None)]] {
            let [third, fourth] = newest;
            let runs = [anchored(), left(), left(), third, fourth];
            let expected = [POINT, NOT_NEWEST, continuable.clone(), NEWEST, NEWEST];
            assert_eq!(decisions(BOUNDED_2, runs), expected);
        }
    }
}

/// Failed starts hold nothing. State is restored across them.
#[test]
fn the_head_keeps_its_lineage_to_the_restore_point() {
    let child = |n| sealed(CrashedRecovered, false, Some(n));
    let runs = [anchored(), anchored(), child(1), child(2), child(3)];
    let expected = [NOT_NEWEST_OF_1, POINT, needed_by(3), needed_by(4), NEWEST];
    assert_eq!(decisions(BOUNDED_1, runs), expected);
}

/// If the file can be read later, its run may be the newest, and run 2 continues it.
#[test]
fn a_run_that_continues_an_unreadable_one_stays() {
    let runs = [anchored(), plain(), sealed(Ended, false, Some(4)), plain(), unreadable()];
    let decisions = decisions(BOUNDED_1, runs);
    assert_eq!(decisions[1..3], [NOT_NEWEST_OF_1, Keep(KeepReason::Continuable)]);
}

/// A start refuses because of it. Without it, the start would go on from run 0.
#[test]
fn a_quarantined_run_that_would_be_the_head_stays() {
    let bad = || sealed(Quarantined, false, None);
    let runs = [anchored(), bad(), replay(Ended, false, None)];
    assert_eq!(decisions(BOUNDED_1, runs), [POINT, Keep(KeepReason::Continuable), NEWEST]);
    let young = Keep(KeepReason::Young { keep_for_s: 8 });
    let runs = [anchored(), bad(), bad(), anchored()];
    let old = Reclaim(ReclaimReason::TooOld { keep_for_s: 8 });
    assert_eq!(decisions(age(8), runs), [old.clone(), old, young, POINT]);
}

/// Runs of a recorder, each of which continues the one before.
fn recordings(count: usize) -> Vec<Standing> {
    (0..count).map(|n| sealed(Ended, false, n.checked_sub(1))).collect()
}

#[test]
fn without_any_snapshot_runs_go_by_age() {
    let young = || Keep(KeepReason::Young { keep_for_s: 7 });
    let old = || Reclaim(ReclaimReason::TooOld { keep_for_s: 7 });
    // At second 10. Run 3 ended 7 s ago.
    let expected = [old(), old(), old(), young(), young()];
    assert_eq!(decisions(age(7), recordings(5)), expected);
    let all_old = [old(), old(), Keep(KeepReason::Continuable)];
    assert_eq!(decisions(age(7), recordings(3)), all_old, "the head stays");
    // The clock was set back since.
    assert_eq!(decide(age(1), second(0), &candidates(recordings(2))).len(), 2);
    let early = decide(age(7), second(0), &candidates(recordings(2)));
    assert_eq!(early, [young(), young()]);
    let never = decide(age(u64::MAX), UnixNanos::new(u64::MAX), &candidates(recordings(1)));
    assert_eq!(never, [Keep(KeepReason::Young { keep_for_s: u64::MAX })]);
}

#[test]
fn without_any_snapshot_runs_go_by_size() {
    for (keep_bytes, kept) in
        [(0, 1), (BYTES, 1), (2 * BYTES - 1, 1), (2 * BYTES, 2), (3 * BYTES, 3), (u64::MAX, 4)]
    {
        let decisions = decisions(RetentionMode::MaxBytes { keep_bytes }, recordings(4));
        let expected: Vec<RetentionDecision> = (1..=4)
            .rev()
            .map(|newness| match newness {
                1 => Keep(KeepReason::Continuable),
                n if n <= kept => Keep(KeepReason::Fits { keep_bytes }),
                _ => Reclaim(ReclaimReason::OverBytes { keep_bytes }),
            })
            .collect();
        assert_eq!(decisions, expected, "{keep_bytes} bytes");
    }
}

/// What is kept in any case takes room from what could be kept.
#[test]
fn what_is_needed_counts_first_by_size() {
    let mode = RetentionMode::MaxBytes { keep_bytes: 4 * BYTES };
    let over = || Reclaim(ReclaimReason::OverBytes { keep_bytes: 4 * BYTES });
    let fits = Keep(KeepReason::Fits { keep_bytes: 4 * BYTES });
    let torn = Keep(KeepReason::Unreadable { error: "torn".to_owned() });
    // The unreadable run may continue run 2.
    let mut runs = recordings(5);
    runs.insert(3, unreadable());
    let head = Keep(KeepReason::Continuable);
    assert_eq!(decisions(mode, runs), [over(), over(), needed_by(3), torn, fits, head]);
    // Run 3 does not fit with run 2, which it needs.
    let child = |n| sealed(Ended, false, Some(n));
    let runs = [plain(), anchored(), child(0), child(2), anchored(), child(4), child(5)];
    let expected = [over(), over(), over(), over(), POINT, needed_by(6), head_of()];
    assert_eq!(decisions(mode, runs), expected);
}

fn head_of() -> RetentionDecision {
    Keep(KeepReason::Continuable)
}

/// A node that restores has not come to its first snapshot yet: its state is in all its runs.
#[test]
fn without_a_snapshot_all_runs_of_a_node_that_restores_stay() {
    for mode in [age(1), RetentionMode::MaxBytes { keep_bytes: 0 }] {
        let mut runs = recordings(3);
        let Standing::Sealed { has_state, .. } = &mut runs[1] else { panic!("it is sealed") };
        *has_state = true;
        assert_eq!(decisions(mode, runs), vec![Keep(KeepReason::NoRestorePoint); 3]);
    }
}

/// A run that a crash left behind is restored with all that it continues.
#[test]
fn all_runs_stay_for_a_left_run_of_a_node_that_restores() {
    for mode in [age(1), RetentionMode::MaxBytes { keep_bytes: 0 }] {
        let mut runs = recordings(3);
        runs.push(Standing::NotSealed { has_state: true });
        let mut expected = vec![Keep(KeepReason::NoRestorePoint); 3];
        expected.push(Keep(KeepReason::NotSealed));
        assert_eq!(decisions(mode, runs), expected);
    }
}

/// The head is older: nobody continues a replay, or a run that is quarantined and was continued.
#[test]
fn the_newest_run_stays_by_age_and_size() {
    let old = || Reclaim(ReclaimReason::TooOld { keep_for_s: 1 });
    let over = || Reclaim(ReclaimReason::OverBytes { keep_bytes: 0 });
    for (mode, gone) in [(age(1), old()), (RetentionMode::MaxBytes { keep_bytes: 0 }, over())] {
        for newest in [replay(Ended, false, Some(0)), sealed(Quarantined, false, None)] {
            let runs = [plain(), sealed(Ended, false, Some(3)), NOT_SEALED, newest];
            let head = Keep(KeepReason::Continuable);
            let decisions = decisions(mode, runs);
            assert_eq!(decisions[..2], [gone.clone(), head]);
            assert_eq!(decisions[3], NEWEST);
        }
    }
}

/// Only tampering names parents in a circle. Restoring from it is refused.
#[test]
fn by_size_a_circle_of_parents_ends() {
    let mode = RetentionMode::MaxBytes { keep_bytes: 4 * BYTES };
    let fits = Keep(KeepReason::Fits { keep_bytes: 4 * BYTES });
    let child = |n| sealed(Ended, false, Some(n));
    let runs = [anchored(), child(2), child(1), anchored(), anchored()];
    let over = Reclaim(ReclaimReason::OverBytes { keep_bytes: 4 * BYTES });
    assert_eq!(decisions(mode, runs), [over, needed_by(2), fits.clone(), fits, POINT]);
}

/// The only snapshot is in a run that is not to be trusted: the state may be in the runs before.
#[test]
fn a_lost_restore_point_keeps_all_runs_by_age_and_size() {
    for mode in [age(1), RetentionMode::MaxBytes { keep_bytes: 0 }] {
        for point in [sealed(Quarantined, true, Some(2)), replay(Ended, true, Some(2))] {
            let mut runs = recordings(3);
            runs.push(point);
            assert_eq!(decisions(mode, runs), vec![Keep(KeepReason::NoRestorePoint); 4]);
        }
    }
}

/// An old head is restored from its parents, however old these are.
#[test]
fn by_age_the_lineage_to_a_snapshot_stays() {
    let child = |n| sealed(CrashedRecovered, false, Some(n));
    let old = Reclaim(ReclaimReason::TooOld { keep_for_s: 2 });
    let runs = [anchored(), anchored(), child(1), child(2)];
    assert_eq!(decisions(age(2), runs), [old, POINT, needed_by(3), Keep(KeepReason::Continuable)]);
}

#[test]
fn without_runs_the_plan_is_empty() {
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

/// A run as it is, and as retention sees it.
type Run = (Standing, Standing);

fn any_run() -> impl Strategy<Value = Run> {
    (any_sealed(), 0..10).prop_map(|(truth, seen)| {
        let seen = match seen {
            0 => NOT_SEALED,
            1 => unreadable(),
            2 => Standing::NotSealed { has_state: true },
            _ => truth.clone(),
        };
        (truth, seen)
    })
}

fn any_mode() -> impl Strategy<Value = RetentionMode> {
    prop_oneof![
        Just(SNAPSHOT),
        (1_u32..6).prop_map(|keep_last| RetentionMode::Bounded { keep_last }),
        (1_u64..12).prop_map(age),
        (0_u64..12).prop_map(|runs| RetentionMode::MaxBytes { keep_bytes: runs * BYTES }),
    ]
}

/// The run that the next boot continues, out of the runs that are left, and if it is refused over a
/// quarantined one. `is_read` says if an unreadable file can be read by then.
fn next_start(
    runs: &[Run],
    is_read: impl Fn(usize) -> bool,
    is_there: impl Fn(usize) -> bool,
) -> (Option<RunId>, bool) {
    let facts = |n: usize| {
        let (truth, seen) = &runs[n];
        let is_known = !matches!(seen, Standing::Unreadable { .. }) || is_read(n);
        numbered(n, truth.clone(), false).facts().copied().filter(|_| is_known)
    };
    let facts: Vec<RunFacts> = (0..runs.len()).filter(|n| is_there(*n)).filter_map(facts).collect();
    (lineage::head(&facts), !lineage::passed_over(&facts, &[]).is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Holds whatever the unreadable files turn out to be, and wherever the removal ended: each run
    /// of the plan may have been removed or not.
    #[test]
    fn removal_never_changes_the_next_start(
        runs in prop::collection::vec(any_run(), 0..12),
        is_read in prop::collection::vec(prop::bool::ANY, 12),
        is_removed in prop::collection::vec(prop::bool::weighted(0.7), 12),
        mode in any_mode(),
    ) {
        let decisions = decisions(mode, runs.iter().map(|(_, seen)| seen.clone()));
        let is_reclaimed = |n: usize| matches!(decisions[n], Reclaim(_));
        let before = next_start(&runs, |n| is_read[n], |_| true);
        let after = next_start(&runs, |n| is_read[n], |n| !is_reclaimed(n));
        prop_assert_eq!(after.0, before.0, "all removed");
        prop_assert!(after.1 || !before.1, "no start refuses any more: all removed");
        let after = next_start(&runs, |n| is_read[n], |n| !is_reclaimed(n) || !is_removed[n]);
        prop_assert_eq!(after.0, before.0, "some removed");
        prop_assert!(after.1 || !before.1, "no start refuses any more: some removed");
    }

    #[test]
    fn kept_runs_can_be_restored(
        runs in prop::collection::vec(any_run(), 0..12),
        mode in any_mode(),
    ) {
        let runs: Vec<Standing> = runs.into_iter().map(|(_, seen)| seen).collect();
        let decisions = decisions(mode, runs.clone());
        let reclaimed = |n: usize| matches!(decisions[n], Reclaim(_));
        let point = (0..runs.len()).rev().find(|&n| runs[n].is_restore_point());
        let restores = runs.iter().any(Standing::has_state);
        let mut newer_sealed = 0;
        for n in (0..runs.len()).rev() {
            if reclaimed(n) {
                prop_assert!(runs[n].facts().is_some());
                prop_assert!(point != Some(n));
                prop_assert!(newer_sealed > 0, "the newest stays");
                match mode {
                    RetentionMode::Bounded { keep_last } => {
                        prop_assert!(point.is_some() && newer_sealed >= keep_last);
                    }
                    RetentionMode::MaxAge { keep_for_s } => {
                        prop_assert!(point.is_some() || !restores);
                        prop_assert!(10_u64.saturating_sub(n as u64) > keep_for_s);
                    }
                    RetentionMode::MaxBytes { .. } => {
                        prop_assert!(point.is_some() || !restores);
                    }
                    _ => prop_assert!(point.is_some_and(|point| n < point)),
                }
            } else if restores
                && let Standing::Sealed { facts, anchored: false, .. } = &runs[n]
                && facts.status != Quarantined
                && let Some(parent) = facts.parent_run_id
                && let Some(parent) = (0..runs.len()).find(|&other| id(other) == parent)
            {
                prop_assert!(!reclaimed(parent), "{n} continues from {parent}");
            }
            newer_sealed += u32::from(runs[n].facts().is_some());
        }
    }
}
