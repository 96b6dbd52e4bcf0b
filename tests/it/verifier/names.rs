//! The names table and the names in the frames.

use tapline::read::Finding;

use super::{findings, mismatch, sealed, unlinked, verify};
use crate::support::message::messages;
use crate::support::places::SealedFile;
use crate::support::raw::RawFrame;
use crate::support::{Message, hex, tamper};

fn name_mismatch(id: u32, table: Option<&str>, frames: Option<&str>) -> Finding {
    Finding::NameMismatch { id, table: table.map(str::to_owned), frames: frames.map(str::to_owned) }
}

#[test]
fn a_changed_name_is_a_mismatch() {
    let found = findings(|path| tamper::name(path, 1, Some("OtherEvent")));
    assert_eq!(found, [name_mismatch(1, Some("OtherEvent"), Some("OrderEvent"))]);
}

#[test]
fn an_added_name_is_a_mismatch() {
    for id in [2, 7, u32::MAX] {
        let found = findings(|path| tamper::name(path, id, Some("Added")));
        assert_eq!(found, [name_mismatch(id, Some("Added"), None)]);
    }
}

#[test]
fn a_removed_name_is_a_mismatch() {
    let found = findings(|path| tamper::name(path, 1, None));
    assert_eq!(found, [name_mismatch(1, None, Some("OrderEvent"))]);
}

/// Writes `value` at `offset` of an entry, and makes the frame fit.
fn forge(frame: &mut RawFrame, index: usize, offset: usize, value: u32) {
    frame.records[index][offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    frame.reforge();
}

#[test]
fn an_unknown_name_in_an_entry_is_found() {
    let before = RawFrame::decode(&sealed().open().frame_at_or_before(7).unwrap().unwrap().1);
    // Bytes 28 to 31 are the topic, 32 to 35 the payload type.
    for offset in [28, 32] {
        let file = sealed();
        let mut forged = before.clone();
        forge(&mut forged, 1, offset, 2);
        tamper::frame_bytes(&file.path, 7, |bytes| *bytes = forged.encode());
        let root = mismatch("frames_root", &hex::encode(&before.root), &hex::encode(&forged.root));
        assert_eq!(verify(&file).findings, [Finding::UnknownName { seq: 8, id: 2 }, root]);
    }
}

#[test]
fn a_name_used_too_early_is_found() {
    let file =
        SealedFile::record(&[messages(1, 3), vec![Message::new("later", "Later", 1_004, b"")]]);
    tamper::frame(&file.path, 1, |frame| forge(frame, 2, 28, 3));
    let found = verify(&file).findings;
    assert_eq!(found[0], Finding::UnknownName { seq: 3, id: 3 });
    assert_eq!(found[1..], [unlinked(4)]);
}

/// Names that a frame brings itself: numbers 2 and 3 with entry 4, numbers 4 and 5 with entry 5.
fn named() -> SealedFile {
    let names = |n: u64| vec![Message::new(&format!("topic {n}"), &format!("Type{n}"), n, b"")];
    SealedFile::record(&[messages(1, 3), names(4), names(5)])
}

/// The numbers of the names after it are unknown.
#[test]
fn a_lost_frame_loses_only_its_names() {
    let file = named();
    tamper::remove_frame(&file.path, 4);
    let lost = [Finding::Gap { from: 4, to: 4 }, unlinked(5)];
    assert_eq!(verify(&file).findings, lost);
    // The names before it are still compared.
    tamper::name(&file.path, 1, Some("OtherEvent"));
    let other = name_mismatch(1, Some("OtherEvent"), Some("OrderEvent"));
    assert_eq!(verify(&file).findings, [&lost[..], &[other]].concat());
}

#[test]
fn a_damaged_frame_loses_only_its_names() {
    for (first_seq, behind) in [(4, vec![unlinked(5)]), (5, vec![])] {
        let file = named();
        tamper::frame_bytes(&file.path, first_seq, |bytes| bytes.truncate(10));
        let error = "frame has 10 bytes, but its header asks for 64".to_owned();
        let damaged = Finding::FrameDamaged { first_seq, error };
        assert_eq!(verify(&file).findings, [vec![damaged], behind].concat());
    }
}
