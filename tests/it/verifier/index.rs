//! The index against the keys in the entries, both ways.

use tapline::read::Finding;

use super::{dangling, findings};
use crate::support::tamper;

fn missing(key: &str, seq: u64) -> Finding {
    let index_kind = "client_order_id".to_owned();
    Finding::IndexMissing { index_kind, key: key.to_owned(), seq }
}

fn wrong(key: &str, indexed: u64, seq: u64) -> Finding {
    let index_kind = "client_order_id".to_owned();
    Finding::IndexWrongSeq { index_kind, key: key.to_owned(), indexed, seq }
}

#[test]
fn a_key_nothing_mentions_is_dangling() {
    for seq in [1, 9, 10, u64::MAX, 0] {
        let found = findings(|path| tamper::put_key(path, &tamper::order_row("O-9"), seq));
        assert_eq!(found, [dangling("O-9", seq)]);
    }
}

#[test]
fn kinds_are_named_as_the_manifest_does() {
    for (kind, name) in [(2_u16, "venue_order_id"), (0, "kind 0"), (77, "kind 77")] {
        let row = [&kind.to_be_bytes()[..], b"X"].concat();
        let found = findings(|path| tamper::put_key(path, &row, 3));
        let (index_kind, key) = (name.to_owned(), "X".to_owned());
        assert_eq!(found, [Finding::IndexDangling { index_kind, key, seq: 3 }]);
    }
}

#[test]
fn a_key_absent_from_the_index_is_missing() {
    let found = findings(|path| tamper::remove_key(path, &tamper::order_row("O-6")));
    assert_eq!(found, [missing("O-6", 6)]);
    // Two entries mention this one.
    let found = findings(|path| tamper::remove_key(path, &tamper::order_row("O-2")));
    assert_eq!(found, [missing("O-2", 2), missing("O-2", 5)]);
}

#[test]
fn a_key_that_points_to_a_later_mention_has_the_wrong_seq() {
    let found = findings(|path| tamper::put_key(path, &tamper::order_row("O-2"), 5));
    assert_eq!(found, [wrong("O-2", 5, 2)]);
}

#[test]
fn a_key_that_points_to_an_entry_without_it_is_dangling() {
    let found = findings(|path| tamper::put_key(path, &tamper::order_row("O-6"), 3));
    assert_eq!(found, [dangling("O-6", 3)]);
    let found = findings(|path| tamper::put_key(path, &tamper::order_row("O-6"), 8));
    assert_eq!(found, [wrong("O-6", 8, 6), dangling("O-6", 8)]);
}

#[test]
fn a_key_that_points_to_a_damaged_entry_is_dangling() {
    let found = findings(|path| tamper::frame(path, 4, |frame| frame.records[2][8] ^= 1));
    let mismatch = Finding::HashMismatch { seq: 6 };
    assert_eq!(found, [mismatch, dangling("O-6", 6)]);
}

/// Rows too short to hold a kind, which lie before all others.
#[test]
fn a_row_that_is_no_key_is_found() {
    for row in [&[][..], &[0], &[1], &[255]] {
        let found = findings(|path| tamper::put_key(path, row, 3));
        assert!(
            matches!(found[..], [Finding::Unreadable { what: "index", .. }]),
            "{row:?}: {found:?}"
        );
    }
}
