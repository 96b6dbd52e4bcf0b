use redb::{ReadableTable, WriteTransaction};

use super::{KEYS, KeyTable, insert_sequence, start_of, take_blocks};
use crate::format::{KEY_ROW_BYTES, KeyRow, KeyTier};

/// How many tiers are merged.
const MERGED: usize = KeyTier::LARGE.as_u16() as usize;

/// Adds the rows of frames to the index.
#[derive(Debug, Default)]
pub(in crate::store) struct KeyWriter {
    /// The sequence under construction.
    rows: Vec<KeyRow>,
    /// How many rows each tier below [`KeyTier::LARGE`] has; `None` before they are counted.
    rows_in: Option<[usize; MERGED]>,
}

impl KeyWriter {
    /// Adds the rows of one frame, in order. If they fill a tier, merges that tier and them into
    /// the next.
    pub(in crate::store) fn add(
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
            take_blocks(&mut table, tier..tier.next(), &mut self.rows)?;
            // The standard library's stable sort finds the sorted pieces and merges them.
            self.rows.sort();
            tier = KeyTier::of(self.rows.len());
        }
        insert_sequence(&mut table, tier, &self.rows)?;
        self.rows_in = Some(rows_in);
        Ok(())
    }
}

fn count_rows(table: &KeyTable<'_>) -> Result<[usize; MERGED], redb::Error> {
    let mut rows_in = [0; MERGED];
    for row in table.range(..start_of(KeyTier::LARGE))? {
        let (id, block) = row?;
        let (tier, _) = id.value();
        rows_in[usize::from(tier)] += block.value().len() / KEY_ROW_BYTES;
    }
    Ok(rows_in)
}
