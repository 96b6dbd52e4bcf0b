//! The tables of a run file, and the conversions between their rows and the engine's types.

use redb::{ReadTransaction, TableDefinition, TableError, WriteTransaction};

use super::ReadFault;
use super::redb_keys::KEYS;
use crate::format::{FORMAT_VERSION, decode_anchor, decode_manifest, encode_manifest};
use crate::model::{RunManifest, SnapshotAnchor};

/// From the first `seq` of a row of frames to the frames, one behind the other.
pub(super) const FRAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("frames");
/// From the number of a topic or payload type to its text.
pub(super) const NAMES: TableDefinition<'_, u32, &str> = TableDefinition::new("names");
/// `format`, `manifest`, `anchor`.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

pub(super) const FORMAT_ROW: &str = "format";
pub(super) const MANIFEST_ROW: &str = "manifest";
pub(super) const ANCHOR_ROW: &str = "anchor";
/// There while the run may have frames in its log that are not in its file. Empty.
pub(super) const LOG_ROW: &str = "log";

pub(super) fn write_new_run(
    transaction: &WriteTransaction,
    manifest: &RunManifest,
) -> Result<(), redb::Error> {
    // All tables exist from the first commit on, so that readers never have to check.
    transaction.open_table(FRAMES)?;
    transaction.open_table(KEYS)?;
    transaction.open_table(NAMES)?;
    let mut meta = transaction.open_table(META)?;
    meta.insert(FORMAT_ROW, FORMAT_VERSION.to_le_bytes().as_slice())?;
    meta.insert(MANIFEST_ROW, encode_manifest(manifest).as_slice())?;
    Ok(())
}

/// Removes one row of `META`, if it is there.
pub(super) fn remove_meta(
    transaction: &WriteTransaction,
    row: &'static str,
) -> Result<(), redb::Error> {
    transaction.open_table(META)?.remove(row)?;
    Ok(())
}

/// Writes one row of `META`.
pub(super) fn write_meta(
    transaction: &WriteTransaction,
    row: &'static str,
    value: &[u8],
) -> Result<(), redb::Error> {
    transaction.open_table(META)?.insert(row, value)?;
    Ok(())
}

/// Reads one row of `META`.
pub(super) fn read_meta(
    transaction: &ReadTransaction,
    row: &'static str,
) -> Result<Option<Vec<u8>>, ReadFault> {
    let table = match transaction.open_table(META) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Err(ReadFault::NoRun),
        Err(error) => return Err(ReadFault::redb(error)),
    };
    let value = table.get(row).map_err(ReadFault::redb)?;
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
    read_meta(transaction, MANIFEST_ROW)?.ok_or(ReadFault::Missing { what: "manifest row" })
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
