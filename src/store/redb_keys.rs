//! The key blocks of a run file: put in frame by frame, merged as they gather, sorted at seal, and
//! searched.

use std::ops::RangeBounds;

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use zerocopy::IntoBytes;

use crate::format::{
    KEY_BLOCK_ROWS_MAX, KEY_ROW_BYTES, KeyBlock, KeyBlockError, KeyBlockId, KeyMerge, KeyRow,
    KeyTier,
};

/// Tier and first row of a block to the block.
pub(super) const KEYS: TableDefinition<'_, (u16, u128), &[u8]> = TableDefinition::new("keys");

type KeyTable<'txn> = Table<'txn, (u16, u128), &'static [u8]>;

/// About how many rows are in memory at seal, 64 MiB of them, while blocks are merged.
const SEAL_ROWS_MAX: usize = 4 << 20;

pub(super) const fn block_row(id: KeyBlockId) -> (u16, u128) {
    (id.tier.as_u16(), id.first.as_u128())
}

pub(super) const fn block_id((tier, first): (u16, u128)) -> KeyBlockId {
    KeyBlockId { tier: KeyTier::from_u16(tier), first: KeyRow::from_u128(first) }
}

const fn start_of(tier: KeyTier) -> (u16, u128) {
    block_row(KeyBlockId::start_of(tier))
}

fn malformed(error: KeyBlockError) -> redb::Error {
    redb::Error::Corrupted(error.to_string())
}

fn insert(table: &mut KeyTable<'_>, tier: KeyTier, rows: &[KeyRow]) -> Result<(), redb::Error> {
    table.insert(block_row(KeyBlockId { tier, first: rows[0] }), rows.as_bytes())?;
    Ok(())
}

/// Puts the rows of frames into the index.
#[derive(Debug, Default)]
pub(super) struct KeyWriter {
    /// The sequence under construction.
    rows: Vec<KeyRow>,
    /// How many rows each tier below [`KeyTier::LARGE`] has; `None` before they are counted.
    rows_in: Option<[usize; KeyTier::LARGE.as_u16() as usize]>,
}

impl KeyWriter {
    /// Adds the rows of one frame, in order. A tier that gets full is merged with them into the next.
    pub(super) fn add(
        &mut self,
        transaction: &WriteTransaction,
        rows: &[KeyRow],
    ) -> Result<(), redb::Error> {
        let mut table = transaction.open_table(KEYS)?;
        let mut rows_in = match self.rows_in {
            Some(rows_in) => rows_in,
            None => count_rows(&table)?,
        };
        self.rows.clear();
        self.rows.extend_from_slice(rows);
        let mut tier = KeyTier::of(self.rows.len());
        while let Some(rows) = rows_in.get_mut(usize::from(tier.as_u16())) {
            *rows += self.rows.len();
            if !tier.is_full_with(*rows) {
                break;
            }
            *rows = 0;
            while take_block(&mut table, start_of(tier)..start_of(tier.next()), &mut self.rows)?
                .is_some()
            {}
            // The standard library's stable sort finds the sorted stretches and merges them.
            self.rows.sort();
            tier = KeyTier::of(self.rows.len());
        }
        for block in tier.cut(&self.rows) {
            insert(&mut table, tier, block)?;
        }
        self.rows_in = Some(rows_in);
        Ok(())
    }
}

fn count_rows(
    table: &KeyTable<'_>,
) -> Result<[usize; KeyTier::LARGE.as_u16() as usize], redb::Error> {
    let mut rows_in = [0; KeyTier::LARGE.as_u16() as usize];
    for row in table.range(..start_of(KeyTier::LARGE))? {
        let (id, block) = row?;
        let (tier, _) = id.value();
        rows_in[usize::from(tier)] += block.value().len() / KEY_ROW_BYTES;
    }
    Ok(rows_in)
}

/// Merges all blocks into one sorted sequence of full ones, one range of hashes after the other.
pub(super) fn sort_blocks(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    sort_blocks_within(transaction, SEAL_ROWS_MAX)
}

