//! A sealed run that has lost its last frame is not joined as if it were whole.

use tapline::read::{EventStoreReader, ReadError};
use tapline::store::{DiskMode, open_sealed_file, run_path};
use tapline::{RunStatus, UnixNanos};
use tapline_catalog::{EmptyCatalog, JoinError, ReplayInputs};

use crate::support::ledger::bookings;
use crate::support::{FrameMaker, Place, assert_matches, instance, run_id, tamper};

#[test]
fn a_joined_replay_ends_with_what_is_missing() {
    let place = Place::disk(DiskMode::Buffered);
    let mut store = place.open(1);
    let batches = [bookings(1, 3), bookings(4, 6), bookings(7, 9)];
    FrameMaker::new().append_all(&mut *store, &batches);
    store.seal(RunStatus::CrashedRecovered, Some(UnixNanos::new(9))).unwrap();
    drop(store);
    let path = run_path(place.folder(), &instance(), run_id(1));
    tamper::remove_frame(&path, 7);
    let planned = ReplayInputs::entries(5, u64::MAX).plan(&EmptyCatalog).unwrap();
    let reader = EventStoreReader::new(open_sealed_file(&path).unwrap());
    let items: Vec<_> = planned.replay(&reader, &EmptyCatalog).take(10).collect();
    assert_eq!(items.len(), 3);
    assert!(items[..2].iter().all(Result::is_ok));
    assert_matches!(&items[2], Err(JoinError::Read(ReadError::Gap { from: 7, to: 9 })));
}
