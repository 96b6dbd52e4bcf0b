//! The behaviour of a sidecar's backend, whatever it is made of.

use std::sync::Arc;

use tapline::internals::MemoryMarkerBackend;
use tapline::internals::format::MarkerCodec;
use tapline::markers::{
    MarkerBackend, MarkerBatch, MarkerReader, MarkerStoreError, MarkerVerifier, RedbMarkerBackend,
    open_sealed_markers,
};
use tapline::store::FileError;
use tapline::{Marker, MarkerCounts, MarkerManifest, RunStatus, StreamDictEntry};

use crate::support::files::assert_unchanged;
use crate::support::marker::{cursor, gap, hifi, manifest, stream};
use crate::support::{assert_matches, run_id};

/// A backend, and the folder it may need.
struct Place {
    folder: tempfile::TempDir,
    in_memory: bool,
}

impl Place {
    fn backend(&self) -> Box<dyn MarkerBackend> {
        if self.in_memory {
            Box::new(MemoryMarkerBackend::new())
        } else {
            Box::new(RedbMarkerBackend::new(self.folder.path().join("run.markers.redb")))
        }
    }

    fn opened(&self) -> Box<dyn MarkerBackend> {
        let mut backend = self.backend();
        backend.open(manifest()).unwrap();
        backend
    }
}

macro_rules! on_both_backends {
    ($($behaviour:ident)*) => {
        mod memory {
            $(#[test] fn $behaviour() {
                let folder = tempfile::tempdir().unwrap();
                super::$behaviour(&super::Place { folder, in_memory: true });
            })*
        }
        mod redb {
            $(#[test] fn $behaviour() {
                let folder = tempfile::tempdir().unwrap();
                super::$behaviour(&super::Place { folder, in_memory: false });
            })*
        }
    };
}

on_both_backends! {
    a_sidecar_begins_running_and_empty
    batches_are_scanned_in_the_order_of_their_markers
    batches_that_are_out_of_order_are_refused
    counts_are_right_while_it_is_open
    a_slot_of_the_dictionary_is_written_once
    a_slot_is_named_once_in_a_batch
    the_last_marker_there_can_be_is_read
    a_sealed_sidecar_takes_nothing_more
    nothing_is_appended_before_it_is_open
}

pub(super) fn batch(streams: &[u32], markers: Vec<Marker>) -> MarkerBatch {
    MarkerBatch { streams: streams.iter().map(|slot| stream(*slot)).collect(), markers }
}

fn scanned(backend: &dyn MarkerBackend) -> Vec<Marker> {
    let reader = MarkerReader::new(backend.source().expect("it is open"));
    let codec = MarkerCodec::default();
    let scan = reader.scan().map(|stored| {
        let stored = stored.unwrap();
        assert!(stored.is_intact);
        // The stored hash is the one that a new encoding of the marker gets.
        let block = codec.encode_block(std::slice::from_ref(&stored.marker));
        assert_eq!(block[block.len() - 32..], *stored.hash.as_bytes());
        stored.marker
    });
    scan.collect()
}

fn a_sidecar_begins_running_and_empty(place: &Place) {
    let counts = MarkerCounts { snapshots: 7, hifi: 7, gaps: 7, dict: 7 };
    let mut backend = place.backend();
    assert!(backend.source().is_none());
    let claims = MarkerManifest { counts, status: RunStatus::Ended, ..manifest() };
    backend.open(claims).unwrap();
    let source = backend.source().unwrap();
    assert_eq!(source.manifest().unwrap(), manifest());
    assert_eq!((source.streams().unwrap(), source.block_at_or_after(0).unwrap()), (vec![], None));
    assert_matches!(
        backend.open(manifest()),
        Err(MarkerStoreError::File(FileError::Exists { .. }))
    );
}