fn sort_blocks_within(transaction: &WriteTransaction, rows_max: usize) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(KEYS)?;
    // What is not large is few rows.
    let mut small = Vec::new();
    while take_block(&mut table, ..start_of(KeyTier::LARGE), &mut small)?.is_some() {}
    small.sort();
    let mut small = small.as_slice();
    let mut sorted = Sequence::new(KeyTier::SORTED);
    let mut from = Some(0);
    while let Some(cut) = from {
        from = KeyTier::LARGE.next_cut(cut);
        let (here, rest) =
            small.split_at(small.partition_point(|row| from.is_none_or(|next| row.hash() < next)));
        small = rest;
        merge_cut(&mut table, cut, here, rows_max, &mut sorted)?;
    }
    sorted.finish(&mut table)
}

/// Merges `small` and the large blocks between two cuts. Where these have more rows than memory has room
/// for, some are merged and stored in a tier of their own for a while, and then merged again.
fn merge_cut(
    table: &mut KeyTable<'_>,
    cut: u64,
    small: &[KeyRow],
    rows_max: usize,
    sorted: &mut Sequence,
) -> Result<(), redb::Error> {
    let mut interim = KeyTier::SORTED;
    loop {
        let (mut merge, is_all) = first_sequences(table, cut, rows_max)?;
        if is_all {
            if !small.is_empty() {
                merge.add(KeyTier::FIRST, small.to_vec());
            }
            return append_merged(table, &mut merge, sorted);
        }
        interim = interim.next();
        let mut sequence = Sequence::new(interim);
        append_merged(table, &mut merge, &mut sequence)?;
        sequence.finish(table)?;
    }
}

/// Takes up large blocks behind a cut, and behind them sequences in tiers of their own, as many as
/// memory has room for, and says whether these are all.
fn first_sequences(
    table: &mut KeyTable<'_>,
    cut: u64,
    rows_max: usize,
) -> Result<(KeyMerge<KeyTier>, bool), redb::Error> {
    let blocks = match KeyTier::LARGE.next_cut(cut) {
        Some(next) => KeyBlockId::before(KeyTier::LARGE, next),
        None => KeyBlockId::start_of(KeyTier::LARGE.next()),
    };
    let blocks = block_row(KeyBlockId::before(KeyTier::LARGE, cut))..block_row(blocks);
    let mut merge = KeyMerge::new();
    let (mut rows, mut interim) = (0, KeyTier::SORTED.next());
    while rows < rows_max {
        let mut block = Vec::new();
        let mut taken = take_block(table, blocks.clone(), &mut block)?;
        if taken.is_none() {
            taken = take_block(table, start_of(interim).., &mut block)?;
        }
        let Some(KeyBlockId { tier, .. }) = taken else {
            return Ok((merge, true));
        };
        interim = interim.max(tier.next());
        rows += block.len();
        merge.add(tier, block);
    }
    Ok((merge, false))
}

/// Appends all rows of a merge to a sequence.
fn append_merged(
    table: &mut KeyTable<'_>,
    merge: &mut KeyMerge<KeyTier>,
    sequence: &mut Sequence,
) -> Result<(), redb::Error> {
    let mut chunk = Vec::new();
    loop {
        merge.next_chunk(&mut chunk, |tier, block| {
            if tier > KeyTier::SORTED {
                take_block(table, start_of(tier)..start_of(tier.next()), block)?;
            }
            Ok::<_, redb::Error>(())
        })?;
        if chunk.is_empty() {
            return Ok(());
        }
        sequence.append(table, &chunk)?;
    }
}

/// A sequence that is written from its beginning to its end, in full blocks.
struct Sequence {
    tier: KeyTier,
    pending: Vec<KeyRow>,
}

impl Sequence {
    fn new(tier: KeyTier) -> Self {
        Self { tier, pending: Vec::new() }
    }

    fn append(&mut self, table: &mut KeyTable<'_>, rows: &[KeyRow]) -> Result<(), redb::Error> {
        self.pending.extend_from_slice(rows);
        let blocks = self.pending.chunks_exact(KEY_BLOCK_ROWS_MAX);
        let rest = blocks.remainder().len();
        for block in blocks {
            insert(table, self.tier, block)?;
        }
        self.pending.drain(..self.pending.len() - rest);
        Ok(())
    }

    fn finish(self, table: &mut KeyTable<'_>) -> Result<(), redb::Error> {
        if self.pending.is_empty() { Ok(()) } else { insert(table, self.tier, &self.pending) }
    }
}

