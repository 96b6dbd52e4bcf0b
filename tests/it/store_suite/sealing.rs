//! Sealing a run: once, with a final status, and with a manifest that sums it up.

use tapline::store::SealError;
use tapline::{Hash, RunStatus, UnixNanos};

use crate::support::message::messages;
use crate::support::{FrameMaker, Place, assert_matches, manifest};

on_every_backend! {
    the_sealed_manifest_sums_up_the_run
    a_run_without_entries_has_no_end_and_no_root
    a_run_is_not_sealed_as_running
    a_run_is_sealed_once
    a_sealed_run_stays_readable
    without_an_open_run_nothing_is_sealed
}

fn the_sealed_manifest_sums_up_the_run(place: &Place) {
    let mut store = place.open(1);
    FrameMaker::new().append_all(&mut *store, &[messages(1, 3), messages(4, 5)]);
    let tail = store.tail().unwrap();
    let end = UnixNanos::new(1_005);
    let sealed = store.seal(RunStatus::CrashedRecovered, Some(end)).unwrap();

    let mut expected = manifest(1);
    expected.status = RunStatus::CrashedRecovered;
    expected.high_watermark = 5;
    expected.end_ts_init = Some(end);
    expected.frames_root = Some(tail.root);
    assert_eq!(sealed.manifest, expected);

    let reader = store.reader().unwrap();
    assert_eq!(reader.manifest().unwrap(), expected);
    assert_eq!(reader.root().unwrap(), Some(sealed.root));
    assert_eq!(sealed.root, Hash::of(&serde_json::to_vec(&expected).unwrap()));
}

fn a_run_without_entries_has_no_end_and_no_root(place: &Place) {
    let mut store = place.open(1);
    let sealed = store.seal(RunStatus::Ended, Some(UnixNanos::new(5))).unwrap();
    assert_eq!(sealed.manifest.end_ts_init, None);
    assert_eq!(sealed.manifest.high_watermark, 0);
    assert_eq!(sealed.manifest.frames_root, None);
    assert_eq!(store.reader().unwrap().root().unwrap(), Some(sealed.root));
}

fn a_run_is_not_sealed_as_running(place: &Place) {
    let mut store = place.open(1);
    assert_matches!(store.seal(RunStatus::Running, None), Err(SealError::AsRunning));
    // It is still open.
    store.append(&[FrameMaker::new().frame(&messages(1, 1))]).unwrap();
    assert_eq!(store.reader().unwrap().root().unwrap(), None);
}

fn a_run_is_sealed_once(place: &Place) {
    let mut store = place.open(1);
    let sealed = store.seal(RunStatus::Quarantined, None).unwrap();
    for again in [RunStatus::Quarantined, RunStatus::Ended, RunStatus::Running] {
        assert_matches!(
            store.seal(again, None),
            Err(SealError::Sealed { status: RunStatus::Quarantined })
        );
    }
    assert_eq!(store.reader().unwrap().manifest().unwrap(), sealed.manifest);
}

fn a_sealed_run_stays_readable(place: &Place) {
    let mut store = place.open(1);
    let early = store.reader().unwrap();
    FrameMaker::new().append_all(&mut *store, &[messages(1, 3)]);
    store.seal(RunStatus::Ended, None).unwrap();
    for reader in [early, store.reader().unwrap()] {
        assert_eq!(reader.watermark().unwrap(), 3);
        assert_eq!(reader.manifest().unwrap().status, RunStatus::Ended);
    }
    assert_eq!(store.tail().unwrap().watermark, 3);
}

fn without_an_open_run_nothing_is_sealed(place: &Place) {
    assert_matches!(place.backend().seal(RunStatus::Ended, None), Err(SealError::NoOpenRun));
}
