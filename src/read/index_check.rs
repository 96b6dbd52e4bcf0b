//! Checks that the index has exactly the rows that follow from the frames. Sums up the rows of both
//! sides for each segment of the log, in any order. Compares single rows only where the sums
//! differ.

use std::hash::{BuildHasher, RandomState};

use super::entry::{hashed_record, open_frame, record_of};
use super::finding::Findings;
use super::lookup::first_mention;
use super::point_read::PointRead;
use super::{Finding, ReadError};
use crate::format::{
    BatchHasher, FrameKeys, KeyBlock, KeyBlockError, KeyBlockId, KeyRow, KeyTier, RecordView,
    key_hash,
};
use crate::model::{IndexKind, RunManifest, RunStatus, error_chain};
use crate::store::{BackendFault, ReadFault, RunReader};

/// Sums up the index rows of frames. Each summer has random hash keys of its own, shared with its
/// clones. So nobody can make up other rows with the same sum.
#[derive(Debug, Clone, Default)]
pub(super) struct RowSummer {
    hasher: RandomState,
    /// The rows of the frame that is being walked.
    rows: FrameKeys,
}

/// A count of rows and the sum of their keyed hashes. Equal sets of rows have equal sums. Different
/// sets have equal sums with a probability of one in 2⁶⁴.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RowSum {
    rows: u64,
    hashes: u64,
}

impl RowSummer {
    /// Adds an entry that is as it was recorded. A damaged entry adds no row.
    pub(super) fn entry(&mut self, record: &RecordView<'_>) {
        self.rows.add(record);
    }

    /// The sum over the entries since the last call.
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

/// About how many rows a segment of the log has: 16 MiB of them.
const SEGMENT_ROWS: u64 = 1 << 20;

/// The rows of a segment of the log. It ends where the next segment begins.
#[derive(Debug, Default)]
struct Segment {
    first: u64,
    sum: RowSum,
}

/// Collects what the index should have, while the frames are walked.
#[derive(Debug)]
pub(super) struct IndexCheck {
    summer: RowSummer,
    /// In the order of the log. The segments cover all numbers.
    expected: Vec<Segment>,
}

impl IndexCheck {
    pub(super) fn new() -> Self {
        Self { summer: RowSummer::default(), expected: vec![Segment::default()] }
    }

    /// A summer for another thread, with the same keys.
    pub(super) fn summer(&self) -> RowSummer {
        self.summer.clone()
    }

    /// Adds an entry of a frame whose sum is not known.
    pub(super) fn entry(&mut self, record: &RecordView<'_>) {
        self.summer.entry(record);
    }

    /// Ends the frame stored under `key`. Its entries were added one by one.
    pub(super) fn frame_ends(&mut self, key: u64) {
        let sum = self.summer.frame_ends();
        self.accept(key, sum);
    }

    /// Adds the frame stored under `key` by its sum.
    pub(super) fn accept(&mut self, key: u64, frame: RowSum) {
        match self.expected.last_mut() {
            Some(Segment { sum, .. }) if sum.rows < SEGMENT_ROWS => sum.join(frame),
            _ => self.expected.push(Segment { first: key, sum: frame }),
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
        for ((segment, last), found) in self.expected.iter().zip(ends).zip(found) {
            if segment.sum != found {
                let slice = Slice::gather(source, segment.first, last)?;
                slice.compare(source, &frames, manifest, findings)?;
            }
        }
        Ok(())
    }

    /// The sums of the index rows in each segment. Also checks the blocks.
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
                let error = error_chain(&error);
                findings.push(Finding::IndexDamaged { tier, hash, seq: first.seq(), error });
            }
            for row in rows_of(bytes) {
                let begun = self.expected.partition_point(|segment| segment.first <= row.seq());
                found[begun - 1].add(&self.summer.hasher, *row);
            }
        })?;
        Ok(found)
    }
}

/// Checks that the blocks of a run are in order, one after the other.
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
        // A run that was sealed in order has only sorted blocks.
        let may_be_unsorted = matches!(self.status, RunStatus::Running | RunStatus::Quarantined);
        if may_be_unsorted { Ok(()) } else { Err(KeyBlockError::Tier) }
    }
}

/// The rows that the index should have for a part of the log, to find each wrong row. Only one part
/// with a wrong sum is in memory at a time. Each one walks the whole index.
struct Slice {
    first: u64,
    last: u64,
    /// In order.
    expected: Vec<KeyRow>,
}

