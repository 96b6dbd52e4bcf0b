//! From run to run: a node comes back with what it knew when it died.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tapline::internals::run_path;
use tapline::read::EntryRef;
use tapline::replay::{Applied, CacheError, StateCache};
use tapline::runs::RestoreParentError;
use tapline::session::{EventStoreLifecycle, KernelEventStore, OpenError};
use tapline::store::{DiskMode, EventStore, FileError, OpenSealedError, RedbBackend};
use tapline::{ContentHash, HaltReason, RunId, RunManifest, SnapshotAnchor, UnixNanos};

use super::{cut, leave_child, lifecycle, open};
use crate::support::ledger::{Accounts, Ledger, Vault, accounts_at, bookings};
use crate::support::{FrameMaker, PATIENCE, assert_matches, instance, manifest, run_id};

/// Leaves run `n` with bookings `to - 2` to `to + 4`, and a snapshot of bookings 1 to `to` at its
/// entry 3.
fn leave_with_snapshot(folder: &Path, n: u32, parent: Option<u32>, ledger: &Ledger, to: u64) {
    let mut store = RedbBackend::with_disk_mode(folder, DiskMode::Buffered);
    let parent_run_id = parent.map(run_id);
    store.open_run(RunManifest { parent_run_id, ..manifest(n) }).unwrap();
    FrameMaker::new().append_all(&mut store, &[bookings(to - 2, to), bookings(to + 1, to + 4)]);
    let mut live = Ledger { accounts: accounts_at(to), ..Ledger::with_vault(&ledger.vault) };
    let blob = live.to_blob().unwrap();
    let content_hash = ContentHash::of(&blob);
    let blob_ref = live.keep_blob(&blob).unwrap();
    store.record_anchor(&SnapshotAnchor { high_watermark: 3, blob_ref, content_hash }).unwrap();
}

/// The accounts after bookings 1 to `to`, the last of which is entry `last_seq` of its run.
fn accounts(to: u64, last_seq: u64) -> Accounts {
    Accounts { last_seq, ..accounts_at(to) }
}

#[test]
fn a_run_without_snapshot_needs_its_parents() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut ledger = Ledger::default();
    // It is older than the snapshot and must not matter.
    leave_child(folder, 1, None, &[bookings(90, 99)]);
    leave_with_snapshot(folder, 2, Some(1), &ledger, 20); // bookings 1 to 24
    leave_child(folder, 3, Some(2), &[bookings(25, 27), bookings(28, 30)]);
    leave_child(folder, 4, Some(3), &[]);
    leave_child(folder, 5, Some(4), &[bookings(31, 40)]);

    let mut lifecycle = lifecycle(folder);
    let restored = lifecycle.restore_parent_cache(&instance(), &mut ledger).unwrap().unwrap();
    assert_eq!(restored.parent_run_id, run_id(5));
    let applied: Vec<_> =
        restored.runs.iter().map(|(run, report)| (*run, report.applied)).collect();
    assert_eq!(applied, [(run_id(2), 4), (run_id(3), 6), (run_id(4), 0), (run_id(5), 10)]);
    assert_eq!(restored.runs[0].1.snapshot_seq, Some(3));
    assert_eq!(ledger.accounts, accounts(40, 10), "each once, and in order");

    // The new run names its parent. The restore has swept already, so opening does not sweep again.
    open(&mut lifecycle).unwrap();
    assert_eq!(lifecycle.parent_run_id(), Some(run_id(5)));
    assert_matches!(
        lifecycle.restore_parent_cache(&instance(), &mut ledger),
        Err(OpenError::RunOpen { .. })
    );
}

