//! Retention: the plan for runs on disk, and what applying it removes.

use std::fs;
use std::path::{Path, PathBuf};

use tapline::internals::run_path;
use tapline::runs::{
    KeepReason, PlannedRun, ReclaimReason, RestoreParentError, RetentionDecision, RetentionError,
    RetentionPlan, recover_predecessors,
};
use tapline::session::{
    Environment, EventStoreConfig, EventStoreLifecycle, KernelEventStore, LifecycleOptions,
    OpenError,
};
use tapline::store::{DiskMode, EventStore};
use tapline::{
    ContentHash, RegisteredComponents, RetentionMode, RunId, RunManifest, RunStatus,
    SnapshotAnchor, UnixNanos,
};

use crate::support::files::FileState;
use crate::support::frames::TS_PUBLISH;
use crate::support::ledger::{Accounts, Ledger};
use crate::support::message::messages;
use crate::support::{FrameMaker, Place, assert_matches, instance, manifest, run_id, tamper};

const SNAPSHOT: RetentionMode = RetentionMode::SnapshotAnchored;

/// Runs of three entries on disk.
struct Runs(Place);

impl Runs {
    fn new() -> Self {
        Self(Place::disk(DiskMode::Buffered))
    }

    /// Runs 1 to 4, sealed in order. Run 3 has a snapshot, and each run a sidecar.
    fn four() -> Self {
        let runs = Self::new();
        for n in 1..=4 {
            runs.seal(n, RunStatus::Ended, (n == 3).then_some(3));
            runs.add_sidecar(n);
        }
        runs
    }

    fn path(&self, n: u32) -> PathBuf {
        run_path(self.0.folder(), &instance(), run_id(n))
    }

    fn sidecar(&self, n: u32) -> PathBuf {
        self.path(n).with_file_name(format!("{}.markers.redb", run_id(n)))
    }

    fn add_sidecar(&self, n: u32) {
        fs::write(self.sidecar(n), "markers").unwrap();
    }

    fn open(&self, n: u32) -> Box<dyn EventStore> {
        let mut store = self.0.open(n);
        FrameMaker::new().append_all(&mut *store, &[messages(1, 3)]);
        store
    }

    fn seal(&self, n: u32, status: RunStatus, anchor_at: Option<u64>) {
        let mut store = self.open(n);
        if let Some(high_watermark) = anchor_at {
            let content_hash = ContentHash::of(b"snapshot");
            let anchor =
                SnapshotAnchor { high_watermark, blob_ref: "snapshot".to_owned(), content_hash };
            store.record_anchor(&anchor).unwrap();
        }
        let end = messages(1, 3).iter().map(|message| UnixNanos::new(message.ts_init)).max();
        store.seal(status, end).unwrap();
    }

    /// Run `n` without entries. `change` adjusts its manifest.
    fn open_as(&self, n: u32, change: impl FnOnce(&mut RunManifest)) -> Box<dyn EventStore> {
        let mut manifest = manifest(n);
        change(&mut manifest);
        let mut store = self.0.backend();
        store.open_run(manifest).unwrap();
        store
    }

    /// The same, sealed.
    fn seal_as(&self, n: u32, status: RunStatus, change: impl FnOnce(&mut RunManifest)) {
        self.open_as(n, change).seal(status, None).unwrap();
    }

    /// The run that the next boot continues.
    fn next_parent(&self) -> Option<RunId> {
        recover_predecessors(self.0.folder(), &instance()).unwrap().parent_run_id
    }

    fn plan(&self, mode: RetentionMode) -> RetentionPlan {
        RetentionPlan::new(self.0.folder(), &instance(), mode).unwrap()
    }

    fn decisions(&self, mode: RetentionMode) -> Vec<RetentionDecision> {
        self.plan(mode).runs().iter().map(|run| run.decision.clone()).collect()
    }

    /// The names of all files.
    fn files(&self) -> Vec<PathBuf> {
        let folder = self.0.folder().join("node-1");
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Runs and sidecars with these numbers, as [`files`](Self::files) has them.
    fn files_of(&self, numbers: impl IntoIterator<Item = u32>) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            numbers.into_iter().flat_map(|n| [self.path(n), self.sidecar(n)]).collect();
        files.sort();
        files
    }
}

fn apply(plan: &RetentionPlan) -> Vec<(&PlannedRun, Result<(), RetentionError>)> {
    let mut removed = Vec::new();
    plan.apply(|run, outcome| removed.push((run, outcome))).unwrap();
    removed
}

