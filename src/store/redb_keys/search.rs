use redb::ReadableTable;

use super::{TableKey, block_id, malformed, start_of, table_key};
use crate::format::{KeyBlock, KeyBlockId, KeyRow, KeyTier};

/// The first row with the hash of `wanted` that is not below it. Searches every block that can have it:
/// of an unsealed run some in each tier, of a sealed one, one.
pub(in crate::store) fn find_row(
    table: &impl ReadableTable<TableKey, &'static [u8]>,
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
        for block in table.range(table_key(from)..=table_key(last))? {
            let (_, block) = block?;
            found = found.into_iter().chain(in_block(block.value())?).min();
        }
        tier = tier.next();
    }
    let sorted = |first| table_key(KeyBlockId { tier: KeyTier::SORTED, first });
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
