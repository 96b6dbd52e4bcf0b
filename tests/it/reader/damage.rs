//! Damage is reported in its place, and sound entries after it are still read.

use tapline::internals::error_chain;
use tapline::read::{Direction, EventStoreReader, ReadError};

use crate::support::doctored::{Doctored, Part};
use crate::support::message::messages;
use crate::support::places::SealedFile;
use crate::support::raw::RawFrame;
use crate::support::{assert_matches, tamper};

/// Nine entries in three frames, tampered with.
pub(super) fn tampered(tamper: impl FnOnce(&std::path::Path)) -> (SealedFile, EventStoreReader) {
    let file = SealedFile::record(&[messages(1, 3), messages(4, 6), messages(7, 9)]);
    tamper(&file.path);
    let reader = EventStoreReader::new(file.open());
    (file, reader)
}

/// What a scan of the whole run reports: entries as their `seq`, errors as text.
pub(super) fn scan(reader: &EventStoreReader, direction: Direction) -> Vec<String> {
    ranged(reader, 1, u64::MAX, direction)
}

pub(super) fn ranged(
    reader: &EventStoreReader,
    from: u64,
    to: u64,
    direction: Direction,
) -> Vec<String> {
    let report = |entry: Result<tapline::Entry, ReadError>| match entry {
        Ok(entry) => entry.seq.to_string(),
        Err(error) => error_chain(&error),
    };
    // A scan that never ends is cut off, so that the test can fail.
    reader.scan(from, to, direction).take(20).map(report).collect()
}

/// Asserts what a scan reports, in both directions.
pub(super) fn assert_scan(reader: &EventStoreReader, expected: &[&str]) {
    assert_eq!(scan(reader, Direction::Forward), expected);
    let mut reversed = scan(reader, Direction::Reverse);
    reversed.reverse();
    assert_eq!(reversed, expected, "in reverse");
}

#[test]
fn a_scan_goes_on_after_a_hash_mismatch() {
    let (_file, reader) = tampered(|path| {
        tamper::frame(path, 4, |frame| frame.records[1][64] ^= 1);
    });
    assert_matches!(reader.read(5), Err(ReadError::HashMismatch { seq: 5 }));
    assert_eq!(reader.read(6).unwrap().unwrap().seq, 6);
    let mismatch = "entry 5 does not match its hash";
    assert_scan(&reader, &["1", "2", "3", "4", mismatch, "6", "7", "8", "9"]);
}

/// Each try would find it missing, up to the entry before. A scan that went on would never end.
#[test]
fn an_unfindable_frame_ends_the_scan() {
    let file = SealedFile::record(&[messages(1, 3), messages(4, 6), messages(7, 9)]);
    let reader = EventStoreReader::new(Doctored::lost(file.open(), 4..=u64::MAX));
    let lost = "the run file is damaged: no search finds the frame at seq 4";
    assert_eq!(scan(&reader, Direction::Forward), ["1", "2", "3", lost]);
    assert_eq!(error_chain(&reader.read(4).unwrap_err()), lost);
    // It does not end where the log ends.
    assert_eq!(scan(&reader, Direction::Reverse), [lost]);
    assert_eq!(ranged(&reader, 2, 5, Direction::Reverse), [lost]);
}

#[test]
fn a_reverse_scan_reports_unfindable_frames() {
    let file = SealedFile::record(&[messages(1, 3), messages(4, 6), messages(7, 9)]);
    let reader = EventStoreReader::new(Doctored::lost(file.open(), 4..=6));
    let gap = "entries 4 to 6 are missing";
    assert_eq!(scan(&reader, Direction::Reverse), ["9", "8", "7", gap, "3", "2", "1"]);
    let reader = EventStoreReader::new(Doctored::lost(file.open(), 1..=3));
    let gap = "entries 1 to 3 are missing";
    assert_eq!(scan(&reader, Direction::Reverse), ["9", "8", "7", "6", "5", "4", gap]);
}

/// Each entry needs them. To try again for each would only take as many times as long.
#[test]
fn names_that_cannot_be_read_end_the_scan() {
    let file = SealedFile::record(&[messages(1, 3), messages(4, 6)]);
    let reader = EventStoreReader::new(Doctored::broken(file.open(), Part::Names));
    for direction in [Direction::Forward, Direction::Reverse] {
        assert_eq!(scan(&reader, direction), ["out of order"]);
    }
}

#[test]
fn every_field_of_a_record_is_covered() {
    // One byte of each header field that leaves the record parsable, and one of the padding.
    for byte in [0, 8, 16, 28, 32] {
        let (_file, reader) = tampered(|path| {
            tamper::frame(path, 4, |frame| frame.records[1][byte] ^= 1);
        });
        assert_matches!(reader.read(5), Err(ReadError::HashMismatch { seq: 5 }));
    }
}

