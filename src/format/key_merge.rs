use super::KeyRow;

/// About how many rows make a chunk: 1 MiB of them, which a processor's cache holds.
const CHUNK_ROWS: usize = 64 << 10;

/// Merges sorted sequences of rows, each of which comes block by block, in the memory of one block
/// of each.
#[derive(Debug)]
pub(crate) struct KeyMerge<T> {
    sources: Vec<Source<T>>,
}

#[derive(Debug)]
struct Source<T> {
    sequence: T,
    block: Vec<KeyRow>,
    taken: usize,
}

impl<T: Copy> KeyMerge<T> {
    pub(crate) const fn new() -> Self {
        Self { sources: Vec::new() }
    }

    /// Adds a sequence by its first block.
    pub(crate) fn add(&mut self, sequence: T, block: Vec<KeyRow>) {
        self.sources.push(Source { sequence, block, taken: 0 });
    }

    /// Writes the next rows to `chunk`, which is cleared first; none at the end. `next_block` appends
    /// the next block of a sequence to the empty buffer it is given, or leaves that empty.
    pub(crate) fn next_chunk<E>(
        &mut self,
        chunk: &mut Vec<KeyRow>,
        mut next_block: impl FnMut(T, &mut Vec<KeyRow>) -> Result<(), E>,
    ) -> Result<(), E> {
        chunk.clear();
        for source in self.sources.iter_mut().filter(|source| source.rest().is_empty()) {
            source.block.clear();
            source.taken = 0;
            next_block(source.sequence, &mut source.block)?;
        }
        self.sources.retain(|source| !source.rest().is_empty());
        let share = CHUNK_ROWS / self.sources.len().max(1) + 1;
        // Up to here every source has all its rows in memory, and none gives more than its share.
        let Some(bound) = self.sources.iter().map(|source| source.row_within(share)).min() else {
            return Ok(());
        };
        for source in &mut self.sources {
            let rows = source.rest();
            let rows = &rows[..rows.partition_point(|row| *row <= bound)];
            chunk.extend_from_slice(rows);
            source.taken += rows.len();
        }
        // The standard library's stable sort finds the sorted stretches and merges them.
        chunk.sort();
        Ok(())
    }
}

impl<T> Source<T> {
    fn rest(&self) -> &[KeyRow] {
        &self.block[self.taken..]
    }

    /// The row that many on, or the last of the block.
    fn row_within(&self, rows: usize) -> KeyRow {
        let rest = self.rest();
        rest[rest.len().min(rows) - 1]
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// Sequences of blocks of any length, by the rows' numbers.
    fn sequences() -> impl Strategy<Value = Vec<Vec<u128>>> {
        let rows = prop::collection::btree_set(0_u128..50_000, 0..9_000);
        prop::collection::vec(rows.prop_map(|rows| rows.into_iter().collect()), 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn merged_rows_are_those_of_all_sequences_in_order(
            sequences in sequences(), block_rows in 1_usize..10_000
        ) {
            let mut blocks: Vec<_> =
                sequences.iter().map(|rows| rows.chunks(block_rows)).collect();
            let rows = |block: &[u128]| block.iter().copied().map(KeyRow::from_u128).collect();
            let mut merge = KeyMerge::new();
            for (number, blocks) in blocks.iter_mut().enumerate() {
                if let Some(first) = blocks.next() {
                    merge.add(number, rows(first));
                }
            }
            let (mut merged, mut chunk) = (Vec::new(), Vec::new());
            loop {
                let next_block = |number: usize, block: &mut Vec<KeyRow>| {
                    let next: Vec<KeyRow> = blocks[number].next().map(rows).unwrap_or_default();
                    block.extend(next);
                    Ok::<_, Infallible>(())
                };
                let Ok(()) = merge.next_chunk(&mut chunk, next_block);
                if chunk.is_empty() {
                    break;
                }
                prop_assert!(chunk.len() <= CHUNK_ROWS + sequences.len());
                merged.extend(chunk.iter().map(|row| row.as_u128()));
            }
            let mut expected = sequences.concat();
            expected.sort_unstable();
            prop_assert_eq!(merged, expected);
        }
    }
}
