use super::KeyRow;

/// About how many rows make a chunk: 1 MiB of them, which fits into a processor's cache.
const CHUNK_ROWS: usize = 64 << 10;

/// Merges sorted sequences of rows in bounded memory. It holds a share of each sequence, and reads
/// on when a share is used up.
#[derive(Debug)]
pub(crate) struct KeyMerge<T> {
    sources: Vec<Source<T>>,
    rows_max: usize,
}

#[derive(Debug)]
struct Source<T> {
    sequence: T,
    rows: Vec<KeyRow>,
    taken: usize,
}

/// A request to read a sequence on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<T> {
    /// The sequence.
    pub(crate) sequence: T,
    /// The last row that was read; `None` at first.
    pub(crate) after: Option<KeyRow>,
    /// The most rows to read, at least one.
    pub(crate) rows_max: usize,
}

impl<T: Copy> KeyMerge<T> {
    /// Merges `sequences`. Holds up to `rows_max` rows of all of them together, or one row of each.
    pub(crate) fn new(sequences: impl IntoIterator<Item = T>, rows_max: usize) -> Self {
        let source = |sequence| Source { sequence, rows: Vec::new(), taken: 0 };
        Self { sources: sequences.into_iter().map(source).collect(), rows_max }
    }

    /// Writes the next rows to `chunk`, which is cleared first. `chunk` stays empty at the end.
    /// `read` appends the wanted rows to the empty buffer that it gets, and nothing at the end of
    /// the sequence.
    pub(crate) fn next_chunk<E>(
        &mut self,
        chunk: &mut Vec<KeyRow>,
        mut read: impl FnMut(Wanted<T>, &mut Vec<KeyRow>) -> Result<(), E>,
    ) -> Result<(), E> {
        chunk.clear();
        let rows_max = self.share_of(self.rows_max);
        for source in self.sources.iter_mut().filter(|source| source.rest().is_empty()) {
            let after = source.rows.last().copied();
            source.rows.clear();
            source.taken = 0;
            read(Wanted { sequence: source.sequence, after, rows_max }, &mut source.rows)?;
        }
        self.sources.retain(|source| !source.rest().is_empty());
        let share = self.share_of(CHUNK_ROWS);
        // All rows up to the bound are in memory, because every source has a row at or after it.
        // And no source has more than its share of them.
        let Some(bound) = self.sources.iter().map(|source| source.row_within(share)).min() else {
            return Ok(());
        };
        for source in &mut self.sources {
            let rows = source.rest();
            let rows = &rows[..rows.partition_point(|row| *row <= bound)];
            chunk.extend_from_slice(rows);
            source.taken += rows.len();
        }
        // The standard library's stable sort finds the sorted pieces and merges them.
        chunk.sort();
        Ok(())
    }

    fn share_of(&self, rows: usize) -> usize {
        rows / self.sources.len().max(1) + 1
    }
}

impl<T> Source<T> {
    fn rest(&self) -> &[KeyRow] {
        &self.rows[self.taken..]
    }

    /// The row `rows` places on, or the last in memory.
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

    /// Any number of sequences of any length; a row is a number.
    fn sequences() -> impl Strategy<Value = Vec<Vec<u128>>> {
        let rows = prop::collection::btree_set(0_u128..50_000, 0..9_000);
        prop::collection::vec(rows.prop_map(|rows| rows.into_iter().collect()), 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn merging_gives_all_rows_in_order(
            sequences in sequences(), rows_max in prop_oneof![0_usize..8, 0_usize..50_000]
        ) {
            let mut merge = KeyMerge::new(0..sequences.len(), rows_max);
            let (mut merged, mut chunk) = (Vec::new(), Vec::new());
            loop {
                let read = |wanted: Wanted<usize>, rows: &mut Vec<KeyRow>| {
                    let all = &sequences[wanted.sequence];
                    let read = |after: KeyRow| all.partition_point(|row| *row <= after.as_u128());
                    let rest = &all[wanted.after.map_or(0, read)..];
                    rows.extend(rest.iter().take(wanted.rows_max).map(|row| KeyRow::from_u128(*row)));
                    Ok::<_, Infallible>(())
                };
                let Ok(()) = merge.next_chunk(&mut chunk, read);
                if chunk.is_empty() {
                    break;
                }
                let held: usize = merge.sources.iter().map(|source| source.rows.len()).sum();
                prop_assert!(held <= rows_max + sequences.len());
                prop_assert!(chunk.len() <= CHUNK_ROWS + sequences.len());
                merged.extend(chunk.iter().map(|row| row.as_u128()));
            }
            let mut expected = sequences.concat();
            expected.sort_unstable();
            prop_assert_eq!(merged, expected);
        }
    }
}
