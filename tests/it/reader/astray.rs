//! A search that a damaged index leads astray ends, with the right answer or with an error.

use std::path::Path;

use tapline::IndexKind;
use tapline::internals::error_chain;
use tapline::internals::format::KEY_BLOCK_ROWS_MAX;
use tapline::read::EventStoreReader;
use tapline::store::{BackendFault, ReadFault};

use crate::support::doctored::Doctored;
use crate::support::message::messages;
use crate::support::places::SealedFile;
use crate::support::raw::{self, RawKeyRow};
use crate::support::{assert_matches, pages, tamper};

#[test]
fn a_lookup_ends_when_the_index_leads_back() {
    let file = SealedFile::record(&[messages(1, 3), messages(4, 6)]);
    for back in [1, 3] {
        let mut asked = 0;
        let reader = EventStoreReader::new(Doctored::misled(file.open(), move |_from| {
            asked += 1;
            assert!(asked < 10, "the look-up goes round in circles");
            Some(back)
        }));
        let error = reader.lookup(IndexKind::CLIENT_ORDER_ID, "O-1").unwrap_err();
        let text = format!("from entry 4 on, the index leads back to entry {back}");
        assert_eq!(error_chain(&error), format!("the run file is damaged: {text}"));
    }
}

/// An answer that leads on is followed, even if it helps little.
#[test]
fn a_lookup_follows_the_index_to_its_end() {
    let file = SealedFile::record(&[messages(1, 3), messages(4, 6)]);
    let misled = Doctored::misled(file.open(), |from| (from <= 6).then_some(from.max(1)));
    let lookup = EventStoreReader::new(misled).lookup(IndexKind::CLIENT_ORDER_ID, "O-1");
    assert_eq!(lookup.unwrap(), None);
}

/// Eight full blocks of rows. One hash fills more than two of them.
fn rows() -> Vec<RawKeyRow> {
    let row = |n: u64| {
        let hash = if (2_000..3_300).contains(&n) { 2_000 } else { n };
        RawKeyRow { hash: hash << 48, seq: n + 1 }
    };
    (0..8 * KEY_BLOCK_ROWS_MAX as u64).map(row).collect()
}

/// A sealed run with these rows as its index.
fn indexed_by(rows: &[RawKeyRow]) -> SealedFile {
    let file = SealedFile::record(&[messages(1, 1)]);
    tamper::edit(&file.path, |transaction| {
        let mut table = transaction.open_table(tamper::KEYS).unwrap();
        for block in rows.chunks(KEY_BLOCK_ROWS_MAX) {
            let id = (255, block[0].number());
            table.insert(id, raw::key_block(block).as_slice()).unwrap();
        }
    });
    file
}

/// Rows to start searches from, each with the expected `seq`: at the ends of blocks, and between.
fn questions(rows: &[RawKeyRow]) -> Vec<(RawKeyRow, Option<u64>)> {
    let answer = |wanted: RawKeyRow| {
        let at = rows.partition_point(|row| *row < wanted);
        let found = rows.get(at).filter(|row| row.hash == wanted.hash);
        (wanted, found.map(|row| row.seq))
    };
    let ends = rows.chunks(KEY_BLOCK_ROWS_MAX).filter_map(|block| block.last());
    let asked = rows.iter().step_by(KEY_BLOCK_ROWS_MAX / 4).chain(ends);
    asked
        .flat_map(|row| {
            let RawKeyRow { hash, seq } = *row;
            [(hash, 0), (hash, seq), (hash, seq + 1), (hash + 1, 0)]
        })
        .map(|(hash, seq)| answer(RawKeyRow { hash, seq }))
        .collect()
}

/// Tier and row, as they stand in the tree.
const SEPARATOR_BYTES: usize = 2 + 16;

/// Where redb's inner pages have the first rows of blocks. Searches follow these.
fn separators(path: &Path, rows: &[RawKeyRow]) -> Vec<u64> {
    let places_of = |block: &[RawKeyRow]| {
        let mut separator = 255_u16.to_le_bytes().to_vec();
        separator.extend(block[0].number().to_le_bytes());
        assert_eq!(separator.len(), SEPARATOR_BYTES);
        pages::separators(path, &separator)
    };
    rows.chunks(KEY_BLOCK_ROWS_MAX).flat_map(places_of).collect()
}

/// Searches for everything. Returns how often that was an error.
fn search(file: &SealedFile, questions: &[(RawKeyRow, Option<u64>)], change: &str) -> usize {
    let source = file.open();
    let mut errors = 0;
    for (wanted, answer) in questions {
        match source.indexed(wanted.hash, wanted.seq) {
            Ok(found) => assert_eq!(found, *answer, "{wanted:?} with {change}"),
            Err(error) => {
                assert_matches!(error, ReadFault::Fault(BackendFault::Corrupted(_)));
                errors += 1;
            }
        }
    }
    errors
}

/// A search in redb follows its inner pages and checks no checksum on the way.
#[test]
fn a_damaged_tree_gives_no_wrong_answer() {
    let rows = rows();
    let (file, questions) = (indexed_by(&rows), questions(&rows));
    assert_eq!(search(&file, &questions, "no change"), 0);
    let separators = separators(&file.path, &rows);
    assert!(separators.len() >= 7, "eight blocks have seven separators: {separators:?}");
    let mut errors = 0;
    for at in separators {
        for bit in 8 * at..8 * (at + SEPARATOR_BYTES as u64) {
            pages::flip(&file.path, bit);
            errors += search(&file, &questions, &format!("bit {bit} flipped"));
            pages::flip(&file.path, bit);
        }
    }
    assert!(errors > 0, "nothing was led astray");
    assert_eq!(search(&file, &questions, "all undone"), 0);
}
