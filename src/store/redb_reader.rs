use std::ops::RangeBounds;

use bytes::Bytes;
use redb::{
    Database, Key, OwnedAccessGuard, ReadOnlyTable, ReadTransaction, ReadableDatabase,
    TableDefinition, Value,
};

use super::redb_keys::{KEYS, block_id, check_order, find_row, table_key};
use super::redb_tables::{
    ANCHOR_ROW, FRAMES, LOG_ROW, NAMES, read_anchor, read_manifest, read_manifest_row, read_meta,
};
use super::{ReadFault, RunReader, Tail};
use crate::format::{FrameView, KeyBlockId, KeyRow, decode_manifest, frames_of_row, run_root};
use crate::model::{Hash, RunManifest, SnapshotAnchor};

/// Reads a run through one transaction. A sealed run never changes, so one transaction serves all
/// reads. A live run is read by [`LiveReader`](super::live_reader::LiveReader), which makes one of
/// these for each read.
pub(super) struct RedbReader {
    transaction: ReadTransaction,
    trees: Trees,
    /// Of a file that was not closed: it ends with this.
    _unclosed: Option<Database>,
}

/// What is known about the order of a file's trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trees {
    /// This process wrote them, or redb has compared them with their checksums.
    Trusted,
    /// They have to be checked here. That costs a second read of each leaf.
    Unchecked,
}

impl RedbReader {
    /// For a file that this process has open for writing. Sees what is committed.
    pub(super) fn live(transaction: ReadTransaction) -> Self {
        Self { transaction, trees: Trees::Trusted, _unclosed: None }
    }

    /// For a sealed file.
    pub(super) fn sealed(transaction: ReadTransaction) -> Self {
        Self { transaction, trees: Trees::Unchecked, _unclosed: None }
    }

    /// For a file that was left behind, and that redb has compared with its checksums.
    pub(super) fn left(database: Database) -> Result<Self, ReadFault> {
        let transaction = database.begin_read().map_err(ReadFault::redb)?;
        Ok(Self { transaction, trees: Trees::Trusted, _unclosed: Some(database) })
    }

    pub(super) fn manifest(&self) -> Result<RunManifest, ReadFault> {
        read_manifest(&self.transaction)
    }

    /// The anchor as stored. The run's root covers these bytes.
    pub(super) fn stored_anchor(&self) -> Result<Option<Vec<u8>>, ReadFault> {
        read_meta(&self.transaction, ANCHOR_ROW)
    }

    /// True if the run may have more in its log.
    pub(super) fn has_log(&self) -> Result<bool, ReadFault> {
        Ok(read_meta(&self.transaction, LOG_ROW)?.is_some())
    }

    fn table<K: Key, V: Value>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<ReadOnlyTable<K, V>, ReadFault> {
        self.transaction.open_table(definition).map_err(ReadFault::redb)
    }

    /// The first or last row of frames with a key in the range.
    fn row(
        &self,
        range: impl RangeBounds<u64> + Clone,
        last: bool,
    ) -> Result<Option<(u64, Bytes)>, ReadFault> {
        let mut rows = self.table(FRAMES)?.range_owned(range.clone()).map_err(ReadFault::redb)?;
        let row = if last { rows.next_back() } else { rows.next() };
        let Some((first_seq, row)) = row.transpose().map_err(ReadFault::redb)? else {
            return Ok(None);
        };
        let first_seq = first_seq.value();
        check_order(range.contains(&first_seq), "frames")?;
        Ok(Some((first_seq, Bytes::from_owner(PageBytes(row)))))
    }

    /// True if the frame is all of its row.
    fn has_row_alone(&self, frame: &[u8]) -> bool {
        let row = FrameView::parse(frame).map(|view| self.row(..=view.first_seq(), true));
        matches!(row, Ok(Ok(Some((_, row)))) if row.len() == frame.len())
    }

    /// Where the run ends. Reads the last frame.
    pub(super) fn tail(&self) -> Result<Tail, ReadFault> {
        let Some((first_seq, bytes)) = self.frame_at_or_before(u64::MAX)? else {
            return Ok(Tail { watermark: 0, root: Hash::ZERO, names: 0 });
        };
        let frame =
            FrameView::parse(&bytes).map_err(|source| ReadFault::Frame { first_seq, source })?;
        let last_name = self.table(NAMES)?.range_owned::<u32>(..).map_err(ReadFault::redb)?;
        let last_name = { last_name }.next_back().transpose().map_err(ReadFault::redb)?;
        // The engine never uses the last number. The verifier reports a name that has it.
        let names = last_name.map_or(0, |(id, _)| id.value().saturating_add(1));
        Ok(Tail { watermark: frame.last_seq(), root: frame.root(), names })
    }
}

