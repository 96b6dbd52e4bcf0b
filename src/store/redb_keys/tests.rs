use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable};

use super::sort::sort_blocks;
use super::*;
use crate::format::{KEY_BLOCK_ROWS_MAX, key_hash};
use crate::model::IndexKind;

/// More rows than any test has.
const SEAL_ROWS_MAX: usize = 1 << 20;

/// A database with an index of `frames` frames, each of `rows` rows, and a list of all rows.
fn index(frames: u64, rows: u64) -> (Database, Vec<KeyRow>) {
    let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
    let (mut writer, mut all) = (KeyWriter::default(), Vec::new());
    for frame in 0..frames {
        let transaction = database.begin_write().unwrap();
        let row = |n: u64| {
            // Every tenth row has the same hash, as if all entries had one key.
            let key = if n.is_multiple_of(10) { 0 } else { n };
            KeyRow::new(key_hash(IndexKind::CLIENT_ORDER_ID, &key.to_le_bytes()), n)
        };
        let mut rows: Vec<KeyRow> = (frame * rows..(frame + 1) * rows).map(row).collect();
        rows.sort_unstable();
        writer.add(&transaction, &rows).unwrap();
        transaction.commit().unwrap();
        all.extend(rows);
        if frame % 5 == 0 {
            // As after a crash.
            writer = KeyWriter::default();
        }
    }
    all.sort_unstable();
    (database, all)
}

fn blocks(database: &Database) -> Vec<(KeyBlockId, Vec<KeyRow>)> {
    let table = database.begin_read().unwrap().open_table(KEYS).unwrap();
    let block = |row: Result<_, _>| {
        let (id, block): (redb::AccessGuard<'_, (u16, u128)>, redb::AccessGuard<'_, &[u8]>) =
            row.unwrap();
        let (id, block) = (block_id(id.value()), KeyBlock::parse(block.value()).unwrap());
        assert_eq!(block.check(id), Ok(()));
        (id, block.rows().to_vec())
    };
    table.iter().unwrap().map(block).collect()
}

fn rows_of(blocks: &[(KeyBlockId, Vec<KeyRow>)]) -> Vec<KeyRow> {
    let mut rows: Vec<KeyRow> = blocks.iter().flat_map(|(_, rows)| rows.clone()).collect();
    rows.sort_unstable();
    rows
}

fn assert_all_found(database: &Database, all: &[KeyRow]) {
    let table = database.begin_read().unwrap().open_table(KEYS).unwrap();
    let find = |hash, seq| find_row(&table, KeyRow::new(hash, seq)).unwrap();
    for pair in all.windows(2).step_by(37) {
        assert_eq!(find(pair[0].hash(), pair[0].seq()), Some(pair[0]));
        let next = Some(pair[1]).filter(|next| next.hash() == pair[0].hash());
        assert_eq!(find(pair[0].hash(), pair[0].seq() + 1), next);
        assert_eq!(find(pair[0].hash() ^ 1, 0), None);
    }
}

#[test]
fn every_tier_stays_smaller_than_the_next() {
    for (frames, rows) in [(700, 1), (120, 60), (30, 3_000), (9, 40_000)] {
        let (database, all) = index(frames, rows);
        let blocks = blocks(&database);
        assert_eq!(rows_of(&blocks), all);
        let mut tier = KeyTier::FIRST;
        while tier < KeyTier::LARGE {
            let in_tier = blocks.iter().filter(|(id, _)| id.tier == tier);
            let rows: usize = in_tier.map(|(_, rows)| rows.len()).sum();
            assert!(!tier.is_full_with(rows), "{rows} in {tier:?}");
            tier = tier.next();
        }
        assert_all_found(&database, &all);
    }
}

/// Memory is also limited to a part of each block, and to one row of each.
#[test]
fn sorting_makes_one_sequence_of_full_blocks() {
    for (frames, rows, rows_max) in [
        (0, 0, SEAL_ROWS_MAX),
        (9, 1, SEAL_ROWS_MAX),
        (40, 9_000, SEAL_ROWS_MAX),
        (40, 9_000, 3_000),
        (40, 9_000, 0),
    ] {
        let (database, all) = index(frames, rows);
        let transaction = database.begin_write().unwrap();
        sort_blocks(&transaction, rows_max).unwrap();
        transaction.commit().unwrap();
        let blocks = blocks(&database);
        let in_order: Vec<KeyRow> = blocks.iter().flat_map(|(_, rows)| rows.clone()).collect();
        assert_eq!(in_order, all);
        assert!(blocks.iter().all(|(id, _)| id.tier == KeyTier::SORTED));
        assert_eq!(blocks.len(), all.len().div_ceil(KEY_BLOCK_ROWS_MAX));
        assert_all_found(&database, &all);
    }
}

/// Sorting stops before it writes damaged rows again.
#[test]
fn a_damaged_index_is_not_sorted() {
    let (one, two) = (KeyRow::new(1, 1), KeyRow::new(u64::MAX, 2));
    let in_order = [one, two];
    let bytes = in_order.as_bytes();
    let outside = KeyTier::LARGE.next().as_u16()..=KeyTier::SORTED.as_u16() + 1;
    let damage = [
        (0, one, &bytes[..31]),
        (0, one, &bytes[..0]),
        (0, two, bytes),
        (0, one, [one, one].as_bytes()),
        (0, two, [two, one].as_bytes()),
        (5, one, bytes),
    ]
    .map(|(tier, first, bytes)| (tier, first, bytes.to_vec()));
    let strange_tiers = outside.map(|tier| (tier, one, one.as_bytes().to_vec()));
    for (tier, first, bytes) in damage.into_iter().chain(strange_tiers) {
        let (database, _) = index(1, 5);
        let transaction = database.begin_write().unwrap();
        let mut table = transaction.open_table(KEYS).unwrap();
        table.insert((tier, first.as_u128()), bytes.as_slice()).unwrap();
        drop(table);
        let sorted = sort_blocks(&transaction, SEAL_ROWS_MAX);
        assert!(matches!(sorted, Err(redb::Error::Corrupted(_))), "{tier} {bytes:?}: {sorted:?}");
    }
}

#[test]
fn a_row_in_two_blocks_stops_sorting() {
    for tier in [1, 5] {
        for row in 0..5 {
            let (database, all) = index(1, 5);
            let transaction = database.begin_write().unwrap();
            let mut table = transaction.open_table(KEYS).unwrap();
            table.insert((tier, all[row].as_u128()), all[row].as_bytes()).unwrap();
            drop(table);
            let sorted = sort_blocks(&transaction, SEAL_ROWS_MAX);
            assert!(matches!(sorted, Err(redb::Error::Corrupted(_))), "{tier} {row}: {sorted:?}");
        }
    }
}
