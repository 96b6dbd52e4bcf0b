//! A cache restored from a run's snapshot and the entries after it.

use std::sync::Arc;

use tapline::read::{EventStoreReader, ReadError};
use tapline::replay::{
    ReplayError, RestoreError, RestoreReport, StateCache, restore_snapshot_and_replay_tail,
};
use tapline::store::EventStore;
use tapline::{ContentHash, SnapshotAnchor};

use super::run_of;
use crate::support::doctored::{Doctored, Part};
use crate::support::ledger::{Accounts, BOOKING, Ledger, Unable, accounts_at, bookings};
use crate::support::prefix::Prefix;
use crate::support::{Message, assert_matches};

/// Keeps the accounts at `at` and records the anchor. Returns a ledger with nothing but the vault.
fn anchored(store: &mut dyn EventStore, at: u64) -> (Ledger, SnapshotAnchor) {
    let mut live = Ledger { accounts: accounts_at(at), ..Ledger::default() };
    let blob = live.to_blob().unwrap();
    let anchor = SnapshotAnchor {
        high_watermark: at,
        blob_ref: live.keep_blob(&blob).unwrap(),
        content_hash: ContentHash::of(&blob),
    };
    store.record_anchor(&anchor).unwrap();
    (Ledger::with_vault(&live.vault), anchor)
}

/// Asserts that restoring fails, and that the cache was given nothing and holds nothing.
fn fails_untouched(ledger: &mut Ledger, reader: &EventStoreReader) -> RestoreError {
    let error = restore_snapshot_and_replay_tail(ledger, reader).unwrap_err();
    assert_eq!((&ledger.accounts, &ledger.given[..]), (&Accounts::default(), &[][..]));
    error
}

#[test]
fn the_tail_is_applied_on_top_of_the_snapshot() {
    let mut batches = [bookings(1, 3), bookings(4, 6)];
    batches[1].push(Message::nth(7));
    let (mut store, reader) = run_of(&batches);
    let (mut ledger, _) = anchored(&mut *store, 4);
    let report = restore_snapshot_and_replay_tail(&mut ledger, &reader).unwrap();
    let expected =
        RestoreReport { snapshot_seq: Some(4), from_seq: 5, to_seq: 7, applied: 2, ignored: 1 };
    assert_eq!(report, expected);
    assert_eq!(ledger.given, [5, 6, 7], "in order, and none that the snapshot has");
    assert_eq!(ledger.accounts, accounts_at(6));
}

#[test]
fn a_final_snapshot_leaves_nothing_to_apply() {
    let (mut store, reader) = run_of(&[bookings(1, 5)]);
    let (mut ledger, _) = anchored(&mut *store, 5);
    let report = restore_snapshot_and_replay_tail(&mut ledger, &reader).unwrap();
    let expected =
        RestoreReport { snapshot_seq: Some(5), from_seq: 6, to_seq: 5, applied: 0, ignored: 0 };
    assert_eq!(report, expected);
    assert_eq!((ledger.accounts, ledger.given), (accounts_at(5), vec![]));
}

#[test]
fn without_an_anchor_all_entries_are_applied() {
    let (_store, reader) = run_of(&[bookings(4, 6)]);
    let mut ledger = Ledger { accounts: accounts_at(3), ..Ledger::default() };
    let report = restore_snapshot_and_replay_tail(&mut ledger, &reader).unwrap();
    let expected =
        RestoreReport { snapshot_seq: None, from_seq: 1, to_seq: 3, applied: 3, ignored: 0 };
    assert_eq!(report, expected);
    let mut accounts = accounts_at(6);
    accounts.last_seq = 3;
    assert_eq!(ledger.accounts, accounts, "as after the parent's three and these three");
}

#[test]
fn an_empty_run_leaves_the_cache_as_it_is() {
    let (_store, reader) = run_of(&[]);
    let mut ledger = Ledger { accounts: accounts_at(3), ..Ledger::default() };
    let report = restore_snapshot_and_replay_tail(&mut ledger, &reader).unwrap();
    assert_eq!((report.from_seq, report.to_seq, report.applied), (1, 0, 0));
    assert_eq!(ledger.accounts, accounts_at(3));
}

#[test]
fn a_snapshot_that_is_not_there_is_named() {
    let (mut store, reader) = run_of(&[bookings(1, 5)]);
    let (mut ledger, anchor) = anchored(&mut *store, 4);
    ledger.vault.lock().unwrap().clear();
    let error = fails_untouched(&mut ledger, &reader);
    assert_eq!(
        error.to_string(),
        "there is no snapshot \"snapshot-0\", which the run's anchor at entry 4 names; put it back, \
         or replay the run from its first entry on top of the state it began with, which is empty only \
         if nothing was restored before"
    );
    assert_matches!(
        error,
        RestoreError::MissingBlob { blob_ref, high_watermark: 4 } if blob_ref == anchor.blob_ref
    );
}

