//! Every change of a sidecar is found.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use redb::{ReadableTable, TableHandle};
use tapline::internals::format::MarkerCodec;
use tapline::markers::{
    MarkerBackend, MarkerFinding, MarkerSource, MarkerStoreError, MarkerVerifier,
    RedbMarkerBackend, open_sealed_markers,
};
use tapline::{DataMarkerClass, Marker, MarkerManifest, RunStatus, StreamDictEntry};

use super::backends::batch;
use crate::support::marker::{cursor, gap, hifi, manifest, stream};
use crate::support::run_id;
use crate::support::tamper::{self, MARKER_BLOCKS, META, STREAMS};

/// The markers of a sound sidecar, beside a run of 9 entries.
fn sound() -> Vec<Marker> {
    vec![
        cursor(1, 0, 0, 1),
        hifi(2, 1, 1),
        cursor(3, 1, 0, 4),
        gap(4, 6),
        cursor(7, 5, 1, 2),
        cursor(8, 9, 0, 6),
    ]
}

/// A sealed sidecar of two streams and `blocks`.
fn sealed(folder: &Path, blocks: &[Vec<Marker>]) -> PathBuf {
    let path = folder.join("run.markers.redb");
    let mut backend = RedbMarkerBackend::new(&path);
    backend.open(manifest()).unwrap();
    backend.append(&batch(&[0, 1], vec![])).unwrap();
    for block in blocks {
        backend.append(&batch(&[], block.clone())).unwrap();
    }
    backend.seal(RunStatus::Ended).unwrap();
    path
}

fn findings(path: &Path) -> Vec<MarkerFinding> {
    let verifier = MarkerVerifier::new(open_sealed_markers(path).unwrap());
    verifier.beside(run_id(1), 9).run().findings
}

/// The findings for a sidecar whose rows were edited through stock redb.
fn found(edit: impl FnOnce(&redb::WriteTransaction)) -> Vec<MarkerFinding> {
    let folder = tempfile::tempdir().unwrap();
    let path = sealed(folder.path(), &[sound()]);
    assert_eq!(findings(&path), []);
    tamper::edit(&path, edit);
    findings(&path)
}

/// The findings after its one block was replaced.
fn found_with_block(change: impl FnOnce(&mut Vec<u8>)) -> Vec<MarkerFinding> {
    found(|transaction| tamper::marker_block(transaction, 1, change))
}

/// The findings when other markers, with sound hashes, replace the sound ones.
fn found_with(change: impl FnOnce(&mut Vec<Marker>)) -> Vec<MarkerFinding> {
    found_with_block(|block| {
        let mut markers = sound();
        change(&mut markers);
        *block = MarkerCodec::default().encode_block(&markers);
    })
}

#[test]
fn a_changed_byte() {
    // A byte of the first marker's time.
    let found = found_with_block(|block| block[20] ^= 1);
    assert_eq!(found, [MarkerFinding::MarkerHashMismatch { marker_seq: 1 }]);
}

#[test]
fn a_marker_taken_for_one_of_another_kind() {
    // The tag of the first record. It is not hashed itself: it chooses the key of the hash.
    let found = found_with_block(|block| block[0] = 2);
    assert!(!found.is_empty(), "{found:?}");
}

#[test]
fn a_block_cut_short() {
    let found = found_with_block(|block| block.truncate(block.len() - 1));
    let error = "a record is cut short".to_owned();
    let count = MarkerFinding::CountMismatch { what: "snapshots", manifest: 4, found: 3 };
    assert_eq!(found, [MarkerFinding::BlockDamaged { first: 1, error }, count]);
}

#[test]
fn a_marker_removed() {
    let found = found_with(|markers| drop(markers.remove(2)));
    let count = MarkerFinding::CountMismatch { what: "snapshots", manifest: 4, found: 3 };
    assert_eq!(found, [MarkerFinding::MarkersMissing { from: 3, to: 3 }, count]);
}

#[test]
fn a_marker_added() {
    let found = found_with(|markers| markers.push(hifi(9, 9, 0)));
    let what = "high-fidelity markers";
    assert_eq!(found, [MarkerFinding::CountMismatch { what, manifest: 1, found: 2 }]);
}

#[test]
fn a_gap_over_markers_that_are_there() {
    let found = found_with(|markers| markers[3] = gap(4, 7));
    assert_eq!(found, [MarkerFinding::MarkerOverlap { marker_seq: 7, behind: 7 }]);
}

#[test]
fn a_gap_that_is_too_short() {
    let found = found_with(|markers| markers[3] = gap(4, 5));
    assert_eq!(found, [MarkerFinding::MarkersMissing { from: 6, to: 6 }]);
}