#[test]
fn without_snapshots_all_runs_are_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave_child(folder, 1, None, &[bookings(1, 5)]);
    leave_child(folder, 2, Some(1), &[bookings(6, 8)]);
    let mut ledger = Ledger::default();
    let restored =
        lifecycle(folder).restore_parent_cache(&instance(), &mut ledger).unwrap().unwrap();
    assert!(restored.runs.iter().all(|(_, report)| report.snapshot_seq.is_none()));
    assert_eq!(ledger.accounts, accounts(8, 3), "each once, and in order");
}

#[test]
fn with_nothing_left_behind_nothing_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::default();
    assert_eq!(
        lifecycle(folder.path()).restore_parent_cache(&instance(), &mut ledger).unwrap(),
        None
    );
    assert_eq!((&ledger.accounts, &ledger.given[..]), (&Accounts::default(), &[][..]));
}

#[test]
fn a_missing_parent_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave_child(folder, 1, None, &cut());
    leave_child(folder, 2, Some(1), &cut());
    std::fs::remove_file(run_path(folder, &instance(), run_id(1))).unwrap();
    let mut ledger = Ledger::default();
    let error = lifecycle(folder).restore_parent_cache(&instance(), &mut ledger).unwrap_err();
    let not_found = |source: &OpenSealedError| {
        matches!(source, OpenSealedError::File(FileError::NotFound { .. }))
    };
    assert_matches!(&error, OpenError::Restore(RestoreParentError::Open { run_id: run, source })
        if *run == run_id(1) && not_found(source));
    assert_eq!((&ledger.accounts, &ledger.given[..]), (&Accounts::default(), &[][..]));
}

#[test]
fn runs_that_name_each_other_are_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave_child(folder, 1, Some(1), &cut());
    let mut lifecycle = lifecycle(folder);
    // There was state, but its origin is unknown: the node must not begin without it.
    let mut ledger = Ledger::default();
    let error = lifecycle.restore_parent_cache(&instance(), &mut ledger).unwrap_err();
    assert_matches!(&error, OpenError::Restore(RestoreParentError::Circle { run_id: run })
        if *run == run_id(1));
    assert_eq!((&ledger.accounts, &ledger.given[..]), (&Accounts::default(), &[][..]));
}

#[test]
fn a_lost_snapshot_fails_the_restore() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut ledger = Ledger::default();
    leave_with_snapshot(folder, 1, None, &ledger, 20);
    ledger.vault.lock().unwrap().clear();
    let error = lifecycle(folder).restore_parent_cache(&instance(), &mut ledger).unwrap_err();
    assert_matches!(&error, OpenError::Restore(RestoreParentError::Restore { run_id: run, .. })
        if *run == run_id(1));
    assert_eq!((&ledger.accounts, &ledger.given[..]), (&Accounts::default(), &[][..]));
}

/// Books `from` to `to` in a new run and leaves it open. If `with_snapshot`, takes a snapshot of
/// all bookings.
fn trade(lifecycle: &mut EventStoreLifecycle, from: u64, to: u64, vault: Option<&Vault>) {
    let session = lifecycle.session().unwrap();
    let mut producer = session.producers().producer().unwrap();
    for message in bookings(from, to) {
        message.with_draft(|draft| producer.submit(draft)).unwrap();
    }
    session.flush(PATIENCE).unwrap();
    if let Some(vault) = vault {
        let mut live = Ledger { accounts: accounts_at(to), ..Ledger::with_vault(vault) };
        let blob = live.to_blob().unwrap();
        let blob_ref = live.keep_blob(&blob).unwrap();
        let anchorer = lifecycle.snapshot_anchorer().unwrap();
        anchorer.record(&blob_ref, ContentHash::of(&blob)).unwrap();
    }
}

