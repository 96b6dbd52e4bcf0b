use bytes::Bytes;

use super::ReadError;
use super::entry_ref::EntryRef;
use super::loaded_frame::LoadedFrame;
use super::names::Names;
use crate::format::{HashLanes, RecordView};
use crate::model::Hash;
use crate::store::RunReader;

/// One frame in memory with the hashes of its records, as they are.
#[derive(Debug, Default)]
pub(super) struct FrameCursor {
    frame: Option<LoadedFrame>,
    /// Of all records, or empty: then each is hashed when it is asked for.
    hashes: Vec<Hash>,
    lanes: HashLanes,
    names: Names,
}

impl FrameCursor {
    /// Takes up the frame stored under `first_seq`, to read all of it: hashes all its records.
    pub(super) fn load(&mut self, first_seq: u64, bytes: Bytes) -> Result<(), ReadError> {
        self.load_for_one(first_seq, bytes)?;
        if let Some(frame) = &self.frame {
            frame.hash_records(&mut self.lanes, &mut self.hashes);
        }
        Ok(())
    }

    /// Takes up the frame stored under `first_seq`, to read single entries.
    pub(super) fn load_for_one(&mut self, first_seq: u64, bytes: Bytes) -> Result<(), ReadError> {
        let frame = LoadedFrame::open(first_seq, bytes)?;
        self.hashes.clear();
        self.frame = Some(frame);
        Ok(())
    }

    /// Lets go of the frame.
    pub(super) fn release(&mut self) {
        self.frame = None;
    }

    /// The first and the last `seq` of the frame; `None` before the first is loaded.
    pub(super) fn range(&self) -> Option<(u64, u64)> {
        self.frame.as_ref().map(LoadedFrame::range)
    }

    /// The entry `seq` of this frame, if its hash is right.
    pub(super) fn entry(
        &mut self,
        seq: u64,
        source: &dyn RunReader,
    ) -> Result<EntryRef<'_>, ReadError> {
        let Self { frame, hashes, names, .. } = self;
        let frame = frame.as_ref().ok_or(ReadError::Gap { from: seq, to: seq })?;
        let (record, entry_hash) = frame.record(seq, hashes)?;
        names.load(source, record.name_id_max())?;
        EntryRef::new(record, names, entry_hash)
    }

    /// The record of entry `seq` of this frame with its hash, if that is right.
    pub(super) fn record(&self, seq: u64) -> Result<(RecordView<'_>, Hash), ReadError> {
        let frame = self.frame.as_ref().ok_or(ReadError::Gap { from: seq, to: seq })?;
        frame.record(seq, &self.hashes)
    }
}