#[test]
fn a_changed_hash_is_a_hash_mismatch() {
    let (_file, reader) = tampered(|path| {
        tamper::frame(path, 7, |frame| frame.hashes[0][31] ^= 0x80);
    });
    assert_matches!(reader.read(7), Err(ReadError::HashMismatch { seq: 7 }));
    let mismatch = "entry 7 does not match its hash";
    assert_scan(&reader, &["1", "2", "3", "4", "5", "6", mismatch, "8", "9"]);
}

#[test]
fn a_malformed_record_is_reported_alone() {
    // Bytes 40 to 43 are the count of lines, 44 and 45 the flags, 48 to 63 reserved.
    for byte in [40, 44, 45, 48, 63] {
        let (_file, reader) = tampered(|path| {
            tamper::frame_bytes(path, 4, |bytes| bytes[64 + byte] ^= 0x10);
        });
        assert_matches!(reader.read(4), Err(ReadError::Frame { first_seq: 4, .. }));
        let report = scan(&reader, Direction::Forward);
        assert!(report[3].starts_with("the frame at seq 4 is damaged: entry 4: "), "{report:?}");
        assert_eq!(report[4..], ["5", "6", "7", "8", "9"]);
        assert_eq!(scan(&reader, Direction::Reverse)[..5], ["9", "8", "7", "6", "5"]);
    }
}

#[test]
fn a_scan_goes_on_after_a_gap() {
    let (_file, reader) = tampered(|path| tamper::remove_frame(path, 4));
    for seq in 4..=6 {
        assert_matches!(reader.read(seq), Err(ReadError::Gap { from, to: 6 }) if from == seq);
    }
    assert_scan(&reader, &["1", "2", "3", "entries 4 to 6 are missing", "7", "8", "9"]);
}

#[test]
fn entries_missing_at_the_beginning_are_a_gap() {
    let (_file, reader) = tampered(|path| tamper::remove_frame(path, 1));
    assert_matches!(reader.read(2), Err(ReadError::Gap { from: 2, to: 3 }));
    assert_scan(&reader, &["entries 1 to 3 are missing", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn a_gap_is_cut_to_the_range() {
    let (_file, reader) = tampered(|path| tamper::remove_frame(path, 4));
    for (from, to, gap) in [(5, 5, "5 to 5"), (5, 8, "5 to 6"), (2, 5, "4 to 5"), (4, 6, "4 to 6")]
    {
        for direction in [Direction::Forward, Direction::Reverse] {
            let report = ranged(&reader, from, to, direction);
            let gap = format!("entries {gap} are missing");
            assert!(report.contains(&gap), "{from} to {to} {direction:?}: {report:?}");
            let missing = report.iter().filter(|entry| entry.contains("missing")).count();
            assert_eq!(missing, 1, "{report:?}");
        }
    }
}

#[test]
fn an_unreadable_frame_ends_the_scan() {
    let (_file, reader) = tampered(|path| {
        tamper::frame_bytes(path, 4, |bytes| bytes.truncate(100));
    });
    assert_matches!(reader.read(4), Err(ReadError::Frame { first_seq: 4, .. }));
    let mut scan = reader.scan(1, u64::MAX, Direction::Forward);
    assert_eq!((&mut scan).take(3).flatten().count(), 3);
    assert_matches!(scan.next(), Some(Err(ReadError::Frame { first_seq: 4, .. })));
    assert!(scan.next().is_none());
    // After it, the run can be read on.
    assert_eq!(ranged(&reader, 7, u64::MAX, Direction::Forward), ["7", "8", "9"]);
}

#[test]
fn a_frame_in_another_place_is_out_of_place() {
    let (_file, reader) = tampered(|path| tamper::move_frame(path, 7, 8));
    assert_matches!(reader.read(8), Err(ReadError::OutOfPlace { expected: 8, found: 7 }));
    let report = scan(&reader, Direction::Forward);
    assert_eq!(report.len(), 8, "{report:?}");
    assert_eq!(report[6], "entries 7 to 7 are missing");
    assert_eq!(report[7], "the entry in place 8 says it is entry 7");
}

/// Exchanges two records and their hashes, and makes everything stored fit.
fn swap(frame: &mut RawFrame) {
    frame.records.swap(0, 1);
    frame.reforge();
}

#[test]
fn entries_that_changed_places_are_out_of_place() {
    let (_file, reader) = tampered(|path| tamper::frame(path, 4, swap));
    assert_matches!(reader.read(4), Err(ReadError::OutOfPlace { expected: 4, found: 5 }));
    assert_matches!(reader.read(5), Err(ReadError::OutOfPlace { expected: 5, found: 4 }));
    let places =
        ["the entry in place 4 says it is entry 5", "the entry in place 5 says it is entry 4"];
    assert_scan(&reader, &["1", "2", "3", places[0], places[1], "6", "7", "8", "9"]);
}

#[test]
fn an_unknown_name_is_reported() {
    let (_file, reader) = tampered(|path| tamper::name(path, 1, None));
    assert_matches!(reader.read(2), Err(ReadError::UnknownName { seq: 2, id: 1 }));
    assert_eq!(scan(&reader, Direction::Forward).len(), 9);
}
