use std::ops::RangeBounds;

use redb::{AccessGuard, ReadableTable};

use super::{TableKey, block_id, check_order, start_of, table_key};
use crate::format::{KeyBlock, KeyBlockId, KeyRow, KeyTier};
use crate::store::{BackendFault, ReadFault};

/// The first row at or after `wanted` that has its hash. Searches every block that can have it: in
/// an unsealed run some blocks of each tier, in a sealed run one block.
pub(in crate::store) fn find_row(
    table: &impl ReadableTable<TableKey, &'static [u8]>,
    wanted: KeyRow,
) -> Result<Option<KeyRow>, ReadFault> {
    let unsorted = find_unsorted(table, wanted)?;
    let sorted = find_sorted(table, wanted)?;
    Ok(unsorted.into_iter().chain(sorted).min())
}

fn find_unsorted(
    table: &impl ReadableTable<TableKey, &'static [u8]>,
    wanted: KeyRow,
) -> Result<Option<KeyRow>, ReadFault> {
    let mut found: Option<KeyRow> = None;
    let mut tier = KeyTier::FIRST;
    // A sealed run has none of these tiers. One look tells.
    let is_unsorted = blocks_in(table, ..start_of(KeyTier::SORTED))?.next().is_some();
    while is_unsorted && tier <= KeyTier::LARGE {
        let from = KeyBlockId::before(tier, wanted.hash());
        let last = KeyBlockId { tier, first: KeyRow::new(wanted.hash(), u64::MAX) };
        for block in blocks_in(table, table_key(from)..=table_key(last))? {
            let (_, block) = block?;
            found = found.into_iter().chain(in_block(block.value(), wanted)?).min();
        }
        tier = tier.next();
    }
    Ok(found)
}

/// Makes two searches, for adjacent places in the tree. If a damaged page leads them astray, one of
/// them meets a block outside its range.
fn find_sorted(
    table: &impl ReadableTable<TableKey, &'static [u8]>,
    wanted: KeyRow,
) -> Result<Option<KeyRow>, ReadFault> {
    let sorted = |first| table_key(KeyBlockId { tier: KeyTier::SORTED, first });
    let up_to = start_of(KeyTier::SORTED)..=sorted(wanted);
    let before = blocks_in(table, up_to)?.next_back().transpose()?;
    if let Some((_, block)) = before
        && let Some(row) = in_block(block.value(), wanted)?
    {
        return Ok(Some(row));
    }
    // Otherwise it is the first row of the next block.
    let last = KeyRow::new(wanted.hash(), u64::MAX);
    let behind = blocks_in(table, sorted(wanted)..=sorted(last))?.next().transpose()?;
    Ok(behind.map(|(id, _)| id.first))
}

fn in_block(bytes: &[u8], wanted: KeyRow) -> Result<Option<KeyRow>, ReadFault> {
    let row = KeyBlock::parse(bytes).map_err(BackendFault::corrupted)?.at_or_after(wanted);
    Ok(row.filter(|row| row.hash() == wanted.hash()))
}

/// A block and its key.
type StoredBlock<'t> = (KeyBlockId, AccessGuard<'t, &'static [u8]>);

/// The blocks in `range`. Fails if redb returns a block outside it.
fn blocks_in<'t>(
    table: &'t impl ReadableTable<TableKey, &'static [u8]>,
    range: impl RangeBounds<TableKey> + Clone,
) -> Result<impl DoubleEndedIterator<Item = Result<StoredBlock<'t>, ReadFault>>, ReadFault> {
    let rows = table.range(range.clone()).map_err(ReadFault::redb)?;
    Ok(rows.map(move |row| -> Result<StoredBlock<'t>, ReadFault> {
        let (key, block) = row.map_err(ReadFault::redb)?;
        check_order(range.contains(&key.value()), "index")?;
        Ok((block_id(key.value()), block))
    }))
}
