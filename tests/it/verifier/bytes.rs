//! Changed bytes in the file itself, below redb.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tapline::Hash;
use tapline::internals::format::{KeyBlockId, KeyTier};
use tapline::read::Verifier;
use tapline::store::open_sealed_file;

use super::sealed;

/// What happened with a changed byte.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// The file does not open, or redb panics, or the verifier has findings.
    Found,
    /// It verifies with the same root, so it holds what was sealed.
    Intact,
}

fn verify(path: &Path, root: Hash) -> Outcome {
    let verified = catch_unwind(AssertUnwindSafe(|| {
        let report = Verifier::new(open_sealed_file(path).ok()?).expect_root(root).run(|_| {});
        (report.is_clean() && report.entries_scanned == 9).then_some(())
    }));
    match verified {
        Ok(Some(())) => Outcome::Intact,
        Ok(None) | Err(_) => Outcome::Found,
    }
}

/// Covers every byte of every frame and of the manifest, and of the rows of names and index,
/// wherever they lie in the file. Only redb's own bytes are left, most of them unused.
#[test]
fn every_flipped_stored_byte_is_found() {
    let file = sealed();
    let whole = fs::read(&file.path).unwrap();
    let source = file.open();
    let frame = |seq| source.frame_at_or_before(seq).unwrap().unwrap().1.to_vec();
    let stored = [
        frame(1),
        frame(4),
        frame(7),
        serde_json::to_vec(&file.sealed.manifest).unwrap(),
        source
            .key_block_at_or_after(KeyBlockId::start_of(KeyTier::FIRST))
            .unwrap()
            .unwrap()
            .1
            .to_vec(),
        b"events.order".to_vec(),
        b"OrderEvent".to_vec(),
    ];
    drop(source);

    let damaged = file.path.with_file_name("damaged.redb");
    let mut missed = Vec::new();
    for bytes in &stored {
        let step = if bytes.len() > 100 { 7 } else { 1 };
        for at in places(&whole, bytes) {
            for offset in (at..at + bytes.len()).step_by(step) {
                let mut copy = whole.clone();
                copy[offset] ^= 1 << (offset % 8);
                // A new file, in case a panic has left the last one locked.
                let _ = fs::remove_file(&damaged);
                fs::write(&damaged, &copy).unwrap();
                if verify(&damaged, file.sealed.root) == Outcome::Intact {
                    missed.push(offset);
                }
            }
        }
    }
    assert!(missed.is_empty(), "at {missed:?}");
    fs::remove_file(&damaged).unwrap();
    fs::write(&damaged, &whole).unwrap();
    assert_eq!(verify(&damaged, file.sealed.root), Outcome::Intact);
}

/// Where `part` lies in the file.
fn places(whole: &[u8], part: &[u8]) -> Vec<usize> {
    let windows = whole.windows(part.len()).enumerate();
    let places: Vec<usize> = windows.filter(|(_, w)| *w == part).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{part:?} is not in the file");
    places
}
