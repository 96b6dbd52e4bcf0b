//! What to replay on top of a snapshot.

use tapline::read::{EventStoreReader, ReadError, ReplayPlan};
use tapline::{ContentHash, SnapshotAnchor};

use crate::support::message::messages;
use crate::support::places::SealedFile;
use crate::support::{FrameMaker, Place, assert_matches, tamper};

fn anchor(high_watermark: u64) -> SnapshotAnchor {
    let blob_ref = "snapshot".to_owned();
    SnapshotAnchor { high_watermark, blob_ref, content_hash: ContentHash::of(b"") }
}

fn plan(entries: u64, anchored: Option<u64>) -> ReplayPlan {
    let mut store = Place::memory().open(1);
    if entries > 0 {
        FrameMaker::new().append_all(&mut *store, &[messages(1, entries)]);
    }
    if let Some(at) = anchored {
        store.record_anchor(&anchor(at)).unwrap();
    }
    EventStoreReader::new(store.reader().unwrap()).replay_plan().unwrap()
}

#[test]
fn without_an_anchor_everything_is_replayed() {
    assert_eq!(plan(5, None), ReplayPlan { from_seq: 1, to_seq: 5 });
}

#[test]
fn with_an_anchor_the_tail_is_replayed() {
    assert_eq!(plan(5, Some(0)), ReplayPlan { from_seq: 1, to_seq: 5 });
    assert_eq!(plan(5, Some(3)), ReplayPlan { from_seq: 4, to_seq: 5 });
}

#[test]
fn nothing_to_replay_is_an_empty_range() {
    assert_eq!(plan(5, Some(5)), ReplayPlan { from_seq: 6, to_seq: 5 });
    assert_eq!(plan(0, None), ReplayPlan { from_seq: 1, to_seq: 0 });
}

#[test]
fn an_anchor_past_the_watermark_is_corruption() {
    let file = SealedFile::record_with(&[messages(1, 5)], |store| {
        store.record_anchor(&anchor(4)).unwrap();
    });
    for at in [6, u64::MAX] {
        let row = serde_json::to_vec(&anchor(at)).unwrap();
        tamper::meta(&file.path, "anchor", &row);
        assert_matches!(
            EventStoreReader::new(file.open()).replay_plan(),
            Err(ReadError::AnchorPastWatermark { anchor, watermark: 5 }) if anchor == at
        );
    }
}

#[test]
fn an_undecodable_anchor_is_an_error() {
    let file = SealedFile::record(&[messages(1, 5)]);
    tamper::meta(&file.path, "anchor", b"{");
    assert_matches!(
        EventStoreReader::new(file.open()).replay_plan(),
        Err(ReadError::Store(tapline::store::ReadFault::Manifest(_)))
    );
}
