use bytes::Bytes;

use super::ReadError;
use super::entry_ref::EntryRef;
use super::names::Names;
use crate::format::{FrameView, HashLanes, RecordView};
use crate::model::Hash;
use crate::store::RunReader;

/// One frame in memory with the hashes of its records, as they are.
#[derive(Debug, Default)]
pub(super) struct FrameCursor {
    frame: LoadedFrame,
    lanes: HashLanes,
    names: Names,
}

#[derive(Debug, Default)]
struct LoadedFrame {
    first_seq: u64,
    count: u64,
    bytes: Bytes,
    /// Of all records, or empty: then each is hashed when it is asked for.
    hashes: Vec<Hash>,
}

impl FrameCursor {
    /// Takes up the frame stored under `first_seq`, to read all of it: hashes all its records.
    pub(super) fn load(&mut self, first_seq: u64, bytes: Bytes) -> Result<(), ReadError> {
        self.load_for_one(first_seq, bytes)?;
        FrameView::parse(&self.frame.bytes)
            .map_err(|source| ReadError::Frame { first_seq, source })?
            .hash_records(&mut self.lanes, &mut self.frame.hashes);
        Ok(())
    }

    /// Takes up the frame stored under `first_seq`, to read single entries.
    pub(super) fn load_for_one(&mut self, first_seq: u64, bytes: Bytes) -> Result<(), ReadError> {
        let frame =
            FrameView::parse(&bytes).map_err(|source| ReadError::Frame { first_seq, source })?;
        if frame.first_seq() != first_seq {
            return Err(ReadError::OutOfPlace { expected: first_seq, found: frame.first_seq() });
        }
        self.frame.count = frame.count() as u64;
        self.frame.hashes.clear();
        self.frame.first_seq = first_seq;
        self.frame.bytes = bytes;
        Ok(())
    }

    /// Lets go of the frame.
    pub(super) fn release(&mut self) {
        self.frame.bytes = Bytes::new();
        self.frame.count = 0;
    }

    /// The first and the last `seq` of the frame; `None` before the first is loaded.
    pub(super) fn range(&self) -> Option<(u64, u64)> {
        let LoadedFrame { first_seq, count, .. } = self.frame;
        (count > 0).then(|| (first_seq, first_seq + count - 1))
    }

    /// The entry `seq` of this frame, if its hash is right.
    pub(super) fn entry(
        &mut self,
        seq: u64,
        source: &dyn RunReader,
    ) -> Result<EntryRef<'_>, ReadError> {
        let Self { names, frame, .. } = self;
        let (record, entry_hash) = frame.record(seq)?;
        names.load(source, record.topic_id().max(record.type_id()))?;
        EntryRef::new(record, names, entry_hash)
    }

    /// The record of entry `seq` of this frame with its hash, if that is right.
    pub(super) fn record(&self, seq: u64) -> Result<(RecordView<'_>, Hash), ReadError> {
        self.frame.record(seq)
    }
}

impl LoadedFrame {
    fn record(&self, seq: u64) -> Result<(RecordView<'_>, Hash), ReadError> {
        let first_seq = self.first_seq;
        let frame = FrameView::parse(&self.bytes)
            .map_err(|source| ReadError::Frame { first_seq, source })?;
        let index =
            index_in(first_seq, self.count, seq).ok_or(ReadError::Gap { from: seq, to: seq })?;
        let record =
            frame.record(index).map_err(|source| ReadError::Frame { first_seq, source })?;
        let entry_hash = frame.entry_hash(index);
        let computed = match self.hashes.get(index) {
            Some(hash) => *hash,
            None => blake3::hash(record.bytes()),
        };
        if computed != entry_hash {
            return Err(ReadError::HashMismatch { seq });
        }
        if record.seq() != seq {
            return Err(ReadError::OutOfPlace { expected: seq, found: record.seq() });
        }
        Ok((record, entry_hash))
    }
}

fn index_in(first_seq: u64, count: u64, seq: u64) -> Option<usize> {
    let index = seq.checked_sub(first_seq)?;
    (index < count).then_some(index as usize)
}