#[test]
fn a_changed_snapshot_is_refused() {
    let (mut store, reader) = run_of(&[bookings(1, 5)]);
    let (mut ledger, anchor) = anchored(&mut *store, 4);
    let forged = serde_json::to_vec(&accounts_at(3)).unwrap();
    ledger.vault.lock().unwrap().insert(anchor.blob_ref, forged.clone());
    let error = fails_untouched(&mut ledger, &reader);
    // A run that continues from another has only what is new.
    let advice = "put the right one back, or replay the run from its first entry on top of the state \
                  it began with, which is empty only if nothing was restored before";
    assert!(error.to_string().ends_with(advice), "{error}");
    assert_matches!(
        error,
        RestoreError::HashMismatch { expected, found, .. }
            if expected == anchor.content_hash && found == ContentHash::of(&forged)
    );
}

#[test]
fn cache_errors_are_kept_as_sources() {
    for unable in [Unable::Load, Unable::TakeOver] {
        let (mut store, reader) = run_of(&[bookings(1, 5)]);
        let (mut ledger, _) = anchored(&mut *store, 4);
        ledger.unable = Some(unable);
        let source = match (unable, fails_untouched(&mut ledger, &reader)) {
            (Unable::Load, RestoreError::LoadBlob { source, .. })
            | (Unable::TakeOver, RestoreError::TakeOver { source, .. }) => source,
            (_, other) => panic!("{other:?}"),
        };
        assert_eq!(source.to_string(), format!("unable to {unable:?}"));
    }
}

#[test]
fn a_failed_entry_ends_the_restore() {
    let mut batches = [bookings(1, 3), bookings(4, 6)];
    batches[1][1] = Message::new("bookings", BOOKING, 0, b"not a booking");
    let (_store, reader) = run_of(&batches);
    let mut ledger = Ledger::default();
    let error = restore_snapshot_and_replay_tail(&mut ledger, &reader).unwrap_err();
    assert_eq!((ledger.given, ledger.accounts), (vec![1, 2, 3, 4, 5], accounts_at(4)));
    let text = error.to_string();
    assert!(
        text.starts_with("the cache cannot apply entry 5, a Booking on \"bookings\" ("),
        "{text}"
    );
    assert_matches!(
        error,
        RestoreError::Replay(ReplayError::Apply { seq: 5, source, .. })
            if source.is::<serde_json::Error>()
    );
}

#[test]
fn a_read_error_says_the_applied_seq() {
    let (store, _) = run_of(&[bookings(1, 3), bookings(4, 6)]);
    let source = store.reader().unwrap();
    let broken = |part| EventStoreReader::new(Doctored::broken(source.clone(), part));
    for part in [Part::Anchor, Part::Frames] {
        let error = fails_untouched(&mut Ledger::default(), &broken(part));
        assert_matches!(error, RestoreError::Plan(ReadError::Store(_)));
    }
    assert_matches!(
        fails_untouched(&mut Ledger::default(), &broken(Part::Names)),
        RestoreError::Replay(ReplayError::Read { applied_seq: 0, source: ReadError::Store(_) })
    );
}

#[test]
fn an_anchor_past_the_watermark_is_refused() {
    let (mut store, _) = run_of(&[bookings(1, 3), bookings(4, 6)]);
    let (mut ledger, anchor) = anchored(&mut *store, 6);
    let prefix = Prefix { inner: store.reader().unwrap(), watermark: 3, anchor: Some(anchor) };
    assert_matches!(
        fails_untouched(&mut ledger, &EventStoreReader::new(Arc::new(prefix))),
        RestoreError::Plan(ReadError::AnchorPastWatermark { anchor: 6, watermark: 3 })
    );
}

#[test]
fn missing_entries_are_not_passed_over() {
    let prefix =
        Prefix { inner: run_of(&[bookings(1, 3)]).0.reader().unwrap(), watermark: 5, anchor: None };
    let mut ledger = Ledger::default();
    let reader = EventStoreReader::new(Arc::new(prefix));
    assert_matches!(
        restore_snapshot_and_replay_tail(&mut ledger, &reader),
        Err(RestoreError::Replay(ReplayError::Read {
            applied_seq: 3,
            source: ReadError::Gap { from: 4, to: 5 }
        }))
    );
    assert_eq!(ledger.accounts, accounts_at(3));
}
