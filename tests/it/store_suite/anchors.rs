//! Recording a snapshot anchor: only forward, and only for durable entries.

use tapline::internals::run_path;
use tapline::store::{AnchorError, DiskMode, EventStore, RedbBackend, open_sealed_file};
use tapline::{ContentHash, Hash, RunStatus, SnapshotAnchor};

use super::abandoned;
use crate::support::{Place, assert_matches, instance, run_id, tamper};

on_every_backend! {
    an_anchor_replaces_the_one_before
    an_anchor_at_the_same_seq_replaces_the_one_before
    an_anchor_may_be_at_zero
    an_anchor_past_the_watermark_is_refused
    an_anchor_does_not_move_back
    an_anchor_that_is_no_name_but_a_snapshot_is_refused
    a_sealed_run_keeps_its_anchor
    the_anchor_is_part_of_the_run_s_root
    without_an_open_run_no_anchor_is_recorded
}

/// An anchor at `high_watermark`.
pub(super) fn anchor(high_watermark: u64) -> SnapshotAnchor {
    let blob_ref = format!("snapshots/{high_watermark}");
    let content_hash = ContentHash::of(blob_ref.as_bytes());
    SnapshotAnchor { high_watermark, blob_ref, content_hash }
}

fn an_anchor_replaces_the_one_before(place: &Place) {
    abandoned(place);
    let mut store = place.open(1);
    let reader = store.reader().unwrap();
    assert_eq!(reader.anchor().unwrap(), None);
    for at in [3, 4, 9] {
        store.record_anchor(&anchor(at)).unwrap();
        assert_eq!(reader.anchor().unwrap(), Some(anchor(at)));
    }
}

fn an_anchor_at_the_same_seq_replaces_the_one_before(place: &Place) {
    abandoned(place);
    let mut store = place.open(1);
    store.record_anchor(&anchor(4)).unwrap();
    let again = SnapshotAnchor { blob_ref: "elsewhere".to_owned(), ..anchor(4) };
    store.record_anchor(&again).unwrap();
    assert_eq!(store.reader().unwrap().anchor().unwrap(), Some(again));
}

fn an_anchor_may_be_at_zero(place: &Place) {
    let mut store = place.open(1);
    store.record_anchor(&anchor(0)).unwrap();
    assert_eq!(store.reader().unwrap().anchor().unwrap(), Some(anchor(0)));
}

fn an_anchor_past_the_watermark_is_refused(place: &Place) {
    abandoned(place);
    let mut store = place.open(1);
    store.record_anchor(&anchor(2)).unwrap();
    for at in [10, u64::MAX] {
        assert_matches!(
            store.record_anchor(&anchor(at)),
            Err(AnchorError::PastWatermark { anchor, watermark: 9 }) if anchor == at
        );
    }
    assert_eq!(store.reader().unwrap().anchor().unwrap(), Some(anchor(2)));
}

fn an_anchor_does_not_move_back(place: &Place) {
    abandoned(place);
    let mut store = place.open(1);
    store.record_anchor(&anchor(6)).unwrap();
    for at in [0, 5] {
        assert_matches!(
            store.record_anchor(&anchor(at)),
            Err(AnchorError::MovedBack { anchor, recorded: 6 }) if anchor == at
        );
    }
    assert_eq!(store.reader().unwrap().anchor().unwrap(), Some(anchor(6)));
}

fn an_anchor_that_is_no_name_but_a_snapshot_is_refused(place: &Place) {
    abandoned(place);
    let mut store = place.open(1);
    // Each byte of it is stored as six.
    let long = |bytes| SnapshotAnchor { blob_ref: "\u{1}".repeat(bytes), ..anchor(4) };
    store.record_anchor(&long(65_536)).unwrap();
    for bytes in [65_537, 65 << 20] {
        let refused = store.record_anchor(&long(bytes)).unwrap_err();
        assert_matches!(
            &refused,
            AnchorError::BlobRefLength { bytes: found, max: 65_536 } if *found == bytes
        );
    }
    assert_eq!(store.reader().unwrap().anchor().unwrap(), Some(long(65_536)));
    // And the run goes on.
    store.record_anchor(&anchor(5)).unwrap();
}

fn a_sealed_run_keeps_its_anchor(place: &Place) {
    abandoned(place);
    let mut store = place.open(1);
    store.record_anchor(&anchor(6)).unwrap();
    store.seal(RunStatus::Ended, None).unwrap();
    // The error is that the run is closed, even for an anchor that would not be allowed anyway.
    for at in [1, 7, 1_000] {
        assert_matches!(store.record_anchor(&anchor(at)), Err(AnchorError::Closed));
    }
    assert_eq!(store.reader().unwrap().anchor().unwrap(), Some(anchor(6)));
}

fn the_anchor_is_part_of_the_run_s_root(place: &Place) {
    abandoned(place);
    let mut store = place.open(1);
    store.record_anchor(&anchor(6)).unwrap();
    let sealed = store.seal(RunStatus::Ended, None).unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(reader.root().unwrap(), Some(sealed.root));

    let mut covered = serde_json::to_vec(&sealed.manifest).unwrap();
    covered.extend(serde_json::to_vec(&anchor(6)).unwrap());
    assert_eq!(sealed.root, Hash::of(&covered));
}

fn without_an_open_run_no_anchor_is_recorded(place: &Place) {
    assert_matches!(place.backend().record_anchor(&anchor(0)), Err(AnchorError::NoOpenRun));
}

/// It may contain fields that this program does not know or cannot read.
#[test]
fn a_reopened_run_roots_its_stored_anchor() {
    let hash = ContentHash::of(b"");
    let known = format!(r#""high_watermark":4,"blob_ref":"b","content_hash":"{hash}""#);
    let of_a_later_version = format!(r#"{{{known},"taken_by":"node-1"}}"#);
    for (row, status) in
        [(&*of_a_later_version, RunStatus::Ended), ("no anchor", RunStatus::Quarantined)]
    {
        let place = Place::disk(DiskMode::Buffered);
        abandoned(&place);
        let path = run_path(place.folder(), &instance(), run_id(1));
        tamper::meta(&path, "anchor", row.as_bytes());
        let mut store = RedbBackend::with_disk_mode(place.folder(), DiskMode::Buffered);
        store.reopen(&instance(), run_id(1)).unwrap();
        let sealed = store.seal(status, None).unwrap();
        drop(store);
        let stored = open_sealed_file(&path).unwrap().root().unwrap();
        assert_eq!(stored, Some(sealed.root), "{row}");
    }
}