fn before(n: u32) -> RetentionDecision {
    RetentionDecision::Reclaim(ReclaimReason::BeforeRestorePoint { restore_point: run_id(n) })
}

fn keep(reason: KeepReason) -> RetentionDecision {
    RetentionDecision::Keep(reason)
}

#[test]
fn an_instance_without_runs() {
    let plan = Runs::new().plan(SNAPSHOT);
    assert!(plan.runs().is_empty());
    assert!(apply(&plan).is_empty());
}

#[test]
fn a_plan_changes_nothing() {
    let runs = Runs::four();
    let files = runs.files();
    let states = || files.iter().map(|file| FileState::of(file)).collect::<Vec<_>>();
    let before_plan = states();
    let plan = runs.plan(SNAPSHOT);
    assert_eq!(plan.mode(), SNAPSHOT);
    assert!(states() == before_plan);
    assert_eq!(runs.files(), files);
    for (run, n) in plan.runs().iter().zip(1..) {
        assert_eq!((&run.path, run.run_id), (&runs.path(n), Some(run_id(n))));
        assert_eq!(run.bytes, fs::metadata(&run.path).unwrap().len() + 7);
    }
}

#[test]
fn applied_the_plan_removes_runs_with_their_sidecars() {
    let runs = Runs::four();
    let kept = [runs.path(3), runs.sidecar(3), runs.path(4), runs.sidecar(4)];
    let states = || kept.iter().map(|file| FileState::of(file)).collect::<Vec<_>>();
    let kept_before = states();
    let plan = runs.plan(SNAPSHOT);
    let after = keep(KeepReason::AfterRestorePoint { restore_point: run_id(3) });
    let expected = [before(3), before(3), keep(KeepReason::RestorePoint), after];
    assert_eq!(runs.decisions(SNAPSHOT), expected);
    for ((run, outcome), n) in apply(&plan).into_iter().zip([1, 2]) {
        assert_eq!(run.path, runs.path(n));
        outcome.unwrap();
    }
    assert_eq!(runs.files(), runs.files_of([3, 4]));
    assert!(states() == kept_before);
    // There is nothing left to do.
    assert!(apply(&runs.plan(SNAPSHOT)).is_empty());
    // An old plan does no harm.
    for (_, outcome) in apply(&plan) {
        assert_matches!(outcome, Err(RetentionError::Changed { .. }));
    }
    assert_eq!(runs.files(), runs.files_of([3, 4]));
}

#[test]
fn bounded_and_full() {
    let runs = Runs::four();
    assert_eq!(runs.decisions(RetentionMode::Full), vec![keep(KeepReason::Everything); 4]);
    let not_newest = RetentionDecision::Reclaim(ReclaimReason::NotNewest { keep_last: 1 });
    let expected =
        [not_newest.clone(), not_newest, keep(KeepReason::RestorePoint), keep(KeepReason::Newest)];
    let bounded = RetentionMode::Bounded { keep_last: 1 };
    assert_eq!(runs.decisions(bounded), expected);
    assert_eq!(apply(&runs.plan(RetentionMode::Full)).len(), 0);
    assert_eq!(apply(&runs.plan(bounded)).len(), 2);
    assert_eq!(runs.files(), runs.files_of([3, 4]));
}

/// Changes run 3, the only restore point. Expects that nothing may be removed then.
#[track_caller]
fn assert_no_restore_point(tamper: impl FnOnce(&Path)) {
    let runs = Runs::four();
    tamper(&runs.path(3));
    assert_eq!(runs.decisions(SNAPSHOT), vec![keep(KeepReason::NoRestorePoint); 4]);
}

