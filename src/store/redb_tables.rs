//! The tables of a run file, and the conversions between their rows and our words.

use redb::{ReadTransaction, TableDefinition, TableError, WriteTransaction};

use super::{BackendFault, ReadFault};
use crate::format::{
    FORMAT_VERSION, FrameView, SealedFrame, decode_anchor, decode_manifest, encode_manifest,
};
use crate::model::{IndexKind, RunManifest, SnapshotAnchor};

/// First `seq` of a frame to the frame.
pub(super) const FRAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("frames");
/// Kind (big-endian) and key to the first `seq` that mentions the key.
pub(super) const KEYS: TableDefinition<'_, &[u8], u64> = TableDefinition::new("keys");
/// Number of a topic or payload type to its text.
pub(super) const NAMES: TableDefinition<'_, u32, &str> = TableDefinition::new("names");
/// `format`, `manifest`, `anchor`.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

pub(super) const FORMAT_ROW: &str = "format";
pub(super) const MANIFEST_ROW: &str = "manifest";
pub(super) const ANCHOR_ROW: &str = "anchor";

/// The row of an index key: the kind in front, big-endian, so that a kind's keys lie together.
pub(super) fn key_row(kind: IndexKind, key: &[u8]) -> Vec<u8> {
    [&kind.as_u16().to_be_bytes(), key].concat()
}

/// The kind and the key of a row.
pub(super) fn split_key_row(row: &[u8]) -> Result<(IndexKind, &[u8]), BackendFault> {
    let (kind, key) = row
        .split_first_chunk()
        .ok_or_else(|| BackendFault::corrupted("an index row is shorter than its kind"))?;
    Ok((IndexKind::from_u16(u16::from_be_bytes(*kind)), key))
}

pub(super) fn write_new_run(
    transaction: &WriteTransaction,
    manifest: &RunManifest,
) -> Result<(), redb::Error> {
    // All tables exist from the first commit on, so that readers never have to ask.
    transaction.open_table(FRAMES)?;
    transaction.open_table(KEYS)?;
    transaction.open_table(NAMES)?;
    let mut meta = transaction.open_table(META)?;
    meta.insert(FORMAT_ROW, FORMAT_VERSION.to_le_bytes().as_slice())?;
    meta.insert(MANIFEST_ROW, encode_manifest(manifest).as_slice())?;
    Ok(())
}

/// Writes a frame, its new names and its index keys.
pub(super) fn write_frame(
    transaction: &WriteTransaction,
    frame: &SealedFrame<'_>,
    keys: &mut KeyBatch,
) -> Result<(), redb::Error> {
    // `insert` of a finished frame copies it once. `insert_reserve`, to build it in place, would
    // zero a buffer of that size first and copy it (redb 4.4): measured 2.3 times slower.
    transaction.open_table(FRAMES)?.insert(frame.first_seq(), frame.bytes())?;
    if frame.has_names() {
        let mut names = transaction.open_table(NAMES)?;
        for (id, name) in frame.names() {
            names.insert(id, name)?;
        }
    }
    if frame.has_keys() {
        keys.collect(&frame.view());
        let mut table = transaction.open_table(KEYS)?;
        for (row, seq) in keys.first_mentions() {
            // One descent for a fresh key, the usual case. A key that was there gets its older
            // `seq` back.
            let previous = table.insert(row, seq)?.map(|previous| previous.value());
            if let Some(previous) = previous {
                table.insert(row, previous)?;
            }
        }
    }
    Ok(())
}

/// The index keys of one frame, sorted, so that the tree is walked in order.
#[derive(Debug, Default)]
pub(super) struct KeyBatch {
    bytes: Vec<u8>,
    /// Range in `bytes`, and `seq`.
    rows: Vec<(std::ops::Range<usize>, u64)>,
}

impl KeyBatch {
    fn collect(&mut self, frame: &FrameView<'_>) {
        self.bytes.clear();
        self.rows.clear();
        for index in 0..frame.count() {
            let record = frame.record(index).expect("a frame reads back as it was built");
            for (kind, key) in record.keys() {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(&kind.as_u16().to_be_bytes());
                self.bytes.extend_from_slice(key);
                self.rows.push((start..self.bytes.len(), record.seq()));
            }
        }
        let bytes = &self.bytes;
        self.rows.sort_unstable_by(|(a, a_seq), (b, b_seq)| {
            bytes[a.clone()].cmp(&bytes[b.clone()]).then(a_seq.cmp(b_seq))
        });
        // Of equal rows the first, with the smallest `seq`, stays.
        self.rows.dedup_by(|(later, _), (first, _)| bytes[later.clone()] == bytes[first.clone()]);
    }

    fn first_mentions(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.rows.iter().map(|(range, seq)| (&self.bytes[range.clone()], *seq))
    }
}

/// Reads one row of `META`.
pub(super) fn read_meta(
    transaction: &ReadTransaction,
    row: &'static str,
) -> Result<Option<Vec<u8>>, ReadFault> {
    let table = match transaction.open_table(META) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => {
            return Err(ReadFault::Missing { what: "manifest" });
        }
        Err(error) => return Err(BackendFault::redb(error).into()),
    };
    let value = table.get(row).map_err(BackendFault::redb)?;
    Ok(value.map(|value| value.value().to_vec()))
}

/// Checks the format version and reads the manifest as stored.
pub(super) fn read_manifest_row(transaction: &ReadTransaction) -> Result<Vec<u8>, ReadFault> {
    let version = read_meta(transaction, FORMAT_ROW)?
        .and_then(|row| row.try_into().ok())
        .map(u64::from_le_bytes)
        .ok_or(ReadFault::Missing { what: "format version" })?;
    if version != FORMAT_VERSION {
        return Err(ReadFault::Version { found: version, expected: FORMAT_VERSION });
    }
    read_meta(transaction, MANIFEST_ROW)?.ok_or(ReadFault::Missing { what: "manifest" })
}

pub(super) fn read_manifest(transaction: &ReadTransaction) -> Result<RunManifest, ReadFault> {
    Ok(decode_manifest(&read_manifest_row(transaction)?)?)
}

pub(super) fn read_anchor(
    transaction: &ReadTransaction,
) -> Result<Option<SnapshotAnchor>, ReadFault> {
    let row = read_meta(transaction, ANCHOR_ROW)?;
    Ok(row.map(|row| decode_anchor(&row)).transpose()?)
}
