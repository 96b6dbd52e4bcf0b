//! The chain of roots.

use tapline::read::Finding;

use super::{dangling, findings, unlinked, wrong_root};
use crate::support::tamper;

#[test]
fn a_changed_root_breaks_two_links() {
    let found = findings(|path| tamper::frame(path, 4, |frame| frame.root[0] ^= 1));
    assert_eq!(found, [wrong_root(4), unlinked(7)]);
}

#[test]
fn a_changed_previous_root_breaks_the_chain() {
    let change = |frame: &mut crate::support::raw::RawFrame| frame.previous_root[0] ^= 1;
    for first_seq in [1, 4] {
        let found = findings(|path| tamper::frame(path, first_seq, change));
        assert_eq!(found, [unlinked(first_seq), wrong_root(first_seq)]);
    }
    // With its own root made to fit, the break moves on to the next frame.
    let found = findings(|path| {
        tamper::frame(path, 4, |frame| {
            change(frame);
            frame.reforge();
        });
    });
    assert_eq!(found, [unlinked(4), unlinked(7)]);
}

#[test]
fn a_changed_first_seq_breaks_the_chain() {
    let found = findings(|path| tamper::frame(path, 4, |frame| frame.first_seq = 5));
    let says_5 = Finding::SeqMismatch { stored_as: 4, says: 5 };
    let keys = [dangling("O-2", 5), dangling("O-6", 6)];
    assert_eq!(found, [&[says_5, wrong_root(4)], &keys[..]].concat());
}

#[test]
fn a_frame_of_another_version_is_damaged() {
    let found = findings(|path| tamper::frame(path, 4, |frame| frame.version = 2));
    let error = "frame has version 2; this program reads version 1".to_owned();
    assert_eq!(found[..2], [Finding::FrameDamaged { first_seq: 4, error }, unlinked(7)]);
}