impl Slice {
    /// Reads the frames that begin in a part of the log. The last part is open: it includes frames
    /// that were added meanwhile, because the index has their rows too.
    fn gather(source: &dyn RunReader, first: u64, last: u64) -> Result<Self, ReadFault> {
        let mut expected = Vec::new();
        let (mut hasher, mut hashes) = (BatchHasher::default(), Vec::new());
        let mut keys = FrameKeys::default();
        let mut from = Some(first);
        while let Some(at) = from
            && let Some((first_seq, bytes)) = source.frame_at_or_after(at)?
            && first_seq <= last
        {
            // A damaged entry adds no row. The walk over the entries reports it.
            if let Ok(frame) = open_frame(first_seq, bytes) {
                frame.view().hash_records(&mut hasher, &mut hashes);
                let seqs = first_seq..=frame.last_seq();
                for (record, _) in seqs.filter_map(|seq| hashed_record(&frame, seq, &hashes).ok()) {
                    keys.add(&record);
                }
                expected.extend_from_slice(keys.finish());
                keys.clear();
            }
            from = first_seq.checked_add(1);
        }
        expected.sort();
        Ok(Self { first, last, expected })
    }

    /// Reports every row that the index has too many or too few.
    fn compare(
        &self,
        source: &dyn RunReader,
        frames: &PointRead,
        manifest: &RunManifest,
        findings: &mut Findings,
    ) -> Result<(), ReadFault> {
        let mut found = vec![false; self.expected.len()];
        for_each_block(source, |_, bytes| {
            let slice = rows_of(bytes).iter().filter(|row| self.covers(**row));
            for row in slice {
                match self.expected.binary_search(row) {
                    Ok(at) if !std::mem::replace(&mut found[at], true) => {}
                    _ => findings.push(dangling_row(*row)),
                }
            }
        })?;
        for (row, _) in self.expected.iter().zip(found).filter(|(_, found)| !found) {
            findings.push_with(|| missing_row(source, frames, manifest, *row))?;
        }
        Ok(())
    }

    fn covers(&self, row: KeyRow) -> bool {
        (self.first..=self.last).contains(&row.seq())
    }
}

fn dangling_row(row: KeyRow) -> Finding {
    Finding::IndexDangling { hash: hash_text(row.hash()), seq: row.seq() }
}

/// The finding for a row that the index lacks: a look-up of the key fails, or returns a later
/// entry.
fn missing_row(
    source: &dyn RunReader,
    frames: &PointRead,
    manifest: &RunManifest,
    row: KeyRow,
) -> Result<Finding, ReadFault> {
    let seq = row.seq();
    let Some((kind, key)) = key_of(source, frames, row)? else {
        // It could be read a moment ago.
        return Ok(Finding::HashMismatch { seq });
    };
    let index_kind = kind_name(manifest, kind);
    let text = String::from_utf8_lossy(&key).into_owned();
    match first_mention(source, frames, kind, &key) {
        Ok(Some(indexed)) if indexed > seq => {
            Ok(Finding::IndexWrongSeq { index_kind, key: text, indexed, seq })
        }
        _ => Ok(Finding::IndexMissing { index_kind, key: text, seq }),
    }
}

/// The key that should lead to an entry; `None` if the entry is damaged.
fn key_of(
    source: &dyn RunReader,
    frames: &PointRead,
    row: KeyRow,
) -> Result<Option<(IndexKind, Vec<u8>)>, ReadFault> {
    let frame = match frames.frame(source, row.seq()) {
        Ok(Some(frame)) => frame,
        Err(ReadError::Store(fault)) => return Err(fault),
        Ok(None) | Err(_) => return Ok(None),
    };
    let Ok((record, _)) = record_of(&frame, row.seq()) else {
        return Ok(None);
    };
    let mut keys = record.keys().filter(|(kind, key)| key_hash(*kind, key) == row.hash());
    Ok(keys.next().map(|(kind, key)| (kind, key.to_vec())))
}

fn kind_name(manifest: &RunManifest, kind: IndexKind) -> String {
    manifest.index_kinds.name(kind).map_or_else(|| kind.to_string(), str::to_owned)
}

/// Calls `show` with each block of the index as stored.
fn for_each_block(
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

/// The rows of a block; none if it is no whole number of rows.
fn rows_of(bytes: &[u8]) -> &[KeyRow] {
    KeyBlock::parse(bytes).map_or(&[], |block| block.rows())
}

/// A hash in the form in which it is printed.
fn hash_text(hash: u64) -> String {
    format!("{hash:016x}")
}
