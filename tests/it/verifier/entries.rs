//! Entries that were changed, moved, removed or invented.

use tapline::read::Finding;

use super::{dangling, findings, mismatch, sealed, unlinked, verify, wrong_root};
use crate::support::raw::{RawFrame, RawRecord};
use crate::support::{FrameMaker, Message, tamper};

fn damaged(first_seq: u64, error: &str) -> Finding {
    Finding::FrameDamaged { first_seq, error: error.to_owned() }
}

#[test]
fn a_changed_payload_is_a_hash_mismatch() {
    let found = findings(|path| tamper::frame(path, 4, |frame| frame.records[0][64] ^= 1));
    assert_eq!(found, [Finding::HashMismatch { seq: 4 }]);
}

#[test]
fn a_changed_hash_breaks_the_chain() {
    let found = findings(|path| tamper::frame(path, 4, |frame| frame.hashes[2][0] ^= 1));
    let mismatch = Finding::HashMismatch { seq: 6 };
    // It no longer counts as a mention of its key.
    assert_eq!(found, [wrong_root(4), mismatch, dangling("O-6", 6)]);
}

#[test]
fn a_malformed_record_is_damage_to_its_frame() {
    // The flags of the first record.
    let found = findings(|path| tamper::frame_bytes(path, 7, |bytes| bytes[64 + 44] = 0x80));
    let error = "entry 7: record has unknown flags 0x0080";
    assert_eq!(found, [damaged(7, error), Finding::HashMismatch { seq: 7 }]);
}

#[test]
fn a_frame_cut_short_is_damaged() {
    let found = findings(|path| tamper::frame_bytes(path, 4, |bytes| bytes.truncate(10)));
    let error = "frame has 10 bytes, but its header asks for 64";
    // Its keys cannot be read, and the next frame cannot be linked to it.
    let keys = [dangling("O-2", 5), dangling("O-6", 6)];
    assert_eq!(found, [&[damaged(4, error), unlinked(7)], &keys[..]].concat());
}

#[test]
fn a_changed_offset_breaks_the_chain() {
    let found = findings(|path| {
        tamper::frame(path, 7, |frame| {
            let mut bytes = frame.clone();
            bytes.offsets[1] = 0;
            *frame = bytes;
        });
    });
    let overlap = damaged(7, "entry 8 does not begin where the previous one ends");
    let seq = Finding::SeqMismatch { stored_as: 8, says: 7 };
    assert_eq!(found, [overlap, wrong_root(7), Finding::HashMismatch { seq: 8 }, seq]);
}

#[test]
fn a_removed_frame_is_a_gap() {
    let found = findings(|path| tamper::remove_frame(path, 7));
    // At the end, only the manifest knows what is missing.
    let root = sealed_root_of_frame(4);
    let full = sealed_root_of_frame(7);
    assert_eq!(
        found,
        [
            mismatch("high_watermark", "9", "6"),
            mismatch("end_ts_init", "1009", "1006"),
            mismatch("frames_root", &full, &root),
        ]
    );

    let found = findings(|path| tamper::remove_frame(path, 1));
    assert_eq!(found[..2], [Finding::Gap { from: 1, to: 3 }, unlinked(4)]);
    assert!(found.contains(&dangling("O-2", 2)));
}

fn frame_of(file: &crate::support::places::SealedFile, first_seq: u64) -> RawFrame {
    RawFrame::decode(&file.open().frame_at_or_before(first_seq).unwrap().unwrap().1)
}

fn sealed_root_of_frame(first_seq: u64) -> String {
    crate::support::hex::encode(&frame_of(&sealed(), first_seq).root)
}

#[test]
fn a_gap_in_the_middle_is_a_gap() {
    let file = crate::support::places::SealedFile::record(&[
        crate::support::message::messages(1, 3),
        crate::support::message::messages(4, 5),
        crate::support::message::messages(6, 9),
    ]);
    tamper::remove_frame(&file.path, 4);
    assert_eq!(verify(&file).findings, [Finding::Gap { from: 4, to: 5 }, unlinked(6)]);
}

