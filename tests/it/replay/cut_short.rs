//! A sealed run that has lost its last frames is not restored as if it were complete.

use std::path::PathBuf;

use tapline::internals::{error_chain, run_path};
use tapline::read::{EventStoreReader, ReadError};
use tapline::replay::{
    CacheFollower, FollowError, ReplayError, RestoreError, StateCache,
    restore_snapshot_and_replay_tail,
};
use tapline::runs::RestoreParentError;
use tapline::session::{
    EventStoreConfig, EventStoreLifecycle, KernelEventStore, LifecycleOptions, OpenError,
};
use tapline::store::{DiskMode, open_sealed_file};
use tapline::{ContentHash, RunStatus, SnapshotAnchor, UnixNanos};

use crate::support::ledger::{Accounts, Ledger, accounts_at, bookings};
use crate::support::{FrameMaker, Place, assert_matches, instance, run_id, tamper};

/// Nine bookings in three frames, sealed as after a crash. If there is a ledger, it keeps a
/// snapshot at entry 3. Then the last frame is lost.
fn cut_short(ledger: Option<&Ledger>) -> (Place, PathBuf) {
    let place = Place::disk(DiskMode::Buffered);
    let mut store = place.open(1);
    let batches = [bookings(1, 3), bookings(4, 6), bookings(7, 9)];
    FrameMaker::new().append_all(&mut *store, &batches);
    if let Some(ledger) = ledger {
        let mut live = Ledger { accounts: accounts_at(3), ..Ledger::with_vault(&ledger.vault) };
        let blob = live.to_blob().unwrap();
        let content_hash = ContentHash::of(&blob);
        let blob_ref = live.keep_blob(&blob).unwrap();
        store.record_anchor(&SnapshotAnchor { high_watermark: 3, blob_ref, content_hash }).unwrap();
    }
    store.seal(RunStatus::CrashedRecovered, Some(UnixNanos::new(9))).unwrap();
    drop(store);
    let path = run_path(place.folder(), &instance(), run_id(1));
    tamper::remove_frame(&path, 7);
    (place, path)
}

fn reader(path: &std::path::Path) -> EventStoreReader {
    EventStoreReader::new(open_sealed_file(path).unwrap())
}

#[test]
fn restoring_an_incomplete_run_touches_nothing() {
    let anchored = Ledger::default();
    for (mut ledger, anchor) in
        [(Ledger::default(), None), (Ledger::with_vault(&anchored.vault), Some(&anchored))]
    {
        let (_place, path) = cut_short(anchor);
        let error = restore_snapshot_and_replay_tail(&mut ledger, &reader(&path)).unwrap_err();
        assert_matches!(error, RestoreError::Plan(ReadError::Gap { from: 7, to: 9 }));
        assert_eq!((ledger.accounts, ledger.given), (Accounts::default(), vec![]));
    }
}

#[test]
fn a_boot_does_not_continue_from_it() {
    let (place, _) = cut_short(None);
    let config = EventStoreConfig::new(place.folder());
    let mut lifecycle = EventStoreLifecycle::new(Some(config), LifecycleOptions::default());
    let mut ledger = Ledger::default();
    let error = lifecycle.restore_parent_cache(&instance(), &mut ledger).unwrap_err();
    let text = format!(
        "cannot restore from run {}: cannot tell what to restore (`tapline verify` says what is \
         damaged): entries 7 to 9 are missing",
        run_id(1)
    );
    assert_eq!(error_chain(&error), text);
    assert_matches!(
        error,
        OpenError::Restore(RestoreParentError::Restore { source: RestoreError::Plan(_), .. })
    );
    assert_eq!((ledger.accounts, ledger.given), (Accounts::default(), vec![]));
}

#[test]
fn a_follower_applies_nothing_of_it() {
    let (_place, path) = cut_short(None);
    let mut follower = CacheFollower::new(Ledger::default(), reader(&path), 0);
    for _ in 0..2 {
        let missing = ReadError::Gap { from: 7, to: 9 };
        let error = ReplayError::Read { applied_seq: 0, source: missing };
        let found = follower.catch_up().unwrap_err();
        assert_matches!(&found, FollowError::Replay(ReplayError::Read { applied_seq: 0, .. }));
        assert_eq!(error_chain(&found), error_chain(&error));
    }
    assert!(follower.into_cache().given.is_empty());
}
