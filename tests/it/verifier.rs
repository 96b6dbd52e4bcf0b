//! Verifying a run: every kind of damage is found and named, and nothing else.

mod anchor;
mod bytes;
mod chain;
mod entries;
mod expected_root;
mod index;
mod manifest;
mod names;
mod threads;
mod unreadable;

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use tapline::read::{Finding, Verifier, VerifyReport};
use tapline::store::RunReader;

use crate::support::files::assert_unchanged;
use crate::support::message::messages;
use crate::support::places::SealedFile;
use crate::support::{FrameMaker, Message, Place, tamper};

/// Three frames of three entries; entries 2 and 5 mention the key `O-2`, entry 6 `O-6`.
fn batches() -> [Vec<Message>; 3] {
    let mut batches = [messages(1, 3), messages(4, 6), messages(7, 9)];
    batches[0][1] = batches[0][1].clone().order("O-2");
    batches[1][1] = batches[1][1].clone().order("O-2");
    batches[1][2] = batches[1][2].clone().order("O-6");
    batches
}

fn sealed() -> SealedFile {
    SealedFile::record(&batches())
}

/// Verifies the run in `file`. Checks that this changes nothing.
fn verify(file: &SealedFile) -> VerifyReport {
    assert_unchanged(&file.path, || verify_source(&file.open()))
}

/// Verifies a run. Checks that any number of threads gives the same report.
fn verify_source(source: &Arc<dyn RunReader>) -> VerifyReport {
    let [one, two, seven] = [1, 2, 7].map(|threads| {
        let mut progress = Vec::new();
        let verifier = Verifier::new(Arc::clone(source)).threads(NonZero::new(threads).unwrap());
        let report = verifier.run(|scanned| progress.push(scanned));
        (report, progress)
    });
    assert_eq!(two, one, "on two threads");
    assert_eq!(seven, one, "on seven threads");
    one.0
}

/// The findings for a run that was tampered with.
fn findings(tamper: impl FnOnce(&Path)) -> Vec<Finding> {
    let file = sealed();
    tamper(&file.path);
    let report = verify(&file);
    assert_eq!(report.findings_omitted, 0);
    assert_eq!(report.is_clean(), report.findings.is_empty());
    report.findings
}

/// A mismatch of a manifest's field.
fn mismatch(field: &'static str, manifest: &str, run: &str) -> Finding {
    Finding::ManifestMismatch { field, manifest: manifest.to_owned(), run: run.to_owned() }
}

/// A break of the chain at the frame under `first_seq`, which does not follow from the one before.
fn unlinked(first_seq: u64) -> Finding {
    let error = "it does not continue from the root of the frame before".to_owned();
    Finding::ChainBreak { first_seq, error }
}

/// A break of the chain at the frame under `first_seq`, whose root is not its own.
fn wrong_root(first_seq: u64) -> Finding {
    let error = "its content does not have its root".to_owned();
    Finding::ChainBreak { first_seq, error }
}

/// The finding for an index row whose entry does not mention this client order id.
fn dangling(key: &str, seq: u64) -> Finding {
    let hash = tamper::order_row(key, seq).hash;
    Finding::IndexDangling { hash: format!("{hash:016x}"), seq }
}

#[test]
fn a_sound_run_is_clean() {
    let file = sealed();
    let report = verify(&file);
    assert_eq!(report.findings, []);
    assert!(report.is_clean());
    assert_eq!(report.entries_scanned, 9);
    assert_eq!(report.run_id, Some(file.sealed.manifest.run_id));
    assert_eq!(report.status, Some(file.sealed.manifest.status));
    assert_eq!(report.root, Some(file.sealed.root));
}

#[test]
fn a_run_without_entries_is_clean() {
    let report = verify(&SealedFile::record(&[]));
    assert_eq!((report.findings, report.entries_scanned), (vec![], 0));
}

#[test]
fn a_live_run_is_clean_without_root() {
    for place in Place::all() {
        let mut store = place.open(1);
        let mut maker = FrameMaker::new();
        for (entries, batch) in (0..).zip(batches()) {
            let report = verify_source(&store.reader().unwrap());
            assert_eq!((report.findings, report.entries_scanned), (vec![], entries * 3));
            assert_eq!(report.root, None);
            store.append(&[maker.frame(&batch)]).unwrap();
        }
    }
}

#[test]
fn progress_is_reported_after_each_frame() {
    let mut progress = Vec::new();
    Verifier::new(sealed().open()).run(|scanned| progress.push(scanned));
    assert_eq!(progress, [3, 6, 9]);
}

#[test]
fn findings_are_bounded_and_the_rest_is_counted() {
    let file = SealedFile::record(&[messages(1, 800), messages(801, 1600)]);
    for first_seq in [1, 801] {
        tamper::frame(&file.path, first_seq, |frame| {
            for hash in &mut frame.hashes {
                hash[0] ^= 1;
            }
        });
    }
    let report = verify(&file);
    assert_eq!(report.findings.len(), VerifyReport::FINDINGS_MAX);
    // Besides the hashes, the roots of both frames.
    assert_eq!(report.findings_omitted, 1602 - VerifyReport::FINDINGS_MAX as u64);
}
