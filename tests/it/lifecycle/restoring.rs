//! From run to run: what a node knew when it died is what it knows when it comes back.

use std::path::Path;

use tapline::lifecycle::{KernelEventStore, OpenError, RestoreParentError};
use tapline::replay::StateCache;
use tapline::store::{DiskMode, EventStore, FileError, OpenSealedError, RedbBackend, run_path};
use tapline::{ContentHash, RunManifest, SnapshotAnchor};

use super::{cut, leave_child, lifecycle, open};
use crate::support::ledger::{Accounts, Ledger, accounts_at, bookings};
use crate::support::{FrameMaker, assert_matches, instance, manifest, run_id};

/// Leaves run `n` behind with bookings `to - 2` to `to + 4`, and a snapshot at its entry 3, of bookings 1 to `to`.
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
fn a_run_without_a_snapshot_is_restored_on_top_of_those_it_continues_from() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut ledger = Ledger::default();
    // Older than the snapshot: must not matter.
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
    assert!(restored.has_snapshot());
    assert_eq!(ledger.accounts, accounts(40, 10), "each once, and in order");

    // The run that opens names it, and what was swept for the restore is not swept again.
    open(&mut lifecycle).unwrap();
    assert_eq!(lifecycle.parent_run_id(), Some(run_id(5)));
    assert_matches!(
        lifecycle.restore_parent_cache(&instance(), &mut ledger),
        Err(RestoreParentError::Boot(OpenError::RunOpen { .. }))
    );
}

#[test]
fn without_any_snapshot_all_is_replayed_from_the_first_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave_child(folder, 1, None, &[bookings(1, 5)]);
    leave_child(folder, 2, Some(1), &[bookings(6, 8)]);
    let mut ledger = Ledger::default();
    let restored =
        lifecycle(folder).restore_parent_cache(&instance(), &mut ledger).unwrap().unwrap();
    assert!(!restored.has_snapshot());
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
fn a_run_that_is_missing_from_the_line_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave_child(folder, 1, None, &cut());
    leave_child(folder, 2, Some(1), &cut());
    std::fs::remove_file(run_path(folder, &instance(), run_id(1))).unwrap();
    let mut ledger = Ledger::default();
    let error = lifecycle(folder).restore_parent_cache(&instance(), &mut ledger).unwrap_err();
    assert_matches!(&error, RestoreParentError::Open { run_id: run, source: OpenSealedError::File(FileError::NotFound { .. }) }
        if *run == run_id(1));
    assert_eq!((&ledger.accounts, &ledger.given[..]), (&Accounts::default(), &[][..]));
}

#[test]
fn runs_that_name_each_other_are_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave_child(folder, 1, Some(1), &cut());
    let mut lifecycle = lifecycle(folder);
    // It continues from itself, so that none is left to continue from.
    let mut ledger = Ledger::default();
    assert_eq!(lifecycle.restore_parent_cache(&instance(), &mut ledger).unwrap(), None);
}

#[test]
fn a_snapshot_that_is_gone_is_an_error_of_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut ledger = Ledger::default();
    leave_with_snapshot(folder, 1, None, &ledger, 20);
    ledger.vault.lock().unwrap().clear();
    let error = lifecycle(folder).restore_parent_cache(&instance(), &mut ledger).unwrap_err();
    assert_matches!(&error, RestoreParentError::Restore { run_id: run, .. } if *run == run_id(1));
    assert_eq!((&ledger.accounts, &ledger.given[..]), (&Accounts::default(), &[][..]));
}
