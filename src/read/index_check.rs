//! Whether the index has exactly the rows that follow from the frames. Both sides are summed up in a
//! few words of memory, whatever their order; only where the sums differ the rows are compared.

use std::hash::{BuildHasher, RandomState};

use super::Finding;
use super::index_diff::name_differences;
use super::verifier::Findings;
use crate::format::{FrameKeys, KeyBlock, KeyBlockError, KeyBlockId, KeyRow, KeyTier, RecordView};
use crate::model::{RunManifest, RunStatus};
use crate::store::{ReadFault, RunReader};

/// Sums up the rows that follow from frames. Each has keys of its own, which its clones share, so that
/// nobody can make up rows that sum up to others.
#[derive(Debug, Clone, Default)]
pub(super) struct RowSums {
    hasher: RandomState,
    /// Of the frame that is being walked.
    rows: FrameKeys,
}

/// A count of rows and the sum of their keyed hashes: equal for equal sets of rows, and for different
/// ones with a probability of one in 2⁶⁴.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RowSum {
    rows: u64,
    hashes: u64,
}

impl RowSums {
    /// Takes up an entry that is as it was recorded. Others bear out no row of the index.
    pub(super) fn entry(&mut self, record: &RecordView<'_>) {
        self.rows.add(record);
    }

    /// The sum over the entries since the last frame ended.
    pub(super) fn frame_ends(&mut self) -> RowSum {
        let mut sum = RowSum::default();
        for row in self.rows.sort() {
            sum.add(&self.hasher, *row);
        }
        self.rows.clear();
        sum
    }
}

impl RowSum {
    fn add(&mut self, hasher: &RandomState, row: KeyRow) {
        self.join(Self { rows: 1, hashes: hasher.hash_one(row.as_u128()) });
    }

    fn join(&mut self, other: Self) {
        self.rows += other.rows;
        self.hashes = self.hashes.wrapping_add(other.hashes);
    }
}

/// Gathers what the index has to be while the frames are walked.
#[derive(Debug, Default)]
pub(super) struct IndexCheck {
    sums: RowSums,
    expected: RowSum,
}

impl IndexCheck {
    /// For another thread to sum up frames by.
    pub(super) fn sums(&self) -> RowSums {
        self.sums.clone()
    }

    /// Takes up an entry of a frame that is not taken by its sum.
    pub(super) fn entry(&mut self, record: &RecordView<'_>) {
        self.sums.entry(record);
    }

    /// Takes up that the entries of a frame are through.
    pub(super) fn frame_ends(&mut self) {
        let sum = self.sums.frame_ends();
        self.accept(sum);
    }

    /// Takes up a whole frame.
    pub(super) fn accept(&mut self, frame: RowSum) {
        self.expected.join(frame);
    }

    /// Compares the index with the frames that were walked.
    pub(super) fn finish(
        &self,
        source: &dyn RunReader,
        manifest: &RunManifest,
        findings: &mut Findings,
    ) {
        let compared = self.sum_up_index(source, manifest.status, findings).and_then(|found| {
            if found == self.expected {
                return Ok(());
            }
            name_differences(source, manifest, findings)
        });
        if let Err(error) = compared {
            findings.unreadable("index", &error);
        }
    }

    /// The rows of the index, whose blocks have to be well-formed.
    fn sum_up_index(
        &self,
        source: &dyn RunReader,
        status: RunStatus,
        findings: &mut Findings,
    ) -> Result<RowSum, ReadFault> {
        let mut sum = RowSum::default();
        let mut blocks = BlockCheck { status, sorted_up_to: None };
        for_each_block(source, |id, bytes| {
            if let Err(error) = blocks.check(id, bytes) {
                let KeyBlockId { tier, first } = id;
                let (tier, hash) = (tier.as_u16(), hash_text(first.hash()));
                let error = error.to_string();
                findings.push(Finding::IndexDamaged { tier, hash, seq: first.seq(), error });
            }
            for row in rows_of(bytes) {
                sum.add(&self.sums.hasher, *row);
            }
        })?;
        Ok(sum)
    }
}

/// Whether the blocks of a run are in order, one after the other.
struct BlockCheck {
    status: RunStatus,
    /// The last row of the sorted tier so far.
    sorted_up_to: Option<KeyRow>,
}

impl BlockCheck {
    fn check(&mut self, id: KeyBlockId, bytes: &[u8]) -> Result<(), KeyBlockError> {
        let block = KeyBlock::parse(bytes)?;
        block.check(id)?;
        if id.tier == KeyTier::SORTED {
            let before = std::mem::replace(&mut self.sorted_up_to, block.rows().last().copied());
            return if before < Some(id.first) { Ok(()) } else { Err(KeyBlockError::Overlap) };
        }
        // A run that is sealed in order has all its blocks sorted.
        let may_be_unsorted = matches!(self.status, RunStatus::Running | RunStatus::Quarantined);
        if may_be_unsorted { Ok(()) } else { Err(KeyBlockError::Tier) }
    }
}

/// Shows each block of the index, as it is stored.
pub(super) fn for_each_block(
    source: &dyn RunReader,
    mut visit: impl FnMut(KeyBlockId, &[u8]),
) -> Result<(), ReadFault> {
    let mut from = Some(KeyBlockId::start_of(KeyTier::FIRST));
    while let Some(at) = from
        && let Some((id, bytes)) = source.key_block_at_or_after(at)?
    {
        visit(id, &bytes);
        from = id.next();
    }
    Ok(())
}

/// The rows of a block; none where it has no whole ones.
pub(super) fn rows_of(bytes: &[u8]) -> &[KeyRow] {
    KeyBlock::parse(bytes).map_or(&[], |block| block.rows())
}

/// A hash as it is printed.
pub(super) fn hash_text(hash: u64) -> String {
    format!("{hash:016x}")
}