fn batches_are_scanned_in_the_order_of_their_markers(place: &Place) {
    let mut backend = place.opened();
    let all = [
        cursor(1, 0, 0, 1),
        hifi(2, 1, 0),
        gap(3, 5),
        cursor(6, 1, 1, 9),
        gap(7, 7),
        cursor(8, 2, 0, 2),
    ];
    backend.append(&batch(&[1], all[5..].to_vec())).unwrap();
    backend.append(&batch(&[], all[..2].to_vec())).unwrap();
    backend.append(&batch(&[0], all[2..5].to_vec())).unwrap();
    backend.append(&batch(&[2], vec![])).unwrap();
    assert_eq!(scanned(&*backend), all);
    let reader = MarkerReader::new(backend.source().unwrap());
    assert_eq!(reader.streams().unwrap(), [stream(0), stream(1), stream(2)]);

    let sealed = backend.seal(RunStatus::Ended).unwrap();
    let counts = MarkerCounts { snapshots: 3, hifi: 1, gaps: 2, dict: 3 };
    assert_eq!(sealed, MarkerManifest { counts, status: RunStatus::Ended, ..manifest() });
    assert_eq!(reader.manifest().unwrap(), sealed);
    let fold = reader.fold_before(2).unwrap();
    let counts: Vec<_> = fold.cursors.values().map(|cursor| (cursor.slot, cursor.count)).collect();
    assert_eq!((counts, fold.missing), (vec![(0, 1), (1, 9)], 4), "all that was seen behind 1");
    assert_eq!(reader.fold_before(3).unwrap().cursors[&0].count, 2);
    assert_eq!(reader.fold_before(1).unwrap().cursors.len(), 1);
    assert_eq!(reader.fold_before(0).unwrap().cursors.len(), 0);
    let report = MarkerVerifier::new(backend.source().unwrap()).beside(run_id(1), 2).run();
    assert_eq!(report.findings, []);
}

fn batches_that_are_out_of_order_are_refused(place: &Place) {
    let mut backend = place.opened();
    backend.append(&batch(&[0], vec![cursor(5, 1, 0, 1), gap(6, 9)])).unwrap();
    let refused = [
        vec![cursor(5, 1, 0, 2)],
        vec![cursor(9, 1, 0, 2)],
        vec![gap(3, 5)],
        vec![cursor(4, 1, 0, 2), cursor(10, 1, 0, 3)],
        vec![cursor(11, 1, 0, 2), cursor(11, 1, 0, 3)],
        vec![cursor(12, 1, 0, 2), cursor(11, 1, 0, 3)],
        vec![gap(14, 13)],
        vec![cursor(0, 1, 0, 2)],
    ];
    for markers in refused {
        let refusal = backend.append(&batch(&[], markers));
        assert_matches!(refusal, Err(MarkerStoreError::OutOfOrder { .. }));
    }
    backend.append(&batch(&[], vec![cursor(4, 1, 0, 1)])).unwrap();
    backend.append(&batch(&[], vec![cursor(10, 1, 0, 2)])).unwrap();
    assert_eq!(scanned(&*backend).len(), 4, "nothing of what was refused");
    assert_eq!(backend.seal(RunStatus::Ended).unwrap().counts.snapshots, 3);
}

fn counts_are_right_while_it_is_open(place: &Place) {
    let mut backend = place.opened();
    let source = backend.source().unwrap();
    let counts = || source.manifest().unwrap().counts;
    backend.append(&batch(&[0, 1], vec![cursor(1, 0, 0, 1), hifi(2, 1, 0)])).unwrap();
    let first = MarkerCounts { snapshots: 1, hifi: 1, gaps: 0, dict: 2 };
    assert_eq!(counts(), first);
    backend.append(&batch(&[0], vec![gap(3, 4)])).unwrap_err();
    assert_eq!(counts(), first, "nothing of what was refused");
    backend.append(&batch(&[2], vec![gap(3, 4), cursor(5, 1, 2, 1)])).unwrap();
    let both = MarkerCounts { snapshots: 2, hifi: 1, gaps: 1, dict: 3 };
    assert_eq!(counts(), both);
    assert_eq!(source.manifest().unwrap().status, RunStatus::Running);
    assert_eq!(backend.seal(RunStatus::Ended).unwrap().counts, both);
}

fn a_slot_of_the_dictionary_is_written_once(place: &Place) {
    let mut backend = place.opened();
    backend.append(&batch(&[0], vec![])).unwrap();
    let again = StreamDictEntry { identifier: "another".to_owned(), ..stream(0) };
    let refusal = backend.append(&MarkerBatch { streams: vec![again], markers: vec![] });
    assert_matches!(refusal, Err(MarkerStoreError::StreamWritten { slot: 0 }));
    let reader = MarkerReader::new(backend.source().unwrap());
    assert_eq!(reader.streams().unwrap(), [stream(0)]);
}

fn a_slot_is_named_once_in_a_batch(place: &Place) {
    let mut backend = place.opened();
    let another = StreamDictEntry { identifier: "another".to_owned(), ..stream(1) };
    let streams = vec![stream(0), stream(1), another];
    let refusal = backend.append(&MarkerBatch { streams, markers: vec![cursor(1, 0, 0, 1)] });
    assert_matches!(refusal, Err(MarkerStoreError::StreamWritten { slot: 1 }));
    assert_eq!(scanned(&*backend), [], "nothing of the batch");
    assert_eq!(backend.source().unwrap().streams().unwrap(), []);
    backend.append(&batch(&[0, 1], vec![cursor(1, 0, 0, 1)])).unwrap();
    assert_eq!(backend.seal(RunStatus::Ended).unwrap().counts.dict, 2);
}