/// A value in redb's page cache. The guard keeps it alive.
struct PageBytes(OwnedAccessGuard<&'static [u8]>);

impl AsRef<[u8]> for PageBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.value()
    }
}

impl RunReader for RedbReader {
    fn manifest(&self) -> Result<RunManifest, ReadFault> {
        self.manifest()
    }

    fn root(&self) -> Result<Option<Hash>, ReadFault> {
        let manifest = read_manifest_row(&self.transaction)?;
        if !decode_manifest(&manifest)?.status.is_sealed() {
            return Ok(None);
        }
        let anchor = self.stored_anchor()?.unwrap_or_default();
        Ok(Some(run_root(&manifest, &anchor)))
    }

    fn watermark(&self) -> Result<u64, ReadFault> {
        Ok(self.tail()?.watermark)
    }

    fn anchor(&self) -> Result<Option<SnapshotAnchor>, ReadFault> {
        read_anchor(&self.transaction)
    }

    fn frame_at_or_before(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        let Some((key, row)) = self.row(..=seq, true)? else {
            return Ok(None);
        };
        Ok(frames_of_row(key, row).take_while(|(first_seq, _)| *first_seq <= seq).last())
    }

    fn frame_at_or_after(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        if let Some((key, row)) = self.row(..=seq, true)?
            && let Some(frame) = frames_of_row(key, row).find(|(first_seq, _)| *first_seq >= seq)
        {
            return Ok(Some(frame));
        }
        let Some((key, row)) = self.row(seq.., false)? else {
            return Ok(None);
        };
        Ok(frames_of_row(key, row).next())
    }

    fn frames_behind(&self, first_seq: u64) -> Result<Vec<(u64, Bytes)>, ReadFault> {
        let Some((key, row)) = self.row(..=first_seq, true)? else {
            return Ok(Vec::new());
        };
        Ok(frames_of_row(key, row).skip_while(|(found, _)| *found <= first_seq).collect())
    }

    fn detach(&self, frame: Bytes) -> Bytes {
        // One that shares its row would keep all of the row in memory.
        if self.has_row_alone(&frame) { frame } else { Bytes::copy_from_slice(&frame) }
    }

    fn names(&self, from: u32) -> Result<Vec<(u32, String)>, ReadFault> {
        let rows = self.table(NAMES)?.range_owned(from..).map_err(ReadFault::redb)?;
        let mut next = from;
        rows.map(|row| {
            let (id, name) = row.map_err(ReadFault::redb)?;
            check_order(id.value() >= next, "names")?;
            next = id.value().saturating_add(1);
            Ok((id.value(), name.value().to_owned()))
        })
        .collect()
    }

    fn indexed(&self, hash: u64, from: u64) -> Result<Option<u64>, ReadFault> {
        let wanted = KeyRow::new(hash, from);
        let row = find_row(&self.table(KEYS)?, wanted)?;
        // In a damaged block a search may end at any row.
        check_order(row.is_none_or(|row| row >= wanted && row.hash() == hash), "index")?;
        Ok(row.map(KeyRow::seq))
    }

    fn key_block_at_or_after(
        &self,
        from: KeyBlockId,
    ) -> Result<Option<(KeyBlockId, Bytes)>, ReadFault> {
        let rows = self.table(KEYS)?.range_owned(table_key(from)..).map_err(ReadFault::redb)?;
        let Some((row, block)) = { rows }.next().transpose().map_err(ReadFault::redb)? else {
            return Ok(None);
        };
        check_order(row.value() >= table_key(from), "index")?;
        Ok(Some((block_id(row.value()), Bytes::from_owner(PageBytes(block)))))
    }

    fn finds_frame(&self, first_seq: u64) -> Result<bool, ReadFault> {
        if self.trees == Trees::Trusted {
            return Ok(true);
        }
        let Some((key, row)) = self.row(..=first_seq, true)? else {
            return Ok(false);
        };
        let has_frame = frames_of_row(key, row).any(|(found, _)| found == first_seq);
        // A range would also look into the next leaf.
        Ok(has_frame && self.table(FRAMES)?.get(key).map_err(ReadFault::redb)?.is_some())
    }

    fn finds_key_block(&self, id: KeyBlockId) -> Result<bool, ReadFault> {
        Ok(self.trees == Trees::Trusted
            || self.table(KEYS)?.get(table_key(id)).map_err(ReadFault::redb)?.is_some())
    }
}
