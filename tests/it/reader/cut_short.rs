//! A sealed run that has lost its last frames. What is missing at its end is a gap like any other.

use tapline::IndexKind;
use tapline::read::{Direction, EventStoreReader, ReadError};

use super::damage::{assert_scan, ranged, scan, tampered};
use crate::support::doctored::{Doctored, Part};
use crate::support::message::messages;
use crate::support::places::SealedFile;
use crate::support::{Message, assert_matches, tamper};

/// Nine entries in three frames. The last frame is lost.
fn cut_short() -> (SealedFile, EventStoreReader) {
    tampered(|path| tamper::remove_frame(path, 7))
}

#[test]
fn a_scan_ends_with_the_missing_entries() {
    let (_file, reader) = cut_short();
    assert_scan(&reader, &["1", "2", "3", "4", "5", "6", "entries 7 to 9 are missing"]);
    for direction in [Direction::Forward, Direction::Reverse] {
        let mut scan = reader.scan(1, u64::MAX, direction);
        assert_eq!((&mut scan).take(20).filter(Result::is_err).count(), 1);
        assert!(scan.next().is_none() && scan.next().is_none(), "an ended scan stays ended");
    }
}

#[test]
fn missing_entries_are_reported_within_the_range() {
    let (_file, reader) = cut_short();
    let cases: [(u64, u64, &[&str]); 9] = [
        (5, 8, &["5", "6", "entries 7 to 8 are missing"]),
        (5, 9, &["5", "6", "entries 7 to 9 are missing"]),
        (6, 20, &["6", "entries 7 to 9 are missing"]),
        (8, 8, &["entries 8 to 8 are missing"]),
        (9, u64::MAX, &["entries 9 to 9 are missing"]),
        (2, 6, &["2", "3", "4", "5", "6"]),
        (10, 10, &[]),
        (10, u64::MAX, &[]),
        (u64::MAX, u64::MAX, &[]),
    ];
    for (from, to, expected) in cases {
        assert_eq!(ranged(&reader, from, to, Direction::Forward), expected, "{from} to {to}");
        let mut reversed = ranged(&reader, from, to, Direction::Reverse);
        reversed.reverse();
        assert_eq!(reversed, expected, "{from} to {to} in reverse");
    }
}

#[test]
fn a_point_read_of_a_missing_entry_is_a_gap() {
    let (_file, reader) = cut_short();
    for seq in 7..=9 {
        assert_matches!(reader.read(seq), Err(ReadError::Gap { from, to: 9 }) if from == seq);
    }
    assert_eq!(reader.read(6).unwrap().unwrap().seq, 6);
    for seq in [10, u64::MAX] {
        assert_eq!(reader.read(seq).unwrap(), None, "no run has had it");
    }
}

#[test]
fn a_run_without_frames_lacks_all_entries() {
    let (_file, reader) = tampered(|path| {
        for first_seq in [1, 4, 7] {
            tamper::remove_frame(path, first_seq);
        }
    });
    assert_scan(&reader, &["entries 1 to 9 are missing"]);
    assert_matches!(reader.read(1), Err(ReadError::Gap { from: 1, to: 9 }));
}

#[test]
fn inner_and_final_gaps_are_told_apart() {
    let (_file, reader) = tampered(|path| {
        tamper::remove_frame(path, 1);
        tamper::remove_frame(path, 7);
    });
    let gaps = ["entries 1 to 3 are missing", "entries 7 to 9 are missing"];
    assert_scan(&reader, &[gaps[0], "4", "5", "6", gaps[1]]);
}

#[test]
fn missing_entries_end_the_keys_with_an_error() {
    let keyed = |n: u64| vec![Message::nth(n).order(&format!("O-{n}"))];
    let file = SealedFile::record(&[keyed(1), keyed(2), keyed(3)]);
    tamper::remove_frame(&file.path, 3);
    let keys: Vec<_> =
        EventStoreReader::new(file.open()).keys(IndexKind::CLIENT_ORDER_ID).take(10).collect();
    assert_eq!(keys.iter().flatten().map(|mention| mention.seq).collect::<Vec<_>>(), [1, 2]);
    assert_matches!(&keys[2..], [Err(ReadError::Gap { from: 3, to: 3 })]);
}

#[test]
fn an_incomplete_run_has_no_replay_plan() {
    let (_file, reader) = cut_short();
    assert_matches!(reader.replay_plan(), Err(ReadError::Gap { from: 7, to: 9 }));
    assert_eq!(reader.watermark().unwrap(), 6, "where the frames end");
}

/// No entry can come after the largest number. A scan must not go on there for ever.
#[test]
fn a_scan_ends_at_the_largest_number() {
    let (_file, reader) = tampered(|path| {
        let to = format!("\"high_watermark\":{}", u64::MAX);
        tamper::manifest(path, "\"high_watermark\":9", &to);
    });
    let gap = format!("entries 10 to {} are missing", u64::MAX - 1);
    for direction in [Direction::Forward, Direction::Reverse] {
        let report = scan(&reader, direction);
        assert_eq!(report.len(), 10, "{report:?}");
        assert!(report.contains(&gap), "{report:?}");
    }
    assert_eq!(reader.read(u64::MAX).unwrap(), None);
}

/// The manifest is read at the end, not on the way.
#[test]
fn entries_are_read_without_the_manifest() {
    let file = SealedFile::record(&[messages(1, 3), messages(4, 6)]);
    let reader = EventStoreReader::new(Doctored::broken(file.open(), Part::Manifest));
    assert_eq!(scan(&reader, Direction::Forward), ["1", "2", "3", "4", "5", "6", "out of order"]);
    assert_eq!(ranged(&reader, 1, 6, Direction::Forward).len(), 6);
    assert_eq!(ranged(&reader, 1, 6, Direction::Reverse).len(), 6);
    assert_eq!(reader.read(6).unwrap().unwrap().seq, 6);
}
