//! The root that was printed at seal reveals every change, even a consistent one.

use std::path::Path;

use tapline::Hash;
use tapline::read::{Finding, Verifier};
use tapline::{ContentHash, SnapshotAnchor};

use super::{batches, sealed};
use crate::support::places::SealedFile;
use crate::support::{FrameMaker, Message, Place, hex, tamper};

/// The run was changed consistently. Checks that the only finding is the other root.
fn assert_only_root_differs(file: &SealedFile, change: impl FnOnce(&Path)) {
    let expected = file.sealed.root;
    let report = Verifier::new(file.open()).expect_root(expected).run(|_| {});
    assert_eq!(report.findings, []);

    change(&file.path);
    let report = Verifier::new(file.open()).run(|_| {});
    assert_eq!(report.findings, [], "without the root, the change is not seen");
    let report = Verifier::new(file.open()).expect_root(expected).run(|_| {});
    let found = report.root.unwrap();
    assert_ne!(found, expected);
    let (expected, found) = (expected.to_string(), found.to_string());
    assert_eq!(report.findings, [Finding::RootMismatch { expected, found }]);
}

#[test]
fn a_wrong_root_is_a_mismatch() {
    let file = sealed();
    let expected = Hash::from_bytes([7; 32]);
    let report = Verifier::new(file.open()).expect_root(expected).run(|_| {});
    let (expected, found) = (expected.to_string(), file.sealed.root.to_string());
    assert_eq!(report.findings, [Finding::RootMismatch { expected, found }]);
}

#[test]
fn an_unsealed_run_has_no_root() {
    let mut store = Place::memory().open(1);
    FrameMaker::new().append_all(&mut *store, &batches());
    let expected = Hash::from_bytes([7; 32]);
    let report = Verifier::new(store.reader().unwrap()).expect_root(expected).run(|_| {});
    let (expected, found) = (expected.to_string(), "none".to_owned());
    assert_eq!(report.findings, [Finding::RootMismatch { expected, found }]);
}

#[test]
fn a_manifest_that_was_changed_has_another_root() {
    assert_only_root_differs(&sealed(), |path| {
        tamper::manifest(path, "\"config_hash\":\"\"", "\"config_hash\":\"forged\"");
    });
    assert_only_root_differs(&sealed(), |path| {
        tamper::manifest(path, "\"status\":\"Ended\"", "\"status\":\"CrashedRecovered\"");
    });
    // The same content in other bytes.
    assert_only_root_differs(&sealed(), |path| tamper::manifest(path, "{", "{ "));
}

fn anchor(blob_ref: &str) -> SnapshotAnchor {
    let content_hash = ContentHash::of(b"");
    SnapshotAnchor { high_watermark: 5, blob_ref: blob_ref.to_owned(), content_hash }
}

#[test]
fn any_change_of_the_anchor_changes_the_root() {
    let row = |blob_ref| serde_json::to_vec(&anchor(blob_ref)).unwrap();
    assert_only_root_differs(&sealed(), |path| tamper::meta(path, "anchor", &row("added")));
    let anchored = || {
        SealedFile::record_with(&batches(), |store| {
            store.record_anchor(&anchor("original")).unwrap();
        })
    };
    assert_only_root_differs(&anchored(), |path| tamper::meta(path, "anchor", &row("changed")));
    assert_only_root_differs(&anchored(), |path| {
        tamper::edit(path, |transaction| {
            let mut table = transaction.open_table(tamper::META).unwrap();
            table.remove("anchor").unwrap().unwrap();
        });
    });
}

/// An entry is rewritten, and every hash up to the manifest is made to fit.
#[test]
fn a_run_forged_throughout_has_another_root() {
    let file = sealed();
    let mut forged = batches();
    forged[0][0] = Message { payload: b"{\"n\":2}".to_vec(), ..forged[0][0].clone() };
    let original = file.sealed.manifest.frames_root.unwrap().to_string();
    assert_only_root_differs(&file, |path| {
        let mut maker = FrameMaker::new();
        let mut last = Hash::from_bytes([0; 32]);
        for (first_seq, batch) in [1, 4, 7].into_iter().zip(&forged) {
            let frame = maker.frame(batch);
            tamper::frame_bytes(path, first_seq, |bytes| *bytes = frame.bytes().to_vec());
            last = frame.root();
        }
        tamper::manifest(path, &original, &hex::encode(last.as_bytes()));
    });
}