#[test]
fn a_marker_moved_to_an_earlier_entry() {
    let found = found_with(|markers| markers[4] = cursor(7, 0, 1, 2));
    assert_eq!(
        found,
        [MarkerFinding::EventSeqRegressed { marker_seq: 7, event_seq_before: 0, behind: 1 }]
    );
}

#[test]
fn a_marker_behind_the_end_of_the_run() {
    let found = found_with(|markers| markers[5] = cursor(8, 10, 0, 6));
    assert_eq!(
        found,
        [MarkerFinding::PastWatermark { marker_seq: 8, event_seq_before: 10, watermark: 9 }]
    );
}

#[test]
fn a_count_that_falls() {
    let found = found_with(|markers| markers[5] = cursor(8, 9, 0, 3));
    // `cursor` derives the time from the count.
    assert_eq!(
        found,
        [
            MarkerFinding::CountRegressed { marker_seq: 8, slot: 0, count: 3, before: 4 },
            MarkerFinding::TimeRegressed { marker_seq: 8, slot: Some(0) },
        ]
    );
}

#[test]
fn a_time_that_falls() {
    let found = found_with(|markers| {
        if let Marker::Cursor(snapshot) = &mut markers[5] {
            snapshot.ts_init = 1.into();
        }
    });
    assert_eq!(found, [MarkerFinding::TimeRegressed { marker_seq: 8, slot: None }]);
}

#[test]
fn an_unknown_stream() {
    let found = found_with(|markers| markers[1] = hifi(2, 1, 2));
    assert_eq!(found, [MarkerFinding::UnknownStream { marker_seq: 2, slot: 2 }]);
}

#[test]
fn a_block_moved() {
    let found = found(|transaction| {
        let mut table = transaction.open_table(MARKER_BLOCKS).unwrap();
        let block = table.remove(1).unwrap().unwrap().value().to_vec();
        table.insert(77, block.as_slice()).unwrap();
    });
    assert_eq!(found, [MarkerFinding::BlockMismatch { stored_as: 77, says: 1 }]);
}

#[test]
fn a_block_removed() {
    let found = found(|transaction| {
        transaction.open_table(MARKER_BLOCKS).unwrap().remove(1).unwrap().unwrap();
    });
    let counts = [("snapshots", 4), ("high-fidelity markers", 1), ("gaps", 1)];
    let count = |(what, manifest)| MarkerFinding::CountMismatch { what, manifest, found: 0 };
    assert_eq!(found, counts.map(count));
}

fn found_with_stream(slot: u32, row: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Vec<MarkerFinding> {
    found(|transaction| {
        let mut table = transaction.open_table(STREAMS).unwrap();
        let before = table.get(slot).unwrap().unwrap().value().to_vec();
        table.insert(slot, row(before).as_slice()).unwrap();
    })
}

#[test]
fn a_stream_renamed() {
    let found = found_with_stream(1, |mut row| {
        row[6] ^= 1;
        row
    });
    assert_eq!(found, [MarkerFinding::StreamHashMismatch { slot: 1 }]);
}

#[test]
fn a_stream_in_the_place_of_another() {
    let found = found_with_stream(1, |_| MarkerCodec::default().encode_stream(&stream(0)));
    let error = "it says that it is stream 0".to_owned();
    assert_eq!(found, [MarkerFinding::StreamDamaged { slot: 1, error }]);
}

#[test]
fn a_stream_that_is_none() {
    let found = found_with_stream(1, |_| vec![0; 3]);
    let error = "a record is cut short".to_owned();
    assert_eq!(found, [MarkerFinding::StreamDamaged { slot: 1, error }]);
}

#[test]
fn two_slots_for_one_stream() {
    let twin = StreamDictEntry { slot: 1, ..stream(0) };
    let found = found_with_stream(1, |_| MarkerCodec::default().encode_stream(&twin));
    let (data_cls, identifier) = (DataMarkerClass::Quote, stream(0).identifier);
    assert_eq!(found, [MarkerFinding::StreamTwice { slot: 1, data_cls, identifier }]);
}

#[test]
fn a_stream_removed() {
    let found = found(|transaction| {
        transaction.open_table(STREAMS).unwrap().remove(1).unwrap().unwrap();
    });
    assert_eq!(
        found,
        [
            MarkerFinding::UnknownStream { marker_seq: 2, slot: 1 },
            MarkerFinding::UnknownStream { marker_seq: 7, slot: 1 },
            MarkerFinding::CountMismatch { what: "streams", manifest: 2, found: 1 },
        ]
    );
}

#[test]
fn the_sidecar_of_another_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = sealed(folder.path(), &[sound()]);
    let verifier = MarkerVerifier::new(open_sealed_markers(&path).unwrap());
    let (expected, found) = (run_id(2), run_id(1));
    let report = verifier.beside(expected, 9).run();
    assert_eq!(report.findings, [MarkerFinding::WrongRun { expected, found }]);
}

