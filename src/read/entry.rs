//! Takes one entry out of its frame: checks it against its hash and its place, then looks up its
//! names.

use bytes::Bytes;
use uuid::Uuid;

use super::ReadError;
use crate::format::{Frame, RecordView};
use crate::model::{Entry, Hash, Headers, IndexKind, UnixNanos};
use crate::store::{ReadFault, RunReader};

/// Opens the frame that is stored under `first_seq`. Its entries are checked as they are read.
pub(super) fn open_frame(first_seq: u64, bytes: Bytes) -> Result<Frame, ReadError> {
    let frame = Frame::parse(bytes).map_err(|source| ReadError::Frame { first_seq, source })?;
    if frame.first_seq() != first_seq {
        return Err(ReadError::OutOfPlace { expected: first_seq, found: frame.first_seq() });
    }
    Ok(frame)
}

/// The record of entry `seq` with its hash. Fails if the stored hash is another, or the record is
/// another entry.
pub(super) fn record_of(frame: &Frame, seq: u64) -> Result<(RecordView<'_>, Hash), ReadError> {
    checked_record(frame, seq, |_, record| Hash::of(record.bytes()))
}

/// Like [`record_of`], but with the hashes of all records of the frame, which are faster to compute
/// at once.
pub(super) fn hashed_record<'a>(
    frame: &'a Frame,
    seq: u64,
    hashes: &[Hash],
) -> Result<(RecordView<'a>, Hash), ReadError> {
    checked_record(frame, seq, |index, _| hashes[index])
}

fn checked_record(
    frame: &Frame,
    seq: u64,
    compute_hash: impl FnOnce(usize, &RecordView<'_>) -> Hash,
) -> Result<(RecordView<'_>, Hash), ReadError> {
    if !frame.contains(seq) {
        return Err(ReadError::Gap { from: seq, to: seq });
    }
    let first_seq = frame.first_seq();
    let index = (seq - first_seq) as usize;
    let view = frame.view();
    let record = view.record(index).map_err(|source| ReadError::Frame { first_seq, source })?;
    let entry_hash = view.entry_hash(index);
    if compute_hash(index, &record) != entry_hash {
        return Err(ReadError::HashMismatch { seq });
    }
    if record.seq() != seq {
        return Err(ReadError::OutOfPlace { expected: seq, found: record.seq() });
    }
    Ok((record, entry_hash))
}

/// Topics and payload types by number, read from the run as they are needed.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// Loads the name of number `id`, if the run has it and it is not loaded.
    pub(super) fn load(&mut self, source: &dyn RunReader, id: u32) -> Result<(), ReadFault> {
        if self.has(id) {
            return Ok(());
        }
        for (id, name) in source.names(self.0.len() as u32)? {
            // A missing number ends the table. `verify` reports it.
            if id as usize == self.0.len() {
                self.0.push(name);
            }
        }
        Ok(())
    }

    /// True if the name of number `id` is loaded.
    pub(super) fn has(&self, id: u32) -> bool {
        (id as usize) < self.0.len()
    }

    fn get(&self, id: u32) -> Option<&str> {
        self.0.get(id as usize).map(String::as_str)
    }
}

/// One captured message. It is borrowed from its frame, and its hash has been checked.
#[derive(Debug, Clone, Copy)]
pub struct EntryRef<'a> {
    record: RecordView<'a>,
    topic: &'a str,
    payload_type: &'a str,
    entry_hash: Hash,
}

impl<'a> EntryRef<'a> {
    pub(super) fn new(
        record: RecordView<'a>,
        names: &'a Names,
        entry_hash: Hash,
    ) -> Result<Self, ReadError> {
        let name =
            |id| names.get(id).ok_or_else(|| ReadError::UnknownName { seq: record.seq(), id });
        let (topic, payload_type) = (name(record.topic_id())?, name(record.type_id())?);
        Ok(Self { record, topic, payload_type, entry_hash })
    }

    /// Place in the run's total order.
    pub fn seq(&self) -> u64 {
        self.record.seq()
    }

    /// Domain time of the message. If the message had none, its `ts_publish`.
    pub fn ts_init(&self) -> UnixNanos {
        self.record.ts_init()
    }

    /// Node clock when the tap accepted the message.
    pub fn ts_publish(&self) -> UnixNanos {
        self.record.ts_publish()
    }

    /// Topic or endpoint the message passed.
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// Tag of the payload's type.
    pub fn payload_type(&self) -> &'a str {
        self.payload_type
    }

    /// The encoded message.
    pub fn payload(&self) -> &'a [u8] {
        self.record.payload()
    }

    /// Correlation and causation ids.
    pub fn headers(&self) -> Headers {
        self.record.headers()
    }

    /// The index keys in the order the encoder attached them.
    pub fn keys(&self) -> impl Iterator<Item = (IndexKind, &'a [u8])> + use<'a> {
        self.record.keys()
    }

    /// Identity of the logical message.
    pub fn identity(&self) -> Option<Uuid> {
        self.record.identity()
    }

    /// BLAKE3 of the entry's record.
    pub fn entry_hash(&self) -> Hash {
        self.entry_hash
    }

    /// An owned copy. A key that is not UTF-8 is converted by [`String::from_utf8_lossy`]; the
    /// engine writes none.
    pub fn to_entry(&self) -> Entry {
        let keys = self.keys().map(|(kind, key)| (kind, String::from_utf8_lossy(key).into_owned()));
        Entry {
            seq: self.seq(),
            ts_init: self.ts_init(),
            ts_publish: self.ts_publish(),
            topic: self.topic.to_owned(),
            payload_type: self.payload_type.to_owned(),
            payload: Bytes::copy_from_slice(self.payload()),
            headers: self.headers(),
            keys: keys.collect(),
            identity: self.identity(),
            entry_hash: self.entry_hash,
        }
    }
}
