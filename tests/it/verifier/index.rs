//! The index and the keys in the entries are compared in both directions.

use redb::ReadableTable;
use tapline::IndexKind;
use tapline::read::Finding;

use super::{batches, dangling, findings, verify};
use crate::support::places::SealedFile;
use crate::support::raw::{self, RawKeyRow};
use crate::support::{FrameMaker, Message, Place, tamper};

fn missing(key: &str, seq: u64) -> Finding {
    let index_kind = "client_order_id".to_owned();
    Finding::IndexMissing { index_kind, key: key.to_owned(), seq }
}

fn wrong(key: &str, indexed: u64, seq: u64) -> Finding {
    let index_kind = "client_order_id".to_owned();
    Finding::IndexWrongSeq { index_kind, key: key.to_owned(), indexed, seq }
}

/// The finding for a damaged block, by the key that it is stored under.
fn damaged((tier, first): (u16, u128), error: &str) -> Finding {
    let (hash, seq) = (format!("{:016x}", first >> 64), (first & u128::from(u64::MAX)) as u64);
    Finding::IndexDamaged { tier, hash, seq, error: error.to_owned() }
}

const ORDER: &str = "a key block has rows out of order";
const FIRST: &str = "a key block does not begin with the row it is stored under";
const TIER: &str = "a key block is stored in a tier it does not belong to";
const OVERLAP: &str = "a key block overlaps with the one before";

fn remove(rows: &mut Vec<RawKeyRow>, key: &str, seq: u64) {
    let row = tamper::order_row(key, seq);
    assert!(rows.contains(&row));
    rows.retain(|other| *other != row);
}

#[test]
fn a_row_nothing_bears_out_is_dangling() {
    for seq in [1, 9, 10, u64::MAX, 0] {
        let found = findings(|path| {
            tamper::keys(path, |rows| rows.push(tamper::order_row("O-9", seq)));
        });
        assert_eq!(found, [dangling("O-9", seq)]);
    }
}

#[test]
fn kinds_are_named_as_the_manifest_does() {
    for (kind, name) in [(2, "venue_order_id"), (0, "kind 0"), (77, "kind 77")] {
        let message = Message::nth(1).key(IndexKind::from_u16(kind), "X").order("O-1");
        let file = SealedFile::record(&[vec![message]]);
        let row = RawKeyRow { hash: raw::key_hash(kind, b"X"), seq: 1 };
        tamper::keys(&file.path, |rows| rows.retain(|other| *other != row));
        let (index_kind, key) = (name.to_owned(), "X".to_owned());
        assert_eq!(verify(&file).findings, [Finding::IndexMissing { index_kind, key, seq: 1 }]);
    }
}

#[test]
fn a_key_absent_from_the_index_is_missing() {
    let found = findings(|path| tamper::keys(path, |rows| remove(rows, "O-6", 6)));
    assert_eq!(found, [missing("O-6", 6)]);
    // Two frames mention this key.
    let found = findings(|path| {
        tamper::keys(path, |rows| {
            remove(rows, "O-2", 2);
            remove(rows, "O-2", 5);
        });
    });
    let mut expected = [missing("O-2", 2), missing("O-2", 5)];
    assert_eq!(found, expected);
    expected.reverse();
    let found = findings(|path| tamper::keys(path, |rows| remove(rows, "O-2", 5)));
    assert_eq!(found, expected[..1]);
}

#[test]
fn a_lost_index_misses_every_key() {
    let mut found = findings(|path| {
        tamper::edit(path, |transaction| {
            let mut table = transaction.open_table(tamper::KEYS).unwrap();
            while table.pop_first().unwrap().is_some() {}
        });
    });
    found.sort_by_key(ToString::to_string);
    assert_eq!(found, [missing("O-2", 2), missing("O-2", 5), missing("O-6", 6)]);
}

#[test]
fn a_later_mention_is_a_wrong_seq() {
    let found = findings(|path| tamper::keys(path, |rows| remove(rows, "O-2", 2)));
    assert_eq!(found, [wrong("O-2", 5, 2)]);
    // Within a frame only the first mention counts.
    let file =
        SealedFile::record(&[vec![Message::nth(1).order("O-1"), Message::nth(2).order("O-1")]]);
    tamper::keys(&file.path, |rows| rows[0].seq = 2);
    assert_eq!(verify(&file).findings, [dangling("O-1", 2), wrong("O-1", 2, 1)]);
}

#[test]
fn a_row_to_another_entry_is_dangling() {
    for seq in [3, 8] {
        let found = findings(|path| {
            tamper::keys(path, |rows| {
                remove(rows, "O-6", 6);
                rows.push(tamper::order_row("O-6", seq));
            });
        });
        assert_eq!(found, [dangling("O-6", seq), missing("O-6", 6)]);
    }
}

#[test]
fn a_row_to_a_damaged_entry_is_dangling() {
    let found = findings(|path| tamper::frame(path, 4, |frame| frame.records[2][8] ^= 1));
    let mismatch = Finding::HashMismatch { seq: 6 };
    assert_eq!(found, [mismatch, dangling("O-6", 6)]);
}

/// The findings when the three rows of the index are stored as these blocks.
fn found_of_blocks(
    blocks: impl FnOnce([RawKeyRow; 3]) -> Vec<((u16, u128), Vec<u8>)>,
) -> Vec<Finding> {
    findings(|path| {
        tamper::edit(path, |transaction| {
            let mut table = transaction.open_table(tamper::KEYS).unwrap();
            let (_, block) = table.pop_first().unwrap().unwrap();
            let rows = raw::key_rows(block.value()).try_into().expect("three rows");
            drop(block);
            for (id, block) in blocks(rows) {
                table.insert(id, block.as_slice()).unwrap();
            }
        });
    })
}

