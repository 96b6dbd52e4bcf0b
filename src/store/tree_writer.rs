//! Writes frames into the tables of a run file.

use bytes::Bytes;
use redb::WriteTransaction;

use super::redb_keys::KeyWriter;
use super::redb_tables::{FRAMES, NAMES};
use crate::format::{FrameError, FrameKeys, FrameView, KeyRow, RowFill, SealedFrame};

/// A frame with what the run file has beside it.
#[derive(Debug)]
pub(super) struct TreeFrame<'a> {
    pub(super) first_seq: u64,
    pub(super) bytes: &'a [u8],
    /// How many names the run had before.
    pub(super) names_before: u32,
    /// Those that it brings, in the order of their numbers.
    pub(super) names: Vec<&'a str>,
    pub(super) key_rows: &'a [KeyRow],
}

impl<'a> TreeFrame<'a> {
    pub(super) fn of(frame: &SealedFrame<'a>) -> Self {
        Self {
            first_seq: frame.first_seq(),
            bytes: frame.bytes(),
            names_before: frame.names_before(),
            names: frame.names().map(|(_, name)| name).collect(),
            key_rows: frame.key_rows(),
        }
    }
}

/// Writes the frames of one run, in order.
#[derive(Debug, Default)]
pub(super) struct TreeWriter {
    row: RowWriter,
    keys: KeyWriter,
    /// The index rows of one transaction.
    key_rows: Vec<KeyRow>,
}

impl TreeWriter {
    /// Writes frames, their new names and their index keys. After an error this is of no more use.
    pub(super) fn write(
        &mut self,
        transaction: &WriteTransaction,
        frames: &[TreeFrame<'_>],
    ) -> Result<(), redb::Error> {
        self.row.write(transaction, frames)?;
        if frames.iter().any(|frame| !frame.names.is_empty()) {
            let mut names = transaction.open_table(NAMES)?;
            for frame in frames {
                for (id, name) in (frame.names_before..).zip(&frame.names) {
                    names.insert(id, *name)?;
                }
            }
        }
        self.key_rows.clear();
        for frame in frames {
            self.key_rows.extend_from_slice(frame.key_rows);
        }
        if self.key_rows.is_empty() {
            return Ok(());
        }
        // The stable sort finds the frames' rows, each in order, and merges them.
        self.key_rows.sort();
        self.keys.add(transaction, &self.key_rows)
    }

    /// Writes frames that were found in the log, behind what the run file has. It has `names`
    /// names.
    pub(super) fn write_replayed(
        &mut self,
        transaction: &WriteTransaction,
        frames: &[Bytes],
        names: u32,
    ) -> Result<(), redb::Error> {
        let malformed = |error: FrameError| redb::Error::Corrupted(error.to_string());
        let views: Result<Vec<_>, _> = frames.iter().map(|frame| FrameView::parse(frame)).collect();
        let views = views.map_err(malformed)?;
        let keys: Result<Vec<_>, _> = views.iter().map(keys_of).collect();
        let mut keys = keys.map_err(malformed)?;
        let mut names_before = names;
        let mut found = Vec::with_capacity(frames.len());
        for ((bytes, view), keys) in frames.iter().zip(&views).zip(&mut keys) {
            let names: Vec<&str> = view.names().collect();
            let count = names.len() as u32;
            let (first_seq, key_rows) = (view.first_seq(), keys.finish());
            found.push(TreeFrame { first_seq, bytes, names_before, names, key_rows });
            names_before += count;
        }
        self.write(transaction, &found)
    }
}

fn keys_of(view: &FrameView<'_>) -> Result<FrameKeys, FrameError> {
    let mut keys = FrameKeys::default();
    for index in 0..view.count() {
        keys.add(&view.record(index)?);
    }
    Ok(keys)
}

/// Puts frames into rows: the last row of the run is written again as long as it takes more.
#[derive(Debug, Default)]
struct RowWriter {
    /// The key of the last row.
    first_seq: u64,
    /// What is in it; empty if it takes no more.
    bytes: Vec<u8>,
    fill: RowFill,
}

impl RowWriter {
    fn write(
        &mut self,
        transaction: &WriteTransaction,
        frames: &[TreeFrame<'_>],
    ) -> Result<(), redb::Error> {
        // `insert` copies a finished row once. `insert_reserve` would build the row in place, but
        // redb 4.4 zeroes a buffer of that size first and copies it: measured 2.3 times slower.
        let mut table = transaction.open_table(FRAMES)?;
        let mut rest = frames;
        while let Some(first) = rest.first() {
            if self.fill.add(first.bytes.len()) {
                self.first_seq = first.first_seq;
                self.bytes.clear();
            }
            let more = rest[1..].iter().take_while(|frame| {
                self.fill.takes(frame.bytes.len()) && !self.fill.add(frame.bytes.len())
            });
            let (row, after) = rest.split_at(1 + more.count());
            let is_done = !after.is_empty() || self.fill.is_full();
            if let ([frame], true, true) = (row, is_done, self.bytes.is_empty()) {
                table.insert(self.first_seq, frame.bytes)?;
            } else {
                for frame in row {
                    self.bytes.extend_from_slice(frame.bytes);
                }
                table.insert(self.first_seq, &*self.bytes)?;
            }
            rest = after;
        }
        Ok(())
    }
}
