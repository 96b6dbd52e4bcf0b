//! A cache that is kept up with a live run.

use tapline::internals::error_chain;
use tapline::read::EventStoreReader;
use tapline::replay::{
    CacheFollower, FollowError, ReplayError, StateCache, restore_snapshot_and_replay_tail,
};
use tapline::{ContentHash, SnapshotAnchor};

use super::run_of;
use crate::support::doctored::{Doctored, Part};
use crate::support::ledger::{BOOKING, Ledger, Unable, bookings};
use crate::support::{FrameMaker, Message, Place, assert_matches};

#[test]
fn catching_up_applies_each_durable_entry_once() {
    for place in Place::all() {
        let mut store = place.open(1);
        let reader = EventStoreReader::new(store.reader().unwrap());
        let mut follower = CacheFollower::new(Ledger::default(), reader, 0);
        assert_eq!(follower.catch_up().unwrap(), 0);
        let mut maker = FrameMaker::new();
        for (from, to) in [(1, 1), (2, 4), (5, 20)] {
            store.append(&[maker.frame(&bookings(from, to))]).unwrap();
            assert_eq!(follower.applied_seq(), from - 1, "it waits to be asked");
            assert_eq!(follower.catch_up().unwrap(), to);
            assert_eq!(follower.catch_up().unwrap(), to);
        }
        assert_eq!(follower.cache().given, (1..=20).collect::<Vec<_>>());
    }
}

#[test]
fn a_snapshot_belongs_to_the_entry_applied_last() {
    let (mut store, reader) = run_of(&[bookings(1, 3)]);
    let mut follower = CacheFollower::new(Ledger::default(), reader.clone(), 0);
    follower.catch_up().unwrap();
    let tail = store.tail().unwrap();
    store.append(&[FrameMaker::behind(tail).frame(&bookings(4, 6))]).unwrap();

    let anchor = follower.snapshot().unwrap();
    let blob = follower.cache().to_blob().unwrap();
    let expected = SnapshotAnchor {
        high_watermark: 3,
        blob_ref: "snapshot-0".to_owned(),
        content_hash: ContentHash::of(&blob),
    };
    assert_eq!(anchor, expected, "not the watermark, which is 6");

    store.record_anchor(&anchor).unwrap();
    let mut restored = Ledger::with_vault(&follower.cache().vault);
    restore_snapshot_and_replay_tail(&mut restored, &reader).unwrap();
    follower.catch_up().unwrap();
    assert_eq!(restored.accounts, follower.into_cache().accounts);
}

#[test]
fn a_restored_cache_is_followed_on_with() {
    let (mut store, reader) = run_of(&[bookings(1, 3)]);
    let mut ledger: Box<dyn StateCache> = Box::new(Ledger::default());
    let report = restore_snapshot_and_replay_tail(&mut *ledger, &reader).unwrap();
    let tail = store.tail().unwrap();
    store.append(&[FrameMaker::behind(tail).frame(&bookings(4, 6))]).unwrap();
    let mut follower = CacheFollower::new(ledger, reader.clone(), report.to_seq);
    assert_eq!(follower.catch_up().unwrap(), 6);

    let mut at_once = Ledger::default();
    restore_snapshot_and_replay_tail(&mut at_once, &reader).unwrap();
    assert_eq!(follower.into_cache().to_blob().unwrap(), at_once.to_blob().unwrap());
}

#[test]
fn a_failed_entry_stops_the_follower() {
    let mut batch = bookings(1, 4);
    batch[2] = Message::new("bookings", BOOKING, 0, b"not a booking");
    let (_store, reader) = run_of(&[batch]);
    let mut follower = CacheFollower::new(Ledger::default(), reader, 0);
    assert_matches!(
        follower.catch_up(),
        Err(FollowError::Replay(ReplayError::Apply { seq: 3, .. }))
    );
    assert_matches!(follower.catch_up(), Err(FollowError::Stopped { seq: 3 }));
    assert_matches!(follower.snapshot(), Err(FollowError::Stopped { seq: 3 }));
    assert_eq!(follower.applied_seq(), 2);
    let ledger = follower.into_cache();
    assert_eq!((ledger.given, ledger.vault.lock().unwrap().len()), (vec![1, 2, 3], 0));
}

#[test]
fn an_unreadable_run_leaves_the_state() {
    let (store, _) = run_of(&[bookings(1, 3)]);
    for part in [Part::Frames, Part::Names] {
        let reader = EventStoreReader::new(Doctored::broken(store.reader().unwrap(), part));
        let mut follower = CacheFollower::new(Ledger::default(), reader, 0);
        for _ in 0..2 {
            assert_matches!(
                follower.catch_up(),
                Err(FollowError::Replay(ReplayError::Read { applied_seq: 0, .. }))
            );
        }
        assert_eq!(follower.snapshot().unwrap().high_watermark, 0);
    }
}

#[test]
fn a_failed_snapshot_does_not_stop_following() {
    let (_store, reader) = run_of(&[bookings(1, 3)]);
    let follow = |unable| {
        let mut follower = CacheFollower::new(Ledger::unable(unable), reader.clone(), 0);
        follower.catch_up().unwrap();
        let error = follower.snapshot().unwrap_err();
        assert_eq!(follower.catch_up().unwrap(), 3);
        error
    };
    assert_matches!(follow(Unable::ToBlob), FollowError::ToBlob { seq: 3, .. });
    let error = follow(Unable::Keep);
    let text = "the cache cannot keep its snapshot at entry 3: unable to Keep";
    assert_eq!(error_chain(&error), text);
    assert_matches!(error, FollowError::KeepBlob { seq: 3, .. });
}

/// To go on when the run passes that place would leave out the entries before it.
#[test]
fn a_state_past_the_end_is_refused() {
    for applied_seq in [4, 7, u64::MAX - 1, u64::MAX] {
        let (mut store, reader) = run_of(&[bookings(1, 3)]);
        let mut follower = CacheFollower::new(Ledger::default(), reader, applied_seq);
        let error = follower.catch_up().unwrap_err();
        let text = format!(
            "the cache is said to be at entry {applied_seq}, but the run ended with entry 3; restore a \
             cache from this run and follow from its report's to_seq"
        );
        assert_eq!(error.to_string(), text);
        let tail = store.tail().unwrap();
        store.append(&[FrameMaker::behind(tail).frame(&bookings(4, 9))]).unwrap();
        assert_matches!(
            follower.catch_up(),
            Err(FollowError::Ahead { applied_seq: at, watermark: 3 }) if at == applied_seq
        );
        assert_matches!(follower.snapshot(), Err(FollowError::Ahead { .. }));
        assert_eq!(follower.applied_seq(), applied_seq);
        assert!(follower.into_cache().given.is_empty());
    }
}

#[test]
fn a_state_at_the_end_is_followed() {
    let (mut store, reader) = run_of(&[bookings(1, 3)]);
    let mut follower = CacheFollower::new(Ledger::default(), reader, 3);
    assert_eq!(follower.catch_up().unwrap(), 3);
    let tail = store.tail().unwrap();
    store.append(&[FrameMaker::behind(tail).frame(&bookings(4, 4))]).unwrap();
    assert_eq!(follower.catch_up().unwrap(), 4);
    assert_eq!(follower.into_cache().given, [4]);
}
