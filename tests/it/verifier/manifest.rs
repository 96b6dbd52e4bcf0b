//! The manifest against the entries.

use super::{findings, mismatch};
use crate::support::tamper;

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
fn a_start_that_is_not_the_run_s_is_a_mismatch() {
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
