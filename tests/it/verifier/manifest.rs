//! The manifest is compared with the entries.

use tapline::read::Finding;

use super::{findings, mismatch, unlinked, verify};
use crate::support::message::messages;
use crate::support::places::SealedFile;
use crate::support::{Message, tamper};

#[test]
fn a_changed_watermark_is_a_mismatch() {
    let found = findings(|path| {
        tamper::manifest(path, "\"high_watermark\":9", "\"high_watermark\":8");
    });
    assert_eq!(found, [mismatch("high_watermark", "8", "9")]);
}

#[test]
fn a_changed_end_is_a_mismatch() {
    let change =
        |to: &'static str| findings(move |path| tamper::manifest(path, "\"end_ts_init\":1009", to));
    assert_eq!(change("\"end_ts_init\":1010"), [mismatch("end_ts_init", "1010", "1009")]);
    assert_eq!(change("\"end_ts_init\":null"), [mismatch("end_ts_init", "none", "1009")]);
}

#[test]
fn a_wrong_start_time_is_a_mismatch() {
    let found = findings(|path| {
        tamper::manifest(path, "\"start_ts_init\":1700000000000000001", "\"start_ts_init\":5");
    });
    assert_eq!(found, [mismatch("start_ts_init", "5", "1700000000000000001")]);
}

#[test]
fn a_changed_root_is_a_mismatch() {
    let file = super::sealed();
    let root = file.sealed.manifest.frames_root.unwrap().to_string();
    let other = "0".repeat(64);
    tamper::manifest(&file.path, &root, &other);
    assert_eq!(super::verify(&file).findings, [mismatch("frames_root", &other, &root)]);

    let file = super::sealed();
    tamper::manifest(&file.path, &format!("\"{root}\""), "null");
    assert_eq!(super::verify(&file).findings, [mismatch("frames_root", "none", &root)]);
}

/// Makes the frame stored under `first_seq` undecodable.
fn cut(path: &std::path::Path, first_seq: u64) {
    tamper::frame_bytes(path, first_seq, |bytes| bytes.truncate(10));
}

fn cut_short(first_seq: u64) -> Finding {
    let error = "frame has 10 bytes, but its header asks for 64".to_owned();
    Finding::FrameDamaged { first_seq, error }
}

#[test]
fn a_damaged_last_frame_hides_the_end() {
    assert_eq!(findings(|path| cut(path, 7)), [cut_short(7)]);
    // Fields that do not depend on the end are still compared.
    let found = findings(|path| {
        cut(path, 7);
        tamper::manifest(path, "\"start_ts_init\":1700000000000000001", "\"start_ts_init\":5");
    });
    assert_eq!(found, [cut_short(7), mismatch("start_ts_init", "5", "1700000000000000001")]);
}

#[test]
fn a_lost_frame_may_explain_the_end_time() {
    let late = Message { ts_init: 5_000, ..Message::nth(4) };
    let file = SealedFile::record(&[messages(1, 3), vec![late], messages(5, 6)]);
    tamper::remove_frame(&file.path, 4);
    let lost = [Finding::Gap { from: 4, to: 4 }, unlinked(5)];
    assert_eq!(verify(&file).findings, lost);
    // The entries that are left have no larger time than the manifest says.
    tamper::manifest(&file.path, "\"end_ts_init\":5000", "\"end_ts_init\":1005");
    let found = verify(&file).findings;
    assert_eq!(found, [&lost[..], &[mismatch("end_ts_init", "1005", "1006")]].concat());
}
