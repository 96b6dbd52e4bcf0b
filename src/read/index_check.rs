//! Whether the index has exactly the rows that follow from the frames. The rows of both sides are
//! summed up for each stretch of the log, in whatever order they come. Only where the sums differ
//! are the rows compared.

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
use crate::model::{IndexKind, RunManifest, RunStatus};
use crate::store::{BackendFault, ReadFault, RunReader};

/// Sums up the rows that follow from frames. Each has random hash keys of its own, which its clones
/// share, so that nobody can make up rows with the sum of others.
#[derive(Debug, Clone, Default)]
pub(super) struct RowSummer {
    hasher: RandomState,
    /// Those of the frame that is being walked.
    rows: FrameKeys,
}

/// A count of rows and the sum of their keyed hashes. Equal sets of rows have equal sums; different
/// sets have them with a probability of one in 2⁶⁴.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RowSum {
    rows: u64,
    hashes: u64,
}

impl RowSummer {
    /// Adds an entry that is as it was recorded. Others bear out no row of the index.
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

    /// Adds an entry of a frame that is not added by its sum.
    pub(super) fn entry(&mut self, record: &RecordView<'_>) {
        self.summer.entry(record);
    }

    /// Ends the frame stored under `key`, whose entries were added one by one.
    pub(super) fn frame_ends(&mut self, key: u64) {
        let sum = self.summer.frame_ends();
        self.accept(key, sum);
    }

    /// Adds the whole frame stored under `key`.
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

/// The rows the index should have for a range of the log, to say row by row what is wrong with it.
/// One range is compared after the other, each where something is wrong, so that memory is bounded;
/// for each the whole index is walked.
struct Slice {
    first: u64,
    last: u64,
    /// In order.
    expected: Vec<KeyRow>,
}

impl Slice {
    /// Reads the frames that begin in a range of the log. The last range is open: of a run that
    /// grows it takes in what is new, for the index has that too.
    fn gather(source: &dyn RunReader, first: u64, last: u64) -> Result<Self, ReadFault> {
        let mut expected = Vec::new();
        let (mut lanes, mut hashes) = (BatchHasher::default(), Vec::new());
        let mut keys = FrameKeys::default();
        let mut from = Some(first);
        while let Some(at) = from
            && let Some((first_seq, bytes)) = source.frame_at_or_after(at)?
            && first_seq <= last
        {
            // What is damaged bears out no row. The walk over the entries reports it.
            if let Ok(frame) = open_frame(first_seq, bytes) {
                frame.view().hash_records(&mut lanes, &mut hashes);
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

    /// Names every row that the index has too many or too few.
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

/// What is wrong where the index does not have a row: whoever looks up the key does not find it, or
/// takes a later entry for the first.
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

/// The key that an entry is expected to be found by; `None` where the entry is damaged.
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

/// Shows each block of the index, as it is stored.
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

/// The rows of a block; none where it has no whole ones.
fn rows_of(bytes: &[u8]) -> &[KeyRow] {
    KeyBlock::parse(bytes).map_or(&[], |block| block.rows())
}

/// A hash as it is printed.
fn hash_text(hash: u64) -> String {
    format!("{hash:016x}")
}
