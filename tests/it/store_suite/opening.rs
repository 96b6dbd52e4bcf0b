//! Opening a run: new, reopened after a crash, or refused.

use tapline::store::{FileError, OpenRunError, RunOpening};
use tapline::{Hash, RunManifest, RunStatus, UnixNanos};

use super::abandoned;
use crate::support::message::messages;
use crate::support::{FrameMaker, Place, assert_matches, manifest, run_id};

on_every_backend! {
    a_new_run_is_created_empty
    the_manifest_is_kept_as_given
    a_new_run_is_never_born_sealed
    a_crashed_predecessor_is_handed_over_as_a_value
    a_recovered_run_goes_on_where_it_ended
    a_recovered_run_knows_its_anchor
    a_second_run_waits_for_the_seal_of_the_first
    one_backend_keeps_many_runs
    a_sealed_run_is_not_reopened
    a_sealed_run_is_not_reopened_on_the_backend_that_sealed_it
    a_run_is_open_only_once_at_a_time
    a_held_reader_does_not_keep_a_run_in_use
    a_refused_opening_leaves_no_run_open
    before_opening_there_is_nothing
}

fn a_new_run_is_created_empty(place: &Place) {
    let mut store = place.backend();
    assert_matches!(store.open_run(manifest(1)), Ok(RunOpening::Created));
    let tail = store.tail().expect("a run is open");
    assert_eq!((tail.watermark, tail.root, tail.names), (0, Hash::from_bytes([0; 32]), 0));

    let reader = store.reader().expect("a run is open");
    assert_eq!(reader.watermark().unwrap(), 0);
    assert_eq!(reader.anchor().unwrap(), None);
    assert_eq!(reader.root().unwrap(), None);
    assert_eq!(reader.frame_at_or_after(0).unwrap(), None);
    assert_eq!(reader.names(0).unwrap(), []);
}

fn the_manifest_is_kept_as_given(place: &Place) {
    let mut given = manifest(1);
    given.parent_run_id = Some(run_id(0));
    given.seed = Some(u64::MAX);
    given.feature_flags = vec!["retention=full".to_owned()];
    given.index_kinds.register("strategy_id").unwrap();
    let mut store = place.backend();
    store.open_run(given.clone()).unwrap();
    assert_eq!(store.reader().unwrap().manifest().unwrap(), given);
}

fn a_new_run_is_never_born_sealed(place: &Place) {
    for (n, status) in
        [(1, RunStatus::Ended), (2, RunStatus::CrashedRecovered), (3, RunStatus::Quarantined)]
    {
        let claims = RunManifest {
            status,
            high_watermark: 7,
            end_ts_init: Some(UnixNanos::new(7)),
            frames_root: Some(Hash::of(b"another run's")),
            ..manifest(n)
        };
        let mut store = place.backend();
        assert_matches!(store.open_run(claims.clone()), Ok(RunOpening::Created));
        assert_eq!(store.reader().unwrap().manifest().unwrap(), manifest(n));
        store.append(&[FrameMaker::new().frame(&messages(1, 2))]).unwrap();
        drop(store);

        // Nor does the claim of who opens it again change what was found.
        let mut store = place.backend();
        let found = store.open_run(claims).unwrap();
        assert_eq!(found, RunOpening::CrashedPredecessor(Box::new(manifest(n))));
        let sealed = store.seal(RunStatus::Ended, None).unwrap().manifest;
        assert_eq!((sealed.status, sealed.high_watermark), (RunStatus::Ended, 2));
    }
}

fn a_crashed_predecessor_is_handed_over_as_a_value(place: &Place) {
    let config_hash = "the configuration of the run that crashed".to_owned();
    let left_behind = RunManifest { config_hash, ..manifest(1) };
    place.backend().open_run(left_behind.clone()).unwrap();

    let mut store = place.backend();
    let found = store.open_run(manifest(1)).unwrap();
    assert_eq!(found, RunOpening::CrashedPredecessor(Box::new(left_behind.clone())));
    assert_eq!(store.reader().unwrap().manifest().unwrap(), left_behind);
}

fn a_recovered_run_goes_on_where_it_ended(place: &Place) {
    let mut maker = FrameMaker::new();
    let mut store = place.open(1);
    maker.append_all(&mut *store, &[messages(1, 3), messages(4, 4)]);
    let before = store.tail();
    drop(store);

    let mut store = place.open(1);
    assert_eq!(store.tail(), before);
    assert_eq!(before.unwrap().names, 2);
    store.append(&[maker.frame(&messages(5, 6))]).unwrap();
    assert_eq!(store.tail().unwrap().watermark, 6);
    let sealed = store.seal(RunStatus::CrashedRecovered, Some(UnixNanos::new(1_006))).unwrap();
    assert_eq!(sealed.manifest.high_watermark, 6);
}