/// Takes the first block of a range out of the table and appends its rows to `block`.
fn take_block(
    table: &mut KeyTable<'_>,
    range: impl RangeBounds<(u16, u128)>,
    block: &mut Vec<KeyRow>,
) -> Result<Option<KeyBlockId>, redb::Error> {
    let first = table.range(range)?.next().transpose()?.map(|(row, _)| row.value());
    let Some(row) = first else {
        return Ok(None);
    };
    if let Some(bytes) = table.remove(row)? {
        let rows = KeyBlock::parse(bytes.value()).map_err(malformed)?.rows();
        block.extend_from_slice(rows);
    }
    Ok(Some(block_id(row)))
}

/// The first row with the hash of `wanted` that is not below it. Searches every block that can have it:
/// of an unsealed run some in each tier, of a sealed one, one.
pub(super) fn find_row(
    table: &impl ReadableTable<(u16, u128), &'static [u8]>,
    wanted: KeyRow,
) -> Result<Option<KeyRow>, redb::Error> {
    let in_block = |bytes: &[u8]| {
        let row = KeyBlock::parse(bytes).map_err(malformed)?.at_or_after(wanted);
        Ok::<_, redb::Error>(row.filter(|row| row.hash() == wanted.hash()))
    };
    let mut found: Option<KeyRow> = None;
    let mut tier = KeyTier::FIRST;
    // A sealed run has none of these tiers; one look tells.
    let is_unsorted = table.range(..start_of(KeyTier::SORTED))?.next().is_some();
    while is_unsorted && tier <= KeyTier::LARGE {
        let from = KeyBlockId::before(tier, wanted.hash());
        let last = KeyBlockId { tier, first: KeyRow::new(wanted.hash(), u64::MAX) };
        for block in table.range(block_row(from)..=block_row(last))? {
            let (_, block) = block?;
            found = found.into_iter().chain(in_block(block.value())?).min();
        }
        tier = tier.next();
    }
    let sorted = |first| block_row(KeyBlockId { tier: KeyTier::SORTED, first });
    let mut before = table.range(start_of(KeyTier::SORTED)..=sorted(wanted))?;
    let mut row = match before.next_back().transpose()? {
        Some((_, block)) => in_block(block.value())?,
        None => None,
    };
    if row.is_none() {
        // Or it is the first of the next block.
        let last = KeyRow::new(wanted.hash(), u64::MAX);
        let mut behind = table.range(sorted(wanted)..=sorted(last))?;
        row = behind.next().transpose()?.map(|(row, _)| block_id(row.value()).first);
    }
    Ok(found.into_iter().chain(row).min())
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase};

    use super::*;
    use crate::format::key_hash;
    use crate::model::IndexKind;

    /// A database with an index of `frames` frames of `rows` rows each, and all its rows.
    fn index(frames: u64, rows: u64) -> (Database, Vec<KeyRow>) {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let (mut writer, mut all) = (KeyWriter::default(), Vec::new());
        for frame in 0..frames {
            let transaction = database.begin_write().unwrap();
            let row = |n: u64| {
                // Every tenth row is of one hash, as of a key that all entries mention.
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
    fn no_tier_has_as_many_rows_as_the_next_begins_with() {
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

    /// Also where memory has room for a few blocks only, so that merged sequences are merged again.
    #[test]
    fn sorting_makes_one_sequence_of_full_blocks() {
        for (frames, rows, rows_max) in [
            (0, 0, SEAL_ROWS_MAX),
            (9, 1, SEAL_ROWS_MAX),
            (40, 9_000, SEAL_ROWS_MAX),
            (40, 9_000, 3_000),
        ] {
            let (database, all) = index(frames, rows);
            let transaction = database.begin_write().unwrap();
            sort_blocks_within(&transaction, rows_max).unwrap();
            transaction.commit().unwrap();
            let blocks = blocks(&database);
            let in_order: Vec<KeyRow> = blocks.iter().flat_map(|(_, rows)| rows.clone()).collect();
            assert_eq!(in_order, all);
            assert!(blocks.iter().all(|(id, _)| id.tier == KeyTier::SORTED));
            assert_eq!(blocks.len(), all.len().div_ceil(KEY_BLOCK_ROWS_MAX));
            assert_all_found(&database, &all);
        }
    }
}
