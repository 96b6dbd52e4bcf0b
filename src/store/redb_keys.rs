//! The key blocks of a run file: their table, and what the three users share. `write` adds the rows
//! of a frame, `sort` makes one sequence of all rows at seal, `search` finds a row.

use std::ops::Range;

use redb::{Table, TableDefinition};
use zerocopy::IntoBytes;

use super::BackendFault;
use crate::format::{KeyBlock, KeyBlockError, KeyBlockId, KeyRow, KeyTier};

mod search;
mod sort;
#[cfg(test)]
mod tests;
mod write;

pub(super) use search::find_row;
pub(super) use sort::sort_blocks;
pub(super) use write::KeyWriter;

/// From tier and first row of a block to the block.
pub(super) const KEYS: TableDefinition<'_, TableKey, &[u8]> = TableDefinition::new("keys");

pub(super) type TableKey = (u16, u128);
type KeyTable<'txn> = Table<'txn, TableKey, &'static [u8]>;

pub(super) const fn table_key(id: KeyBlockId) -> TableKey {
    (id.tier.as_u16(), id.first.as_u128())
}

pub(super) const fn block_id((tier, first): TableKey) -> KeyBlockId {
    KeyBlockId { tier: KeyTier::from_u16(tier), first: KeyRow::from_u128(first) }
}

const fn start_of(tier: KeyTier) -> TableKey {
    table_key(KeyBlockId::start_of(tier))
}

/// redb trusts the order of a tree's pages. In a damaged tree it may return a row outside the range
/// that was asked for. A walk that accepted such a row could go back and never end, and a search
/// would give a wrong answer.
pub(super) fn check_order(is_asked_for: bool, table: &str) -> Result<(), BackendFault> {
    if is_asked_for {
        return Ok(());
    }
    Err(BackendFault::corrupted(format!("the rows of the table of {table} are not in order")))
}

fn malformed(error: KeyBlockError) -> redb::Error {
    redb::Error::Corrupted(error.to_string())
}

/// The rows of a block, checked. A merge writes them again, and must not spread damage.
fn checked(key: TableKey, bytes: &[u8]) -> Result<&[KeyRow], redb::Error> {
    let block = KeyBlock::parse(bytes).map_err(malformed)?;
    block.check(block_id(key)).map_err(malformed)?;
    Ok(block.rows())
}

/// Moves all blocks of some tiers out of the table, and appends their rows to `rows`.
fn take_blocks(
    table: &mut KeyTable<'_>,
    tiers: Range<KeyTier>,
    rows: &mut Vec<KeyRow>,
) -> Result<(), redb::Error> {
    let blocks = start_of(tiers.start)..start_of(tiers.end);
    for block in table.extract_from_if(blocks, |_, _| true)? {
        let (key, bytes) = block?;
        rows.extend_from_slice(checked(key.value(), bytes.value())?);
    }
    Ok(())
}

/// Stores a sorted sequence in blocks of a tier.
fn insert_sequence(
    table: &mut KeyTable<'_>,
    tier: KeyTier,
    rows: &[KeyRow],
) -> Result<(), redb::Error> {
    for block in tier.blocks(rows) {
        let key = table_key(KeyBlockId { tier, first: block[0] });
        if table.insert(key, block.as_bytes())?.is_some() {
            // Another block has the same first row. It would be lost.
            return Err(malformed(KeyBlockError::Overlap));
        }
    }
    Ok(())
}
