use bytes::Bytes;

use super::ReadError;
use crate::format::{HashLanes, OwnedFrame, RecordView};
use crate::model::Hash;

/// A page of redb's.
const PAGE_BYTES: usize = 4 << 10;

/// What redb has in a page besides a frame, at most.
const REDB_BYTES: usize = 64;

/// A frame in memory whose sections have been checked once; entries are checked as they are read.
#[derive(Debug)]
pub(super) struct LoadedFrame {
    first_seq: u64,
    last_seq: u64,
    frame: OwnedFrame,
}

impl LoadedFrame {
    /// Takes up the frame stored under `first_seq`.
    pub(super) fn open(first_seq: u64, bytes: Bytes) -> Result<Self, ReadError> {
        let frame =
            OwnedFrame::parse(bytes).map_err(|source| ReadError::Frame { first_seq, source })?;
        let view = frame.view();
        if view.first_seq() != first_seq {
            return Err(ReadError::OutOfPlace { expected: first_seq, found: view.first_seq() });
        }
        Ok(Self { first_seq, last_seq: view.last_seq(), frame })
    }

    /// The first and the last `seq`.
    pub(super) fn range(&self) -> (u64, u64) {
        (self.first_seq, self.last_seq)
    }

    pub(super) fn has(&self, seq: u64) -> bool {
        (self.first_seq..=self.last_seq).contains(&seq)
    }

    /// The memory it holds. A frame on loan from redb holds the pages it is in, with some bytes of redb's
    /// own: a power-of-two run of them.
    pub(super) fn held_bytes(&self) -> usize {
        (self.frame.len_bytes() + REDB_BYTES).next_power_of_two().max(PAGE_BYTES)
    }

    /// The hashes that the records have, in their order.
    pub(super) fn hash_records(&self, lanes: &mut HashLanes, hashes: &mut Vec<Hash>) {
        self.frame.view().hash_records(lanes, hashes);
    }

    /// The record of entry `seq` with its hash, if that is right. `hashes` are those of
    /// [`hash_records`](Self::hash_records), or none: then the record is hashed here.
    pub(super) fn record(
        &self,
        seq: u64,
        hashes: &[Hash],
    ) -> Result<(RecordView<'_>, Hash), ReadError> {
        if !self.has(seq) {
            return Err(ReadError::Gap { from: seq, to: seq });
        }
        let first_seq = self.first_seq;
        let index = (seq - first_seq) as usize;
        let frame = self.frame.view();
        let record =
            frame.record(index).map_err(|source| ReadError::Frame { first_seq, source })?;
        let entry_hash = frame.entry_hash(index);
        let computed = hashes.get(index).copied();
        if computed.unwrap_or_else(|| blake3::hash(record.bytes())) != entry_hash {
            return Err(ReadError::HashMismatch { seq });
        }
        if record.seq() != seq {
            return Err(ReadError::OutOfPlace { expected: seq, found: record.seq() });
        }
        Ok((record, entry_hash))
    }
}