/// The findings when the manifest says something else.
fn found_with_manifest(change: impl FnOnce(&mut MarkerManifest)) -> Vec<MarkerFinding> {
    found(|transaction| {
        let mut table = transaction.open_table(META).unwrap();
        let row = table.get("manifest").unwrap().unwrap().value().to_vec();
        let mut manifest: MarkerManifest = serde_json::from_slice(&row).unwrap();
        change(&mut manifest);
        let row = serde_json::to_vec(&manifest).unwrap();
        table.insert("manifest", row.as_slice()).unwrap();
    })
}

#[test]
fn a_manifest_that_counts_otherwise() {
    let found = found_with_manifest(|manifest| manifest.counts.gaps = 7);
    assert_eq!(found, [MarkerFinding::CountMismatch { what: "gaps", manifest: 7, found: 1 }]);
}

#[test]
fn a_manifest_without_a_class_that_was_marked() {
    let data_cls = DataMarkerClass::Quote;
    let found = found_with_manifest(|manifest| {
        manifest.enabled_classes.retain(|class| *class != data_cls);
    });
    let not_enabled = |slot| MarkerFinding::ClassNotEnabled { slot, data_cls };
    assert_eq!(found, [not_enabled(0), not_enabled(1)]);
}

#[test]
fn an_unlisted_high_fidelity_instrument() {
    let found = found_with_manifest(|manifest| manifest.high_fidelity.clear());
    let identifier = stream(1).identifier;
    assert_eq!(found, [MarkerFinding::NotHighFidelity { slot: 1, identifier }]);
}

#[test]
fn a_table_removed() {
    let unreadable = |what, table: &str| {
        let error = format!("Table '{table}' does not exist");
        MarkerFinding::MarkersUnreadable { what, error }
    };
    let without_streams = found(|transaction| {
        assert!(transaction.delete_table(STREAMS).unwrap());
    });
    let unknown = |marker_seq, slot| MarkerFinding::UnknownStream { marker_seq, slot };
    assert_eq!(
        without_streams,
        [
            unreadable("the dictionary", STREAMS.name()),
            unknown(1, 0),
            unknown(2, 1),
            unknown(3, 0),
            unknown(7, 1),
            unknown(8, 0),
            MarkerFinding::CountMismatch { what: "streams", manifest: 2, found: 0 },
        ]
    );
    let without_markers = found(|transaction| {
        assert!(transaction.delete_table(MARKER_BLOCKS).unwrap());
    });
    assert_eq!(without_markers[0], unreadable("the markers", MARKER_BLOCKS.name()));
    let uncounted = without_markers[1..].iter();
    assert_eq!(uncounted.filter(|it| matches!(it, MarkerFinding::CountMismatch { .. })).count(), 3);
}

/// A source whose manifest has disappeared when it is read.
struct WithoutManifest(Arc<dyn MarkerSource>);

impl MarkerSource for WithoutManifest {
    fn manifest(&self) -> Result<MarkerManifest, MarkerStoreError> {
        Err(MarkerStoreError::Missing { what: "manifest" })
    }

    fn streams(&self) -> Result<Vec<(u32, Bytes)>, MarkerStoreError> {
        self.0.streams()
    }

    fn block_at_or_after(&self, from: u64) -> Result<Option<(u64, Bytes)>, MarkerStoreError> {
        self.0.block_at_or_after(from)
    }
}

#[test]
fn a_manifest_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = sealed(folder.path(), &[sound()]);
    let source = Arc::new(WithoutManifest(open_sealed_markers(&path).unwrap()));
    let report = MarkerVerifier::new(source).run();
    let error = "the sidecar has no manifest".to_owned();
    assert_eq!(report.findings, [MarkerFinding::MarkersUnreadable { what: "the manifest", error }]);
    // Without one, the file does not count as a sealed sidecar at all.
    tamper::edit(&path, |transaction| {
        transaction.open_table(META).unwrap().remove("manifest").unwrap().unwrap();
    });
    let refused = open_sealed_markers(&path).err().expect("it has no manifest");
    assert_eq!(refused.to_string(), "the sidecar has no manifest");
}