#[test]
fn rows_out_of_order_are_damage() {
    let mut first = (0, 0);
    let found = found_of_blocks(|[a, b, c]| {
        first = (255, a.number());
        vec![(first, raw::key_block(&[a, c, b]))]
    });
    assert_eq!(found, [damaged(first, ORDER)]);
    let found = found_of_blocks(|[a, b, c]| vec![(first, raw::key_block(&[a, b, b, c]))]);
    assert_eq!(found[0], damaged(first, ORDER));
    assert!(matches!(found[1..], [Finding::IndexDangling { .. }]), "{found:?}");
}

#[test]
fn misplaced_blocks_are_damage() {
    let mut row = 0;
    let found = found_of_blocks(|rows| {
        row = rows[1].number();
        vec![((255, row), raw::key_block(&rows))]
    });
    assert_eq!(found, [damaged((255, row), FIRST)]);
    // In a sealed run all blocks are sorted.
    for tier in [0, 1, 254, 256] {
        let found = found_of_blocks(|rows| {
            row = rows[0].number();
            vec![((tier, row), raw::key_block(&rows))]
        });
        assert_eq!(found, [damaged((tier, row), TIER)]);
    }
    let found = found_of_blocks(|[a, b, c]| {
        row = b.number();
        let (outer, inner) = (raw::key_block(&[a, c]), raw::key_block(&[b]));
        vec![((255, a.number()), outer), ((255, row), inner)]
    });
    assert_eq!(found, [damaged((255, row), OVERLAP)]);
    // Two blocks are as good as one.
    let found = found_of_blocks(|[a, b, c]| {
        let (one, two) = (raw::key_block(&[a, b]), raw::key_block(&[c]));
        vec![((255, a.number()), one), ((255, c.number()), two)]
    });
    assert_eq!(found, []);
}

#[test]
fn a_block_without_whole_rows_is_damage() {
    for cut in [0, 1, 15, 17, 47] {
        let mut first = (0, 0);
        let found = found_of_blocks(|rows| {
            first = (255, rows[0].number());
            vec![(first, raw::key_block(&rows)[..cut].to_vec())]
        });
        let error = format!("a key block has {cut} bytes, which is no whole number of rows");
        assert_eq!(found[0], damaged(first, &error));
        assert_eq!(found.len(), 4, "{found:?}");
    }
}

/// While a run is recorded, no block of a large tier crosses a segment.
#[test]
fn a_block_across_two_segments_is_damage() {
    let place = Place::disk(tapline::store::DiskMode::Buffered);
    FrameMaker::new().append_all(&mut *place.open(1), &batches()[1..2]);
    let (instance, run_id) = (crate::support::instance(), crate::support::run_id(1));
    let path = tapline::internals::run_path(place.folder(), &instance, run_id);
    let mut found = Vec::new();
    for tier in [0, 3, 5, 6] {
        let mut row = 0;
        tamper::key_block(&path, |block| {
            row = raw::key_rows(block)[0].number();
            (tier, row)
        });
        let store = place.open(1);
        let reader = store.reader().unwrap();
        let report = tapline::read::Verifier::new(reader).run(|_| {});
        found.extend(report.findings.into_iter().filter(|f| *f == damaged((tier, row), TIER)));
    }
    // In tier 5, all hashes of a block share their highest six bits. There is no tier 6.
    let tiers = found.iter().map(|finding| match finding {
        Finding::IndexDamaged { tier, .. } => *tier,
        other => panic!("{other}"),
    });
    assert_eq!(tiers.collect::<Vec<_>>(), [5, 6]);
}

/// Takes one row out of the sorted index.
fn remove_row(path: &std::path::Path, row: RawKeyRow) {
    tamper::edit(path, |transaction| {
        let mut table = transaction.open_table(tamper::KEYS).unwrap();
        let (id, mut rows) = {
            let up_to = table.range(..=(255, row.number())).unwrap().next_back();
            let (id, block) = up_to.expect("a block begins before the row").unwrap();
            (id.value(), raw::key_rows(block.value()))
        };
        rows.remove(rows.binary_search(&row).expect("the row is in its block"));
        table.remove(id).unwrap();
        table.insert((255, rows[0].number()), raw::key_block(&rows).as_slice()).unwrap();
    });
}

/// More rows than are compared at a time. One of the first and one of the last are missing.
#[test]
fn missing_rows_of_a_large_index_are_named() {
    const KEYS: usize = 16;
    const ENTRIES: usize = 500;
    let key = |entry: usize, n: usize| format!("K-{entry}-{n}");
    let message =
        |entry| (0..KEYS).fold(Message::nth(1), |message, n| message.order(&key(entry, n)));
    let entries: Vec<Message> = (1..=(1 << 20) / KEYS + 8 * ENTRIES).map(message).collect();
    let frames: Vec<Vec<Message>> = entries.chunks(ENTRIES).map(<[_]>::to_vec).collect();
    let file = SealedFile::record(&frames);
    let gone = [3, entries.len() - 5].map(|entry| (key(entry, 7), entry as u64));
    for (key, seq) in &gone {
        remove_row(&file.path, tamper::order_row(key, *seq));
    }
    assert_eq!(verify(&file).findings, gone.map(|(key, seq)| missing(&key, seq)));
}