#[test]
fn a_frame_in_another_place_says_so() {
    let found = findings(|path| tamper::move_frame(path, 7, 8));
    let says = |stored_as, says| Finding::SeqMismatch { stored_as, says };
    assert_eq!(
        found,
        [
            Finding::Gap { from: 7, to: 7 },
            // The frame, then each of its entries.
            says(8, 7),
            says(8, 7),
            says(9, 8),
            says(10, 9),
            mismatch("high_watermark", "9", "10"),
        ]
    );
}

#[test]
fn entries_that_changed_places_say_so() {
    let found = findings(|path| {
        tamper::frame(path, 7, |frame| {
            frame.records.swap(0, 2);
            frame.reforge();
        });
    });
    let says = |stored_as, says| Finding::SeqMismatch { stored_as, says };
    assert_eq!(found[..2], [says(7, 9), says(9, 7)]);
    assert!(matches!(found[2], Finding::ManifestMismatch { field: "frames_root", .. }));
    assert_eq!(found.len(), 3);
}

/// A record is changed, and its hash and its frame's root are made to fit. The frame is sound, but
/// it is not the frame that the next one, or the manifest, was made for.
#[test]
fn a_forged_frame_breaks_the_chain_behind_it() {
    let forge = |frame: &mut RawFrame| {
        frame.records[0][64] ^= 1;
        frame.reforge();
    };
    assert_eq!(findings(|path| tamper::frame(path, 1, forge)), [unlinked(4)]);
    assert_eq!(findings(|path| tamper::frame(path, 4, forge)), [unlinked(7)]);
    let file = sealed();
    tamper::frame(&file.path, 7, forge);
    let forged = crate::support::hex::encode(&frame_of(&file, 7).root);
    let expected = mismatch("frames_root", &sealed_root_of_frame(7), &forged);
    assert_eq!(verify(&file).findings, [expected]);
}

#[test]
fn an_entry_added_behind_the_end_is_found() {
    let file = sealed();
    let last = frame_of(&file, 7);
    let mut maker = FrameMaker::at(10);
    let added = maker.frame(&[Message::nth(10)]);
    let mut added = RawFrame::decode(added.bytes());
    added.previous_root = last.root;
    added.names.clear();
    added.reforge();
    assert_eq!(RawRecord::decode(&added.records[0]).topic_id, 0);
    tamper::edit(&file.path, |transaction| {
        tamper::one_frame_a_row(transaction);
        let mut table = transaction.open_table(tamper::FRAMES).unwrap();
        table.insert(10, added.encode().as_slice()).unwrap();
    });
    assert_eq!(
        verify(&file).findings,
        [
            mismatch("high_watermark", "9", "10"),
            mismatch("end_ts_init", "1009", "1010"),
            mismatch(
                "frames_root",
                &crate::support::hex::encode(&last.root),
                &crate::support::hex::encode(&added.root)
            ),
        ]
    );
}

#[test]
fn a_malformed_frame_is_damage_anywhere() {
    for key in [0, 5, 100] {
        let found = findings(|path| {
            tamper::edit(path, |transaction| {
                tamper::one_frame_a_row(transaction);
                let mut table = transaction.open_table(tamper::FRAMES).unwrap();
                table.insert(key, b"no frame".as_slice()).unwrap();
            });
        });
        let error = "frame has 8 bytes, but its header asks for 64";
        assert!(found.contains(&damaged(key, error)), "{key}: {found:?}");
    }
}

/// A sound frame within another one.
#[test]
fn an_extra_frame_causes_no_other_finding() {
    let found = findings(|path| {
        let mut maker = FrameMaker::at(5);
        let frame = maker.frame(&[Message::nth(5)]);
        tamper::edit(path, |transaction| {
            tamper::one_frame_a_row(transaction);
            let mut table = transaction.open_table(tamper::FRAMES).unwrap();
            table.insert(5, frame.bytes()).unwrap();
        });
    });
    let error = "it begins before entry 7, which comes next".to_owned();
    let overlap = Finding::ChainBreak { first_seq: 5, error };
    // The entries of the outer frame are there: nothing is missing before the next frame, and no
    // name differs.
    assert_eq!(found, [overlap, unlinked(5), unlinked(7)]);
}
