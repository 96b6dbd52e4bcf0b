use std::ops::Range;

use redb::{ReadableTable, WriteTransaction};

use super::{
    KEYS, KeyTable, TableKey, checked, insert_sequence, malformed, start_of, table_key, take_blocks,
};
use crate::format::{
    KEY_BLOCK_ROWS_MAX, KeyBlockError, KeyBlockId, KeyMerge, KeyRow, KeyTier, Wanted,
};

/// Merges all blocks into one sorted sequence of full blocks, one segment of hashes after the
/// other. About `rows_max` rows are in memory at a time.
pub(in crate::store) fn sort_blocks(
    transaction: &WriteTransaction,
    rows_max: usize,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(KEYS)?;
    if table.range(start_of(KeyTier::LARGE.next())..)?.next().is_some() {
        // No writer makes such a tier before the run is sealed.
        return Err(malformed(KeyBlockError::Tier));
    }
    // The tiers below have few rows. They make one more large sequence.
    let mut small = Vec::new();
    take_blocks(&mut table, KeyTier::FIRST..KeyTier::LARGE, &mut small)?;
    small.sort();
    insert_sequence(&mut table, KeyTier::LARGE, &small)?;
    let mut sorted = SortedBlocks::default();
    let mut segment = Some(0);
    while let Some(hash) = segment {
        segment = KeyTier::LARGE.next_segment(hash);
        let end = match segment {
            Some(next) => table_key(KeyBlockId::before(KeyTier::LARGE, next)),
            None => start_of(KeyTier::LARGE.next()),
        };
        let start = table_key(KeyBlockId::before(KeyTier::LARGE, hash));
        merge_blocks(&mut table, start..end, rows_max, &mut sorted)?;
    }
    sorted.finish(&mut table)
}

/// Moves the rows of some blocks into the sorted sequence.
fn merge_blocks(
    table: &mut KeyTable<'_>,
    blocks: Range<TableKey>,
    rows_max: usize,
    sorted: &mut SortedBlocks,
) -> Result<(), redb::Error> {
    let keys: Result<Vec<TableKey>, redb::Error> =
        table.range(blocks)?.map(|block| Ok(block?.0.value())).collect();
    let keys = keys?;
    let mut merge = KeyMerge::new(keys.iter().copied(), rows_max);
    let mut chunk = Vec::new();
    loop {
        merge.next_chunk(&mut chunk, |wanted, rows| read_rows(table, wanted, rows))?;
        if chunk.is_empty() {
            break;
        }
        if !chunk.is_sorted_by(|a, b| a < b) {
            // Two blocks have the same row.
            return Err(malformed(KeyBlockError::Overlap));
        }
        sorted.append(table, &chunk)?;
    }
    for key in keys {
        table.remove(key)?;
    }
    Ok(())
}

fn read_rows(
    table: &KeyTable<'_>,
    Wanted { sequence: key, after, rows_max }: Wanted<TableKey>,
    rows: &mut Vec<KeyRow>,
) -> Result<(), redb::Error> {
    if let Some(bytes) = table.get(key)? {
        let all = checked(key, bytes.value())?;
        let rest = &all[all.partition_point(|row| Some(*row) <= after)..];
        rows.extend_from_slice(&rest[..rest.len().min(rows_max)]);
    }
    Ok(())
}

/// The sorted sequence. It is written from beginning to end, in full blocks.
#[derive(Default)]
struct SortedBlocks {
    pending: Vec<KeyRow>,
}

impl SortedBlocks {
    fn append(&mut self, table: &mut KeyTable<'_>, rows: &[KeyRow]) -> Result<(), redb::Error> {
        self.pending.extend_from_slice(rows);
        let full = self.pending.len() - self.pending.len() % KEY_BLOCK_ROWS_MAX;
        insert_sequence(table, KeyTier::SORTED, &self.pending[..full])?;
        self.pending.drain(..full);
        Ok(())
    }

    fn finish(self, table: &mut KeyTable<'_>) -> Result<(), redb::Error> {
        insert_sequence(table, KeyTier::SORTED, &self.pending)
    }
}
