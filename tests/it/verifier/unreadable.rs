//! A part that the store cannot read is one finding. The rest is still verified.

use std::sync::Arc;

use tapline::read::{Finding, VerifyReport};
use tapline::store::RunReader;

use super::{sealed, verify_source};
use crate::support::doctored::{Doctored, Part};
use crate::support::tamper;

fn verify_without(part: Part) -> VerifyReport {
    let file = sealed();
    // One more finding, whatever else cannot be read.
    tamper::frame(&file.path, 1, |frame| frame.records[0][64] ^= 1);
    let source: Arc<dyn RunReader> = Doctored::broken(file.open(), part);
    verify_source(&source)
}

fn unreadable(what: &'static str) -> Finding {
    Finding::Unreadable { what, error: "out of order".to_owned() }
}

const DAMAGE: Finding = Finding::HashMismatch { seq: 1 };

#[test]
fn entries_are_verified_without_a_manifest() {
    let report = verify_without(Part::Manifest);
    assert_eq!(report.findings, [unreadable("manifest"), DAMAGE]);
    assert_eq!((report.run_id, report.status, report.root), (None, None, None));
    assert_eq!(report.entries_scanned, 9);
}

#[test]
fn unreadable_frames_are_found() {
    let report = verify_without(Part::Frames);
    assert_eq!(report.findings[0], unreadable("frames"));
    assert!(!report.findings.contains(&DAMAGE));
    assert_eq!(report.entries_scanned, 0);
}

#[test]
fn an_unreadable_names_table_is_found() {
    let report = verify_without(Part::Names);
    assert_eq!(report.findings[..2], [DAMAGE, unreadable("names table")]);
}

#[test]
fn an_unreadable_index_is_found() {
    assert_eq!(verify_without(Part::Index).findings, [DAMAGE, unreadable("index")]);
}

#[test]
fn an_unreadable_anchor_is_found() {
    let error = "out of order".to_owned();
    let report = verify_without(Part::Anchor);
    assert_eq!(report.findings, [DAMAGE, Finding::AnchorUnreadable { error }]);
}

/// Unreadable parts do not make manifest, names or anchor wrong.
#[test]
fn an_unreadable_end_is_not_compared() {
    let file = sealed();
    let source: Arc<dyn RunReader> = Doctored::broken_from(file.open(), 7);
    assert_eq!(verify_source(&source).findings, [unreadable("frames")]);
}