fn the_last_marker_there_can_be_is_read(place: &Place) {
    let mut backend = place.opened();
    let all = [cursor(1, 0, 0, 1), gap(2, u64::MAX - 1), gap(u64::MAX, u64::MAX)];
    backend.append(&batch(&[], all[2..].to_vec())).unwrap();
    backend.append(&batch(&[0], all[..2].to_vec())).unwrap();
    assert_eq!(scanned(&*backend), all);
    let reader = MarkerReader::new(backend.source().unwrap());
    assert_eq!(reader.fold_before(1).unwrap().missing, u64::MAX - 1);
    let sealed = backend.seal(RunStatus::Ended).unwrap();
    let report = MarkerVerifier::new(backend.source().unwrap()).beside(run_id(1), 1).run();
    assert_eq!((report.counts, report.last_marker_seq), (sealed.counts, u64::MAX));
    assert_eq!(report.findings, []);
}

fn a_sealed_sidecar_takes_nothing_more(place: &Place) {
    let mut backend = place.opened();
    assert_matches!(backend.seal(RunStatus::Running), Err(MarkerStoreError::AsRunning));
    backend.seal(RunStatus::CrashedRecovered).unwrap();
    let status = RunStatus::CrashedRecovered;
    let refusal = backend.append(&batch(&[0], vec![]));
    assert_matches!(refusal, Err(MarkerStoreError::Sealed { status: found }) if found == status);
    let refusal = backend.seal(RunStatus::Ended);
    assert_matches!(refusal, Err(MarkerStoreError::Sealed { status: found }) if found == status);
}

fn nothing_is_appended_before_it_is_open(place: &Place) {
    let mut backend = place.backend();
    assert_matches!(backend.append(&batch(&[0], vec![])), Err(MarkerStoreError::NotOpen));
    assert_matches!(backend.seal(RunStatus::Ended), Err(MarkerStoreError::NotOpen));
}

#[test]
fn only_a_sealed_file_opens_for_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.markers.redb");
    let refusal = |path: &std::path::Path| open_sealed_markers(path).map(|_| ());
    assert_matches!(refusal(&path), Err(MarkerStoreError::File(FileError::NotFound { .. })));
    let mut backend = RedbMarkerBackend::new(&path);
    backend.open(manifest()).unwrap();
    assert_matches!(refusal(&path), Err(MarkerStoreError::File(FileError::NotSealed { .. })));
    backend.append(&batch(&[0], vec![cursor(1, 0, 0, 1)])).unwrap();
    backend.seal(RunStatus::Ended).unwrap();
    drop(backend);
    let source = open_sealed_markers(&path).unwrap();
    let other = Arc::clone(&source);
    assert_eq!(MarkerReader::new(source).scan().count(), 1);
    assert_eq!(other.manifest().unwrap().counts.snapshots, 1);
    // An existing file is not overwritten.
    let refusal = RedbMarkerBackend::new(&path).open(manifest());
    assert_matches!(refusal, Err(MarkerStoreError::File(FileError::Exists { .. })));
}

#[test]
fn a_sidecar_that_was_left_behind_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.markers.redb");
    let open = |path: &std::path::Path| MarkerReader::open(path);
    assert_matches!(open(&path).err(), Some(MarkerStoreError::File(FileError::NotFound { .. })));
    let mut backend = RedbMarkerBackend::new(&path);
    backend.open(manifest()).unwrap();
    backend.append(&batch(&[0], vec![cursor(1, 0, 0, 1)])).unwrap();
    assert_matches!(open(&path).err(), Some(MarkerStoreError::File(FileError::InUse { .. })));
    // As a crash leaves it: not closed.
    let copy = folder.path().join("copy.markers.redb");
    std::fs::copy(&path, &copy).unwrap();
    drop(backend);
    for path in [&path, &copy] {
        assert_unchanged(path, || {
            let reader = open(path).unwrap();
            assert_eq!(reader.manifest().unwrap().status, RunStatus::Running);
            assert_eq!(reader.scan().count(), 1);
        });
    }
    std::fs::write(&copy, b"").unwrap();
    assert_matches!(open(&copy).err(), Some(MarkerStoreError::File(FileError::Empty { .. })));
}

#[test]
fn a_held_source_does_not_keep_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.markers.redb");
    let mut backend = RedbMarkerBackend::new(&path);
    backend.open(manifest()).unwrap();
    let held = backend.source().unwrap();
    backend.seal(RunStatus::Ended).unwrap();
    drop(backend);
    assert_eq!(open_sealed_markers(&path).unwrap().manifest().unwrap().status, RunStatus::Ended);
    assert_matches!(held.manifest(), Err(MarkerStoreError::NotOpen));
}
