//! The snapshot anchor.

use tapline::read::Finding;
use tapline::{ContentHash, SnapshotAnchor};

use super::{batches, findings, verify};
use crate::support::places::SealedFile;
use crate::support::tamper;

fn anchor(high_watermark: u64) -> SnapshotAnchor {
    let blob_ref = "snapshot".to_owned();
    SnapshotAnchor { high_watermark, blob_ref, content_hash: ContentHash::of(b"") }
}

fn row(high_watermark: u64) -> Vec<u8> {
    serde_json::to_vec(&anchor(high_watermark)).unwrap()
}

#[test]
fn an_anchor_within_the_run_is_clean() {
    for at in [0, 5, 9] {
        let file = SealedFile::record_with(&batches(), |store| {
            store.record_anchor(&anchor(at)).unwrap();
        });
        assert_eq!(verify(&file).findings, []);
    }
}

#[test]
fn an_anchor_past_the_watermark_is_found() {
    for at in [10, u64::MAX] {
        let found = findings(|path| tamper::meta(path, "anchor", &row(at)));
        assert_eq!(found, [Finding::AnchorPastWatermark { anchor: at, watermark: 9 }]);
    }
}

#[test]
fn an_anchor_that_cannot_be_decoded_is_found() {
    let valid = row(5);
    for bytes in [&b""[..], b"{}", b"no JSON", &valid[..valid.len() - 1], b"\xff\xff"] {
        let found = findings(|path| tamper::meta(path, "anchor", bytes));
        assert!(matches!(found[..], [Finding::AnchorUnreadable { .. }]), "{found:?}");
    }
}

/// Where the damaged frame ends is unknown.
#[test]
fn an_anchor_in_a_damaged_frame_is_allowed() {
    let file = SealedFile::record_with(&batches(), |store| {
        store.record_anchor(&anchor(8)).unwrap();
    });
    tamper::frame_bytes(&file.path, 7, |bytes| bytes.truncate(10));
    let error = "frame has 10 bytes, but its header asks for 64".to_owned();
    assert_eq!(verify(&file).findings, [Finding::FrameDamaged { first_seq: 7, error }]);
    tamper::meta(&file.path, "anchor", b"no JSON");
    let found = verify(&file).findings;
    assert!(matches!(found[1..], [Finding::AnchorUnreadable { .. }]), "{found:?}");
}
