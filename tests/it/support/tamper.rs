//! Edits a run file without the engine, through stock redb.

use std::path::Path;

use redb::{Database, ReadableTable, TableDefinition, WriteTransaction};

use super::raw::{self, RawFrame, RawKeyRow};

pub(crate) const FRAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("frames");
pub(crate) const KEYS: TableDefinition<'_, (u16, u128), &[u8]> = TableDefinition::new("keys");
pub(crate) const NAMES: TableDefinition<'_, u32, &str> = TableDefinition::new("names");
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

// The table of a sidecar, which has a `META` too.
pub(crate) const MARKER_BLOCKS: TableDefinition<'_, u64, &[u8]> =
    TableDefinition::new("marker_blocks");
pub(crate) const STREAMS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("streams");

/// Edits a run file in one transaction.
pub(crate) fn edit(path: &Path, edit: impl FnOnce(&WriteTransaction)) {
    let database = Database::open(path).expect("a run file opens with stock redb");
    let transaction = database.begin_write().expect("a transaction begins");
    edit(&transaction);
    transaction.commit().expect("the transaction commits");
}

/// Changes the bytes of the block of markers that is stored under `first`, within an [`edit`].
pub(crate) fn marker_block(
    transaction: &WriteTransaction,
    first: u64,
    change: impl FnOnce(&mut Vec<u8>),
) {
    let mut table = transaction.open_table(MARKER_BLOCKS).unwrap();
    let mut block = table.get(first).unwrap().unwrap().value().to_vec();
    change(&mut block);
    table.insert(first, block.as_slice()).unwrap();
}

/// Gives each frame a row of its own, within an [`edit`]. A row may have many.
pub(crate) fn one_frame_a_row(transaction: &WriteTransaction) {
    let mut table = transaction.open_table(FRAMES).expect("the table opens");
    let rows = table.iter().expect("the table is readable");
    let rows = rows.map(|row| row.expect("the row is readable").1.value().to_vec());
    for row in rows.collect::<Vec<_>>() {
        // A row of one frame stays, whatever was done to it.
        let frames = raw::frames_of_row(&row).filter(|frames| frames.len() > 1);
        for frame in frames.unwrap_or_default() {
            let first_seq = RawFrame::decode(frame).first_seq;
            table.insert(first_seq, frame).expect("the row is writable");
        }
    }
}

/// Edits the bytes of the frame stored under `first_seq`.
pub(crate) fn frame_bytes(path: &Path, first_seq: u64, change: impl FnOnce(&mut Vec<u8>)) {
    edit(path, |transaction| {
        one_frame_a_row(transaction);
        let mut table = transaction.open_table(FRAMES).expect("the table opens");
        let row = table.get(first_seq).expect("the table is readable").expect("there is a frame");
        let mut bytes = row.value().to_vec();
        drop(row);
        change(&mut bytes);
        table.insert(first_seq, bytes.as_slice()).expect("the row is writable");
    });
}

/// Edits the parts of the frame stored under `first_seq`. Adjusts nothing else.
pub(crate) fn frame(path: &Path, first_seq: u64, change: impl FnOnce(&mut RawFrame)) {
    frame_bytes(path, first_seq, |bytes| {
        let mut frame = RawFrame::decode(bytes);
        change(&mut frame);
        *bytes = frame.encode();
    });
}

/// Removes the frame stored under `first_seq`.
pub(crate) fn remove_frame(path: &Path, first_seq: u64) {
    edit(path, |transaction| {
        one_frame_a_row(transaction);
        let mut table = transaction.open_table(FRAMES).expect("the table opens");
        table.remove(first_seq).expect("the row is writable").expect("there is a frame");
    });
}

/// Stores the frame of `first_seq` under another number.
pub(crate) fn move_frame(path: &Path, first_seq: u64, to: u64) {
    edit(path, |transaction| {
        one_frame_a_row(transaction);
        let mut table = transaction.open_table(FRAMES).expect("the table opens");
        let row = table.remove(first_seq).expect("the row is writable").expect("there is a frame");
        let bytes = row.value().to_vec();
        drop(row);
        table.insert(to, bytes.as_slice()).expect("the row is writable");
    });
}

/// Edits the rows of the index of a small sealed run, which has one block at most.
pub(crate) fn keys(path: &Path, change: impl FnOnce(&mut Vec<RawKeyRow>)) {
    key_block(path, |block| {
        let mut rows = raw::key_rows(block);
        change(&mut rows);
        rows.sort_unstable();
        let first = rows[0].number();
        *block = raw::key_block(&rows);
        (255, first)
    });
}

/// Edits the bytes of the index's block. `change` also returns the tier and row to store it under.
pub(crate) fn key_block(path: &Path, change: impl FnOnce(&mut Vec<u8>) -> (u16, u128)) {
    edit(path, |transaction| {
        let mut table = transaction.open_table(KEYS).expect("the table opens");
        let mut block = Vec::new();
        while let Some((_, rows)) = table.pop_first().expect("the table is readable") {
            assert!(block.is_empty(), "there is one block at most");
            block = rows.value().to_vec();
        }
        let row = change(&mut block);
        table.insert(row, block.as_slice()).expect("the row is writable");
    });
}

/// The index row for: entry `seq` mentions this client order id.
pub(crate) fn order_row(key: &str, seq: u64) -> RawKeyRow {
    RawKeyRow { hash: raw::key_hash(1, key.as_bytes()), seq }
}

/// Writes a row of the names table, or removes it.
pub(crate) fn name(path: &Path, id: u32, name: Option<&str>) {
    edit(path, |transaction| {
        let mut table = transaction.open_table(NAMES).expect("the table opens");
        match name {
            Some(name) => table.insert(id, name).map(|_| ()),
            None => table.remove(id).map(|_| ()),
        }
        .expect("the row is writable");
    });
}

/// Writes a row of the table `meta`.
pub(crate) fn meta(path: &Path, row: &str, value: &[u8]) {
    edit(path, |transaction| {
        let mut table = transaction.open_table(META).expect("the table opens");
        table.insert(row, value).expect("the row is writable");
    });
}

/// Replaces one piece of text in the stored manifest.
pub(crate) fn manifest(path: &Path, from: &str, to: &str) {
    edit(path, |transaction| {
        let mut table = transaction.open_table(META).expect("the table opens");
        let row = table.get("manifest").expect("the table is readable").expect("a manifest");
        let text = String::from_utf8(row.value().to_vec()).expect("JSON is UTF-8");
        drop(row);
        assert!(text.contains(from), "{from} is not in {text}");
        table.insert("manifest", text.replacen(from, to, 1).as_bytes()).expect("writable");
    });
}
