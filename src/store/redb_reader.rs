use std::ops::RangeBounds;
use std::sync::Arc;

use bytes::Bytes;
use redb::{
    Database, Key, OwnedAccessGuard, ReadOnlyDatabase, ReadOnlyTable, ReadTransaction,
    ReadableDatabase, TableDefinition, Value,
};

use super::redb_keys::{KEYS, block_id, check_order, find_row, table_key};
use super::redb_tables::{
    ANCHOR_ROW, FRAMES, NAMES, read_anchor, read_manifest, read_manifest_row, read_meta,
};
use super::{BackendFault, ReadFault, RunReader, Tail};
use crate::format::{FrameView, KeyBlockId, KeyRow, decode_manifest, run_root};
use crate::model::{Hash, RunManifest, SnapshotAnchor};

/// Reads a run out of a redb database.
pub(super) struct RedbReader<S>(pub(super) S);

/// What a read sees of a database.
pub(super) trait Snapshots: Send + Sync {
    /// Reads in one transaction.
    fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, ReadFault>,
    ) -> Result<T, ReadFault>;

    /// See [`RunReader::detach`].
    fn detach(&self, frame: Bytes) -> Bytes;

    /// Whether the trees need no check of their own, which costs a second read of each leaf.
    fn trees_are_trusted(&self) -> bool;
}

/// A live run: each read is a transaction of its own, and sees what is committed by then.
impl Snapshots for Arc<Database> {
    fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, ReadFault>,
    ) -> Result<T, ReadFault> {
        read(&self.begin_read().map_err(BackendFault::redb)?)
    }

    fn detach(&self, frame: Bytes) -> Bytes {
        // A frame on loan keeps its transaction open, and with it pages from being used again.
        Bytes::copy_from_slice(&frame)
    }

    /// They are this process's own, or redb has compared them with their checksums.
    fn trees_are_trusted(&self) -> bool {
        true
    }
}

/// A sealed run never changes, so that one transaction serves for all reads.
pub(super) struct SealedDatabase {
    transaction: ReadTransaction,
    // Closed after the transaction has ended.
    _database: ReadOnlyDatabase,
}

impl SealedDatabase {
    pub(super) fn new(database: ReadOnlyDatabase) -> Result<Self, BackendFault> {
        let transaction = database.begin_read().map_err(BackendFault::redb)?;
        Ok(Self { transaction, _database: database })
    }
}

impl Snapshots for SealedDatabase {
    fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, ReadFault>,
    ) -> Result<T, ReadFault> {
        read(&self.transaction)
    }

    fn detach(&self, frame: Bytes) -> Bytes {
        frame
    }

    fn trees_are_trusted(&self) -> bool {
        false
    }
}

impl<S: Snapshots> RedbReader<S> {
    fn table<K: Key, V: Value>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<ReadOnlyTable<K, V>, ReadFault> {
        self.0.read(|transaction| {
            Ok(transaction.open_table(definition).map_err(BackendFault::redb)?)
        })
    }

    fn frame(
        &self,
        range: impl RangeBounds<u64> + Clone,
        last: bool,
    ) -> Result<Option<(u64, Bytes)>, ReadFault> {
        let mut rows =
            self.table(FRAMES)?.range_owned(range.clone()).map_err(BackendFault::redb)?;
        let row = if last { rows.next_back() } else { rows.next() };
        let Some((first_seq, frame)) = row.transpose().map_err(BackendFault::redb)? else {
            return Ok(None);
        };
        let first_seq = first_seq.value();
        check_order(range.contains(&first_seq), "frames")?;
        Ok(Some((first_seq, Bytes::from_owner(PageBytes(frame)))))
    }

    /// Where the run ends: one read of the last frame.
    pub(super) fn tail(&self) -> Result<Tail, ReadFault> {
        let Some((first_seq, bytes)) = self.frame_at_or_before(u64::MAX)? else {
            return Ok(Tail { watermark: 0, root: Hash::from_bytes([0; 32]), names: 0 });
        };
        let frame =
            FrameView::parse(&bytes).map_err(|source| ReadFault::Frame { first_seq, source })?;
        let last_name = self.table(NAMES)?.range_owned::<u32>(..).map_err(BackendFault::redb)?;
        let last_name = { last_name }.next_back().transpose().map_err(BackendFault::redb)?;
        // A name numbered with the last number there is cannot be the engine's: the verifier reports it.
        let names = last_name.map_or(0, |(id, _)| id.value().saturating_add(1));
        Ok(Tail { watermark: frame.last_seq(), root: frame.root(), names })
    }
}

/// A value in redb's page cache, kept alive by its guard.
struct PageBytes(OwnedAccessGuard<&'static [u8]>);

impl AsRef<[u8]> for PageBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.value()
    }
}

impl<S: Snapshots> RunReader for RedbReader<S> {
    fn manifest(&self) -> Result<RunManifest, ReadFault> {
        self.0.read(read_manifest)
    }

    fn root(&self) -> Result<Option<Hash>, ReadFault> {
        self.0.read(|transaction| {
            let manifest = read_manifest_row(transaction)?;
            if !decode_manifest(&manifest)?.status.is_sealed() {
                return Ok(None);
            }
            let anchor = read_meta(transaction, ANCHOR_ROW)?.unwrap_or_default();
            Ok(Some(run_root(&manifest, &anchor)))
        })
    }

    fn watermark(&self) -> Result<u64, ReadFault> {
        Ok(self.tail()?.watermark)
    }

    fn anchor(&self) -> Result<Option<SnapshotAnchor>, ReadFault> {
        self.0.read(read_anchor)
    }

    fn frame_at_or_before(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        self.frame(..=seq, true)
    }

    fn frame_at_or_after(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        self.frame(seq.., false)
    }

    fn detach(&self, frame: Bytes) -> Bytes {
        self.0.detach(frame)
    }

    fn names(&self, from: u32) -> Result<Vec<(u32, String)>, ReadFault> {
        let rows = self.table(NAMES)?.range_owned(from..).map_err(BackendFault::redb)?;
        let mut next = from;
        rows.map(|row| {
            let (id, name) = row.map_err(BackendFault::redb)?;
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
        let rows = self.table(KEYS)?.range_owned(table_key(from)..).map_err(BackendFault::redb)?;
        let Some((row, block)) = { rows }.next().transpose().map_err(BackendFault::redb)? else {
            return Ok(None);
        };
        check_order(row.value() >= table_key(from), "index")?;
        Ok(Some((block_id(row.value()), Bytes::from_owner(PageBytes(block)))))
    }

    fn finds_frame(&self, first_seq: u64) -> Result<bool, ReadFault> {
        // A range would look into the next leaf too.
        Ok(self.0.trees_are_trusted()
            || self.table(FRAMES)?.get(first_seq).map_err(BackendFault::redb)?.is_some())
    }

    fn finds_key_block(&self, id: KeyBlockId) -> Result<bool, ReadFault> {
        Ok(self.0.trees_are_trusted()
            || self.table(KEYS)?.get(table_key(id)).map_err(BackendFault::redb)?.is_some())
    }
}