#[test]
fn an_anchor_counts_within_the_durable_watermark_only() {
    // Past the frames, though the manifest allows it.
    assert_no_restore_point(|path| {
        let hash = ContentHash::of(b"");
        let anchor = format!(r#"{{"high_watermark":4,"blob_ref":"","content_hash":"{hash}"}}"#);
        tamper::meta(path, "anchor", anchor.as_bytes());
        tamper::manifest(path, "\"high_watermark\":3", "\"high_watermark\":4");
    });
    // Past the manifest, though the frames allow it.
    assert_no_restore_point(|path| {
        tamper::manifest(path, "\"high_watermark\":3", "\"high_watermark\":2");
    });
    assert_no_restore_point(|path| {
        tamper::manifest(path, "\"Ended\"", "\"Quarantined\"");
    });
}

#[test]
fn unreadable_runs_stay() {
    let runs = Runs::four();
    tamper::meta(&runs.path(1), "anchor", b"no anchor");
    fs::write(runs.path(2), "no run").unwrap();
    let unreadable = |decision: &RetentionDecision| match decision {
        RetentionDecision::Keep(KeepReason::Unreadable { error }) => error.clone(),
        other => panic!("{other:?}"),
    };
    let decisions = runs.decisions(SNAPSHOT);
    let error = unreadable(&decisions[0]);
    assert!(error.contains("the snapshot anchor cannot be decoded"), "{error}");
    let error = unreadable(&decisions[1]);
    assert!(error.starts_with(&format!("cannot open {}", runs.path(2).display())), "{error}");
    assert_eq!(decisions[2], keep(KeepReason::RestorePoint));

    // A copy under another run's name is not that run.
    fs::copy(runs.path(3), runs.path(5)).unwrap();
    let error = unreadable(&runs.decisions(SNAPSHOT)[4]);
    assert_eq!(error, format!("it holds run {} of instance node-1", run_id(3)));
    // Nor is a run of another instance.
    runs.seal_as(6, RunStatus::Ended, |manifest| manifest.instance_id = "node-2".parse().unwrap());
    fs::copy(run_path(runs.0.folder(), &"node-2".parse().unwrap(), run_id(6)), runs.path(6))
        .unwrap();
    let error = unreadable(&runs.decisions(SNAPSHOT)[5]);
    assert_eq!(error, format!("it holds run {} of instance node-2", run_id(6)));
    assert!(apply(&runs.plan(SNAPSHOT)).is_empty());
}

#[test]
fn an_unsealed_run_and_its_parent_stay() {
    let runs = Runs::new();
    runs.seal(1, RunStatus::Ended, Some(0));
    runs.seal(2, RunStatus::Ended, None);
    runs.seal(3, RunStatus::Quarantined, None);
    let recording = runs.open(4);
    runs.seal(5, RunStatus::Ended, Some(0));
    let needed = keep(KeepReason::NeededBy { run_id: run_id(4) });
    let point = keep(KeepReason::RestorePoint);
    let expected = [before(5), needed, before(5), keep(KeepReason::NotSealed), point];
    assert_eq!(runs.decisions(SNAPSHOT), expected);
    // The same for a run that was left behind.
    drop(recording);
    assert_eq!(runs.decisions(SNAPSHOT), expected);
}

#[test]
fn parents_stay() {
    let runs = Runs::new();
    runs.seal(1, RunStatus::CrashedRecovered, None);
    runs.seal(2, RunStatus::Ended, Some(2));
    runs.seal_as(3, RunStatus::Ended, |manifest| manifest.parent_run_id = Some(run_id(1)));
    let needed = keep(KeepReason::NeededBy { run_id: run_id(3) });
    assert_eq!(runs.decisions(SNAPSHOT)[0], needed);
}

/// Only failed starts came after the last snapshot.
#[test]
fn removal_does_not_change_the_next_parent() {
    let runs = Runs::new();
    runs.seal(1, RunStatus::Ended, Some(3));
    runs.seal(2, RunStatus::Ended, Some(3));
    for n in 3..=5 {
        let parent_run_id = Some(run_id(n - 1));
        runs.seal_as(n, RunStatus::CrashedRecovered, |manifest| {
            manifest.parent_run_id = parent_run_id;
        });
    }
    runs.seal_as(6, RunStatus::Ended, |manifest| manifest.feature_flags.push("replay".to_owned()));
    assert_eq!(runs.next_parent(), Some(run_id(5)));
    let bounded = RetentionMode::Bounded { keep_last: 1 };
    let needed = |n| keep(KeepReason::NeededBy { run_id: run_id(n) });
    let not_newest = RetentionDecision::Reclaim(ReclaimReason::NotNewest { keep_last: 1 });
    let (point, head) = (keep(KeepReason::RestorePoint), keep(KeepReason::Continuable));
    let expected = [not_newest, point, needed(4), needed(5), head, keep(KeepReason::Newest)];
    assert_eq!(runs.decisions(bounded), expected);
    assert!(apply(&runs.plan(bounded)).iter().all(|(_, outcome)| outcome.is_ok()));
    assert_eq!(runs.next_parent(), Some(run_id(5)));
}

#[test]
fn a_plan_that_keeps_nothing_is_refused() {
    let runs = Runs::four();
    for (mode, field) in [
        (RetentionMode::Bounded { keep_last: 0 }, "retention.keep_last"),
        (RetentionMode::MaxAge { keep_for_s: 0 }, "retention.keep_for_s"),
        (RetentionMode::MaxAge { keep_for_s: 3_153_600_001 }, "retention.keep_for_s"),
    ] {
        let refused = RetentionPlan::new(runs.0.folder(), &instance(), mode);
        assert_matches!(refused, Err(RetentionError::Mode(error)) if error.field == field);
    }
}

/// Runs 0 and on of an instance without any snapshot, each of which continues the one before. Only
/// run 0 has entries.
fn recordings(count: u32) -> Runs {
    let runs = Runs::new();
    runs.seal(0, RunStatus::Ended, None);
    runs.add_sidecar(0);
    for n in 1..count {
        runs.seal_as(n, RunStatus::Ended, |manifest| manifest.parent_run_id = Some(run_id(n - 1)));
        runs.add_sidecar(n);
    }
    runs
}

fn plan_at(runs: &Runs, mode: RetentionMode, now_ns: u64) -> RetentionPlan {
    let now = UnixNanos::new(now_ns);
    RetentionPlan::new_at(runs.0.folder(), &instance(), mode, now).unwrap()
}

/// A run ends with its last entry. One without entries ends as it starts.
#[test]
fn without_any_snapshot_old_runs_go() {
    const S: u64 = 1_000_000_000;
    let mode = RetentionMode::MaxAge { keep_for_s: 2 };
    let runs = recordings(4);
    let started = |n: u32| run_id(n).start().as_u64();
    assert!(started(0) < TS_PUBLISH && TS_PUBLISH < started(2));
    let reclaimed = |now_ns| {
        let plan = plan_at(&runs, mode, now_ns);
        plan.reclaimable().map(|run| run.run_id.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(reclaimed(0), []);
    assert_eq!(reclaimed(started(0) + 2 * S + 1), [], "it ended later");
    assert_eq!(reclaimed(TS_PUBLISH + 2 * S + 1), [run_id(0), run_id(1)]);
    assert_eq!(reclaimed(u64::MAX), [run_id(0), run_id(1), run_id(2)], "the head stays");

    let plan = plan_at(&runs, mode, TS_PUBLISH + 2 * S + 1);
    assert_eq!(apply(&plan).into_iter().filter(|(_, removed)| removed.is_ok()).count(), 2);
    assert_eq!(runs.files(), runs.files_of([2, 3]));
    assert_eq!(runs.next_parent(), Some(run_id(3)), "as before");
}

#[test]
fn without_any_snapshot_runs_go_that_do_not_fit() {
    let runs = recordings(4);
    let bytes = |n| fs::metadata(runs.path(n)).unwrap().len() + 7;
    let keep_bytes = bytes(3) + bytes(2);
    let plan = runs.plan(RetentionMode::MaxBytes { keep_bytes });
    assert_eq!(plan.kept_bytes(), keep_bytes);
    assert!(apply(&plan).into_iter().all(|(_, removed)| removed.is_ok()));
    assert_eq!(runs.files(), runs.files_of([2, 3]));
    let plan = runs.plan(RetentionMode::MaxBytes { keep_bytes: keep_bytes - 1 });
    assert_eq!(apply(&plan).len(), 1);
    // The head takes more than nothing, and stays.
    let plan = runs.plan(RetentionMode::MaxBytes { keep_bytes: 0 });
    assert_eq!((plan.kept_bytes(), apply(&plan).len()), (bytes(3), 0));
    assert_eq!(runs.files(), runs.files_of([3]));
}

/// What is kept in any case counts, whatever it is.
#[test]
fn unsealed_and_unreadable_runs_take_bytes_and_stay() {
    let runs = recordings(4);
    let recording = runs.open(4);
    runs.add_sidecar(4);
    fs::write(runs.path(4).with_extension("log"), [0; 9_000]).unwrap();
    fs::write(runs.path(5), [0; 5_000]).unwrap();
    let bytes = |n: u32| fs::metadata(runs.path(n)).unwrap().len() + 7;
    let (needed, fits) = (bytes(3) + bytes(4) + 9_000 + 5_000, bytes(2));
    let left = |keep_bytes| {
        let plan = runs.plan(RetentionMode::MaxBytes { keep_bytes });
        let kept =
            plan.runs().iter().filter(|run| matches!(run.decision, RetentionDecision::Keep(_)));
        (kept.map(|run| run.run_id.unwrap()).collect::<Vec<_>>(), plan.kept_bytes())
    };
    let at_least = [3, 4, 5].map(run_id).to_vec();
    assert_eq!(left(0), (at_least.clone(), needed), "more than was asked for");
    assert_eq!(left(needed + fits - 1), (at_least, needed));
    assert_eq!(left(needed + fits), ([2, 3, 4, 5].map(run_id).to_vec(), needed + fits));
    drop(recording);
}

/// Recordings are no state. A node that wants to have one from them, once some are gone, does not
/// come back with less: it is told which run is missing.
#[test]
fn a_node_that_restores_is_refused_by_name_once_its_parents_are_gone() {
    let runs = recordings(4);
    let plan = plan_at(&runs, RetentionMode::MaxAge { keep_for_s: 2 }, u64::MAX);
    assert_eq!(apply(&plan).into_iter().filter(|(_, removed)| removed.is_ok()).count(), 3);
    let mut lifecycle = EventStoreLifecycle::new(
        Some(EventStoreConfig::new(runs.0.folder())),
        LifecycleOptions::default(),
    );
    let components = RegisteredComponents::default;
    let mut ledger = Ledger::default();
    let refused =
        lifecycle.restore_and_open(&instance(), components(), &Environment::Live, &mut ledger);
    assert_matches!(refused, Err(OpenError::Restore(RestoreParentError::Open { run_id: named, .. }))
        if named == run_id(2));
    assert_eq!(ledger.accounts, Accounts::default());
    let left = runs.plan(RetentionMode::Full);
    let left: Vec<_> = left.runs().iter().map(|run| run.run_id).collect();
    assert_eq!(left, [Some(run_id(3))], "no run was made");

    // One that does not restore goes on.
    lifecycle.open(&instance(), components(), &Environment::Live).unwrap();
    assert_eq!(lifecycle.parent_run_id(), Some(run_id(3)));
}

/// The first node that restores crashed before its first snapshot. The next start restores what it
/// did, from the first recording on.
#[test]
fn a_left_run_of_a_node_that_restores_keeps_all_recordings() {
    let runs = recordings(3);
    let left = runs.open_as(3, |manifest| {
        manifest.parent_run_id = Some(run_id(2));
        manifest.feature_flags.push("restores".to_owned());
    });
    let mode = RetentionMode::MaxAge { keep_for_s: 1 };
    let all = [0, 1, 2].map(|_| keep(KeepReason::NoRestorePoint));
    let decisions = || {
        let plan = plan_at(&runs, mode, u64::MAX);
        plan.runs()[..3].iter().map(|run| run.decision.clone()).collect::<Vec<_>>()
    };
    let old = || RetentionDecision::Reclaim(ReclaimReason::TooOld { keep_for_s: 1 });
    let while_recording = decisions();
    assert_eq!(while_recording[..2], [old(), old()], "nobody else can read its manifest");
    assert_ne!(while_recording[2], old());
    // As a crash leaves it: not closed.
    let as_left = fs::read(runs.path(3)).unwrap();
    drop(left);
    assert_eq!(decisions(), all, "closed");
    fs::write(runs.path(3), as_left).unwrap();
    let before = FileState::of(&runs.path(3));
    assert_eq!(decisions(), all);
    assert!(FileState::of(&runs.path(3)) == before, "a plan changes nothing");
    // A recorder's run, in its place, keeps none.
    fs::remove_file(runs.path(3)).unwrap();
    drop(runs.open_as(3, |manifest| manifest.parent_run_id = Some(run_id(2))));
    assert_eq!(decisions()[..2], [old(), old()]);
}

/// A plan by age does not outlive the restore point that was there when it was made.
#[test]
fn a_plan_by_age_that_lost_its_restore_point_removes_nothing() {
    let runs = Runs::four();
    let plan = plan_at(&runs, RetentionMode::MaxAge { keep_for_s: 1 }, u64::MAX);
    assert_eq!(plan.reclaimable().count(), 2);
    tamper::manifest(&runs.path(3), "\"Ended\"", "\"Quarantined\"");
    for (_, outcome) in apply(&plan) {
        assert_matches!(outcome, Err(RetentionError::Kept { .. }));
    }
    assert_eq!(runs.files(), runs.files_of(1..=4));
}

/// Where the damage is in the last entry, nobody knows when the run ended.
#[test]
fn a_run_whose_end_cannot_be_read_is_not_taken_for_old() {
    let runs = recordings(2);
    tamper::frame_bytes(&runs.path(0), 1, |bytes| {
        bytes.iter_mut().rev().take(200).for_each(|byte| *byte ^= 1);
    });
    let plan = plan_at(&runs, RetentionMode::MaxAge { keep_for_s: 1 }, u64::MAX);
    assert_eq!(plan.reclaimable().count(), 0);
    let decision = &plan.runs()[0].decision;
    assert_matches!(decision, RetentionDecision::Keep(KeepReason::Unreadable { .. }));
}

#[test]
fn a_run_started_since_keeps_its_parents() {
    let runs = Runs::new();
    runs.seal(1, RunStatus::CrashedRecovered, None);
    runs.seal(2, RunStatus::Ended, Some(2));
    let plan = runs.plan(SNAPSHOT);
    runs.seal_as(3, RunStatus::Ended, |manifest| manifest.parent_run_id = Some(run_id(1)));
    let [(run, Err(error))] = &apply(&plan)[..] else { panic!("one run is refused") };
    assert_eq!(run.path, runs.path(1));
    let reason = KeepReason::NeededBy { run_id: run_id(3) };
    assert_matches!(error, RetentionError::Kept { reason: found, .. } if *found == reason);
    assert!(runs.path(1).exists());
}

#[test]
fn a_run_that_changed_since_stays() {
    let runs = Runs::four();
    let plan = runs.plan(SNAPSHOT);
    tamper::manifest(&runs.path(1), "\"Ended\"", "\"CrashedRecovered\"");
    let outcomes = apply(&plan);
    assert_matches!(&outcomes[0].1, Err(RetentionError::Changed { path }) if *path == runs.path(1));
    assert_matches!(&outcomes[1].1, Ok(()));
    assert_eq!(runs.files(), runs.files_of([1, 3, 4]));
}

#[test]
fn without_its_restore_point_a_plan_removes_nothing() {
    let runs = Runs::four();
    let plan = runs.plan(SNAPSHOT);
    tamper::manifest(&runs.path(3), "\"Ended\"", "\"Quarantined\"");
    for (_, outcome) in apply(&plan) {
        let no_restore_point = KeepReason::NoRestorePoint;
        assert_matches!(
            outcome,
            Err(RetentionError::Kept { reason, .. }) if reason == no_restore_point
        );
    }
    assert_eq!(runs.files(), runs.files_of(1..=4));
}

#[test]
fn a_lost_restore_point_keeps_the_rest() {
    let runs = Runs::four();
    let plan = runs.plan(SNAPSHOT);
    let mut outcomes = Vec::new();
    plan.apply(|_, outcome| {
        if outcomes.is_empty() {
            tamper::manifest(&runs.path(3), "\"Ended\"", "\"Quarantined\"");
        }
        outcomes.push(outcome);
    })
    .unwrap();
    assert_matches!(&outcomes[0], Ok(()));
    assert_matches!(
        &outcomes[1],
        Err(RetentionError::RestorePointLost { restore_point, .. }) if *restore_point == runs.path(3)
    );
    assert_eq!(runs.files(), runs.files_of(2..=4));
}

#[test]
fn an_unremovable_file_does_not_stop_the_rest() {
    let runs = Runs::four();
    fs::remove_file(runs.sidecar(1)).unwrap();
    fs::create_dir(runs.sidecar(1)).unwrap();
    let plan = runs.plan(SNAPSHOT);
    let outcomes = apply(&plan);
    assert_matches!(
        &outcomes[0].1,
        Err(RetentionError::Remove { path, .. }) if *path == runs.sidecar(1)
    );
    assert_matches!(&outcomes[1].1, Ok(()));
    assert_eq!(runs.files(), runs.files_of([1, 3, 4]));
}

#[test]
fn a_run_without_a_sidecar_is_removed_alone() {
    let runs = Runs::four();
    for n in 1..=4 {
        fs::remove_file(runs.sidecar(n)).unwrap();
    }
    assert_eq!(apply(&runs.plan(SNAPSHOT)).len(), 2);
    assert_eq!(runs.files(), [runs.path(3), runs.path(4)]);
}
