use bytes::Bytes;
use uuid::Uuid;

use super::ReadError;
use super::names::Names;
use crate::format::RecordView;
use crate::model::{Entry, Hash, Headers, IndexKind, UnixNanos};

/// One captured message, borrowed from its frame. Its hash has been checked.
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

    /// Domain time of the message.
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

    /// A copy that stands alone. A key that is no UTF-8 (the engine writes none) is replaced as by
    /// [`String::from_utf8_lossy`].
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
