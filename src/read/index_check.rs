//! Whether the index has exactly the rows that follow from the frames. Both sides are summed up, stretch
//! by stretch of the log, whatever their order; only where the sums differ the rows are compared.

use std::hash::{BuildHasher, RandomState};

use super::Finding;
use super::index_diff::Slice;
use super::point_read::PointRead;
use super::verifier::Findings;
use crate::format::{FrameKeys, KeyBlock, KeyBlockError, KeyBlockId, KeyRow, KeyTier, RecordView};
use crate::model::{RunManifest, RunStatus};
use crate::store::{BackendFault, ReadFault, RunReader};

/// Sums up the rows that follow from frames. Each has keys of its own, which its clones share, so that
/// nobody can make up rows that sum up to others.
#[derive(Debug, Clone, Default)]
pub(super) struct RowSummer {
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

impl RowSummer {
    /// Takes up an entry that is as it was recorded. Others bear out no row of the index.
    pub(super) fn entry(&mut self, record: &RecordView<'_>) {
        self.rows.add(record);
    }

    /// The sum over the entries since the last frame ended.
    pub(super) fn frame_ends(&mut self) -> RowSum {
        let mut sum = RowSum::default();
        for row in self.rows.finish() {
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

/// About how many rows a stretch of the log has: 16 MiB of them.
const STRETCH_ROWS: u64 = 1 << 20;

/// The rows of a stretch of the log, which reaches from `first` to where the next one begins.
#[derive(Debug, Default)]
struct Stretch {
    first: u64,
    sum: RowSum,
}

/// Gathers what the index has to be while the frames are walked.
#[derive(Debug)]
pub(super) struct IndexCheck {
    summer: RowSummer,
    /// In the order of the log. They cover all numbers there are.
    expected: Vec<Stretch>,
}

impl IndexCheck {
    pub(super) fn new() -> Self {
        Self { summer: RowSummer::default(), expected: vec![Stretch::default()] }
    }

    /// For another thread to sum up frames by.
    pub(super) fn summer(&self) -> RowSummer {
        self.summer.clone()
    }

    /// Takes up an entry of a frame that is not taken by its sum.
    pub(super) fn entry(&mut self, record: &RecordView<'_>) {
        self.summer.entry(record);
    }

    /// Takes up that the entries of the frame stored under `key` are through.
    pub(super) fn frame_ends(&mut self, key: u64) {
        let sum = self.summer.frame_ends();
        self.accept(key, sum);
    }

    /// Takes up the whole frame stored under `key`.
    pub(super) fn accept(&mut self, key: u64, frame: RowSum) {
        match self.expected.last_mut() {
            Some(Stretch { sum, .. }) if sum.rows < STRETCH_ROWS => sum.join(frame),
            _ => self.expected.push(Stretch { first: key, sum: frame }),
        }
    }

    /// Compares the index with the frames that were walked.
    pub(super) fn finish(
        &self,
        source: &dyn RunReader,
        manifest: &RunManifest,
        findings: &mut Findings,
    ) {
        if let Err(error) = self.compare(source, manifest, findings) {
            findings.unreadable("index", &error);
        }
    }

    fn compare(
        &self,
        source: &dyn RunReader,
        manifest: &RunManifest,
        findings: &mut Findings,
    ) -> Result<(), ReadFault> {
        let found = self.sum_up_index(source, manifest.status, findings)?;
        let frames = PointRead::default();
        let ends = self.expected.iter().skip(1).map(|next| next.first - 1).chain([u64::MAX]);
        for ((stretch, last), found) in self.expected.iter().zip(ends).zip(found) {
            if stretch.sum != found {
                let slice = Slice::gather(source, stretch.first, last)?;
                slice.compare(source, &frames, manifest, findings)?;
            }
        }
        Ok(())
    }

    /// The rows of the index in each stretch. Its blocks have to be well-formed.
    fn sum_up_index(
        &self,
        source: &dyn RunReader,
        status: RunStatus,
        findings: &mut Findings,
    ) -> Result<Vec<RowSum>, ReadFault> {
        let mut found = vec![RowSum::default(); self.expected.len()];
        let mut blocks = BlockCheck { status, sorted_up_to: None };
        for_each_block(source, |id, bytes| {
            if let Err(error) = blocks.check(id, bytes) {
                let KeyBlockId { tier, first } = id;
                let (tier, hash) = (tier.as_u16(), hash_text(first.hash()));
                let error = error.to_string();
                findings.push(Finding::IndexDamaged { tier, hash, seq: first.seq(), error });
            }
            for row in rows_of(bytes) {
                let begun = self.expected.partition_point(|stretch| stretch.first <= row.seq());
                found[begun - 1].add(&self.summer.hasher, *row);
            }
        })?;
        Ok(found)
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
        if !source.finds_key_block(id)? {
            let first = id.first;
            let (hash, seq) = (hash_text(first.hash()), first.seq());
            let error = format!("no search finds the block from hash {hash}, seq {seq}");
            return Err(BackendFault::corrupted(error).into());
        }
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