/// Opens the next run. Expects that it continues run `parent`, with the state after bookings 1 to
/// `to`.
#[track_caller]
fn open_next(folder: &Path, vault: &Vault, parent: RunId, to: u64) -> (EventStoreLifecycle, RunId) {
    let mut lifecycle = lifecycle(folder);
    let mut ledger = Ledger::with_vault(vault);
    let restored = lifecycle.restore_parent_cache(&instance(), &mut ledger).unwrap();
    assert_eq!(restored.map(|restored| restored.parent_run_id), Some(parent));
    assert_eq!((ledger.accounts.by_name, ledger.accounts.all), {
        let expected = accounts_at(to);
        (expected.by_name, expected.all)
    });
    let run = open(&mut lifecycle).unwrap();
    assert_eq!(lifecycle.parent_run_id(), Some(parent));
    (lifecycle, run)
}

/// What a failed start leaves: an open run without content.
fn fail(lifecycle: EventStoreLifecycle) {
    lifecycle.halt().unwrap().fire(HaltReason::BackendError("the start failed".to_owned()));
}

#[test]
fn a_run_that_ended_is_continued() {
    for takes_snapshot in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let vault = Vault::default();
        let mut first = lifecycle(folder);
        let ended = open(&mut first).unwrap();
        trade(&mut first, 1, 8, takes_snapshot.then_some(&vault));
        first.seal(UnixNanos::new(9)).unwrap();

        let (mut second, ended) = open_next(folder, &vault, ended, 8);
        trade(&mut second, 9, 12, None);
        second.seal(UnixNanos::new(10)).unwrap();
        open_next(folder, &vault, ended, 12);
    }
}

/// The start failed after its opening and before its first snapshot: by a crash, or by an error
/// that ended the program in order.
#[test]
fn a_failed_start_loses_nothing() {
    for crashes in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let vault = Vault::default();
        let mut first = lifecycle(folder);
        let ended = open(&mut first).unwrap();
        trade(&mut first, 1, 8, Some(&vault));
        first.seal(UnixNanos::new(9)).unwrap();

        let (second, failed) = open_next(folder, &vault, ended, 8);
        if crashes {
            fail(second);
        } else {
            drop(second);
        }
        open_next(folder, &vault, failed, 8);
    }
}

#[test]
fn five_failed_starts_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let vault = Vault::default();
    let mut first = lifecycle(folder);
    let mut newest = open(&mut first).unwrap();
    trade(&mut first, 1, 8, Some(&vault));
    fail(first);
    for start in 0..5 {
        let (failed, run) = open_next(folder, &vault, newest, 8);
        newest = run;
        if start % 2 == 0 {
            fail(failed);
        }
    }
    let (mut last, newest) = open_next(folder, &vault, newest, 8);
    trade(&mut last, 9, 12, None);
    drop(last);
    open_next(folder, &vault, newest, 12);
}

/// A cache that panics on request.
struct Panicking(&'static str, Ledger);

impl StateCache for Panicking {
    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError> {
        assert!(self.0 != "load", "the cache cannot load");
        self.1.load_blob(blob_ref)
    }

    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError> {
        assert!(self.0 != "take over", "the cache cannot take over");
        self.1.take_over(blob)
    }

    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError> {
        assert!(self.0 != "apply", "the cache cannot apply");
        self.1.apply(entry)
    }

    fn to_blob(&self) -> Result<Vec<u8>, CacheError> {
        self.1.to_blob()
    }

    fn keep_blob(&mut self, blob: &[u8]) -> Result<String, CacheError> {
        self.1.keep_blob(blob)
    }
}

#[test]
fn a_panic_of_the_cache_goes_through() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::default();
    leave_with_snapshot(folder.path(), 1, None, &ledger, 20);
    for what in ["load", "take over", "apply"] {
        let mut cache = Panicking(what, Ledger::with_vault(&ledger.vault));
        let mut lifecycle = lifecycle(folder.path());
        let restore = || lifecycle.restore_parent_cache(&instance(), &mut cache);
        let panic = catch_unwind(AssertUnwindSafe(restore)).expect_err("it panics");
        let said = panic.downcast_ref::<&str>().expect("a text");
        assert_eq!(*said, format!("the cache cannot {what}"));
    }
}