fn a_recovered_run_knows_its_anchor(place: &Place) {
    abandoned(place);
    let anchor = super::anchors::anchor(5);
    let mut store = place.open(1);
    store.record_anchor(&anchor).unwrap();
    drop(store);

    let mut store = place.open(1);
    assert_eq!(store.reader().unwrap().anchor().unwrap(), Some(anchor));
    assert!(store.record_anchor(&super::anchors::anchor(4)).is_err());
}

fn a_second_run_waits_for_the_seal_of_the_first(place: &Place) {
    let mut store = place.open(1);
    for again in [1, 2] {
        assert_matches!(
            store.open_run(manifest(again)),
            Err(OpenRunError::RunOpen { open }) if open == run_id(1)
        );
    }
    store.seal(RunStatus::Ended, None).unwrap();
    assert_matches!(store.open_run(manifest(2)), Ok(RunOpening::Created));
    assert_eq!(store.reader().unwrap().manifest().unwrap().run_id, run_id(2));
}

fn one_backend_keeps_many_runs(place: &Place) {
    let mut first = place.open(1);
    let mut second = place.open(2);
    first.append(&[FrameMaker::new().frame(&messages(1, 2))]).unwrap();
    second.append(&[FrameMaker::new().frame(&messages(1, 5))]).unwrap();
    assert_eq!(first.tail().unwrap().watermark, 2);
    assert_eq!(second.tail().unwrap().watermark, 5);
}

fn a_sealed_run_is_not_reopened(place: &Place) {
    for (n, status) in
        [(1, RunStatus::Ended), (2, RunStatus::CrashedRecovered), (3, RunStatus::Quarantined)]
    {
        place.open(n).seal(status, None).unwrap();
        assert_matches!(
            place.backend().open_run(manifest(n)),
            Err(OpenRunError::Sealed { run_id: id, status: found })
                if id == run_id(n) && found == status
        );
    }
}

fn a_sealed_run_is_not_reopened_on_the_backend_that_sealed_it(place: &Place) {
    let mut store = place.open(1);
    let reader = store.reader().unwrap();
    store.seal(RunStatus::Ended, None).unwrap();
    for _ in 0..2 {
        assert_matches!(
            store.open_run(manifest(1)),
            Err(OpenRunError::Sealed { status: RunStatus::Ended, .. })
        );
    }
    assert_eq!(reader.manifest().unwrap().status, RunStatus::Ended);
}

fn a_run_is_open_only_once_at_a_time(place: &Place) {
    let first = place.open(1);
    assert_matches!(
        place.backend().open_run(manifest(1)),
        Err(OpenRunError::File(FileError::InUse { .. }))
    );
    assert_matches!(
        place.backend().open_run(manifest(1)),
        Err(OpenRunError::File(FileError::InUse { .. }))
    );
    drop(first);
    assert_matches!(place.backend().open_run(manifest(1)), Ok(RunOpening::CrashedPredecessor(_)));
}

/// Like a follower that outlives its node.
fn a_held_reader_does_not_keep_a_run_in_use(place: &Place) {
    abandoned(place);
    let mut store = place.open(1);
    let before_seal = store.reader().unwrap();
    store.seal(RunStatus::CrashedRecovered, None).unwrap();
    let after_seal = store.reader().unwrap();
    drop(store);
    assert_matches!(
        place.backend().open_run(manifest(1)),
        Err(OpenRunError::Sealed { status: RunStatus::CrashedRecovered, .. })
    );
    for reader in [before_seal, after_seal] {
        assert_eq!(reader.watermark().unwrap(), 9);
        assert_eq!(reader.manifest().unwrap().status, RunStatus::CrashedRecovered);
    }
}

fn a_refused_opening_leaves_no_run_open(place: &Place) {
    place.open(1).seal(RunStatus::Ended, None).unwrap();
    let mut store = place.backend();
    store.open_run(manifest(1)).unwrap_err();
    assert!(store.tail().is_none() && store.reader().is_none());
    assert_matches!(store.open_run(manifest(2)), Ok(RunOpening::Created));
}

fn before_opening_there_is_nothing(place: &Place) {
    let store = place.backend();
    assert!(store.tail().is_none() && store.reader().is_none());
}
