//! A run that was left unsealed in a closed file, as after a halt. redb alone would open it as it
//! is, without comparing checksums.

use std::fs;

use tapline::RunStatus::CrashedRecovered;
use tapline::read::Verifier;
use tapline::runs::{SkipKind, SkippedFile};
use tapline::store::open_sealed_file;

use super::leave_closed;
use super::sweeping::{path, sweep};
use crate::support::{Message, pages, run_id};

const FRAMES: u64 = 24;
const ENTRIES_PER_FRAME: u64 = 30;

/// Frames of more than a page each, with inner pages above them, and numbers that are not those of
/// pages.
fn frames() -> Vec<Vec<Message>> {
    let frame = |nth: u64| {
        let first = nth * ENTRIES_PER_FRAME;
        (first..first + ENTRIES_PER_FRAME).map(Message::nth).collect()
    };
    (0..FRAMES).map(frame).collect()
}

/// Flips each bit by which the frames from the middle of the run are found. In a page that is in
/// use, the flip is noticed and the file stays as it is. In an old page it has no effect.
#[test]
fn a_changed_closed_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave_closed(folder, 1, &frames());
    let path = path(folder, 1);
    let as_left = fs::read(&path).unwrap();
    let separators: Vec<u64> = (0..FRAMES)
        .flat_map(|nth| pages::separators(&path, &(nth * ENTRIES_PER_FRAME + 1).to_le_bytes()))
        .collect();
    assert!(!separators.is_empty(), "the frames have an inner page above them");
    let mut left_alone = 0;
    // The numbers have two bytes. Of the others, one bit each is flipped.
    let bits = (0..16).chain((2..8).map(|byte| 8 * byte));
    for bit in separators.iter().flat_map(|at| bits.clone().map(move |bit| 8 * at + bit)) {
        fs::write(&path, &as_left).unwrap();
        pages::flip(&path, bit);
        let changed = fs::read(&path).unwrap();
        let report = sweep(folder);
        if let [SkippedFile { kind, error, .. }] = &report.skipped[..] {
            assert!(error.contains("damaged"), "bit {bit}: {error}");
            assert_eq!(*kind, SkipKind::Damaged, "bit {bit}: {error}");
            assert_eq!((report.recovered, report.passed_over), (vec![], vec![run_id(1)]));
            assert!(fs::read(&path).unwrap() == changed, "bit {bit}: the file was changed");
            left_alone += 1;
            continue;
        }
        assert_eq!(report.recovered[0].status, CrashedRecovered, "bit {bit}");
        let sealed = Verifier::new(open_sealed_file(&path).unwrap()).run(|_| ());
        let all = FRAMES * ENTRIES_PER_FRAME;
        assert_eq!((sealed.entries_scanned, sealed.findings), (all, vec![]), "bit {bit}");
    }
    assert!(left_alone > 0, "all pages were old");
}
