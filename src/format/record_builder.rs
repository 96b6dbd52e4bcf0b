use std::io;

use uuid::Uuid;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

use super::{
    KEY_HEADER_BYTES, KEYS_PER_RECORD_MAX, LINE_BYTES, Line, RecordFlags, RecordHeader, lines_for,
};
use crate::model::{EntryDraft, Headers, IndexKind, UnixNanos};

/// How large a record and its parts may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordLimits {
    /// Bytes of the whole record: header line, payload, keys and ids, padding.
    pub record_bytes_max: usize,
    /// Index keys on one record.
    pub keys_max: usize,
    /// Bytes of one index key.
    pub key_bytes_max: usize,
}

/// Why a message does not fit into a record. It was not captured. The next message can still be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordLimitError {
    /// Payload, keys and ids together are too long.
    #[error("the record would exceed {max} bytes (setting record_bytes_max)")]
    RecordTooLarge {
        /// The setting `record_bytes_max`.
        max: usize,
    },
    /// One index key is too long.
    #[error("an index key of {bytes} bytes exceeds {max} bytes (setting key_bytes_max)")]
    KeyTooLong {
        /// Bytes of the key.
        bytes: usize,
        /// The setting `key_bytes_max`.
        max: usize,
    },
    /// There are too many index keys.
    #[error("the record would have more than {max} index keys (setting keys_per_entry_max)")]
    TooManyKeys {
        /// The setting `keys_per_entry_max`.
        max: usize,
    },
}

/// What a builder has room for from the beginning.
const USUAL_BYTES_MAX: usize = 256 << 10;

/// Builds one record after the other in the same lines, without allocating, unless a record is
/// larger than 256 KiB.
///
/// The payload is written through [`io::Write`]. Keys, headers and the rest can be set before or
/// after it. The builder remembers the first limit that was passed, and reports it when the record
/// is finished.
#[derive(Debug)]
pub struct RecordBuilder {
    limits: RecordLimits,
    /// As many as a usual record takes. They grow for a larger one.
    lines: Vec<Line>,
    /// Bytes of header line and payload so far; of the whole record once it is finished.
    len: usize,
    keys: Vec<u8>,
    key_count: u16,
    ts_init: UnixNanos,
    headers: Headers,
    identity: Option<Uuid>,
    rejected: Option<RecordLimitError>,
    /// True if the record has no keys and no ids. Most records have none, and then skip the work
    /// for each.
    is_bare: bool,
}

/// What the producer knows when a record is finished.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordTag {
    pub(crate) stamp: u64,
    pub(crate) ts_publish: UnixNanos,
    pub(crate) topic_id: u32,
    pub(crate) type_id: u32,
}

impl RecordBuilder {
    pub(crate) fn new(limits: RecordLimits) -> Self {
        let keys_bytes = limits.keys_max * (limits.key_bytes_max + KEY_HEADER_BYTES);
        Self {
            limits,
            lines: vec![Line::ZERO; lines_for(limits.record_bytes_max.min(USUAL_BYTES_MAX))],
            len: LINE_BYTES,
            keys: Vec::with_capacity(keys_bytes.min(limits.record_bytes_max)),
            key_count: 0,
            ts_init: UnixNanos::default(),
            headers: Headers::default(),
            identity: None,
            rejected: None,
            is_bare: true,
        }
    }

    /// Clears the previous record.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.len = LINE_BYTES;
        self.ts_init = UnixNanos::default();
        self.rejected = None;
        if !self.is_bare {
            self.is_bare = true;
            self.keys.clear();
            self.key_count = 0;
            self.headers = Headers::default();
            self.identity = None;
        }
    }

    /// Copies all parts of `draft` but its names.
    pub(crate) fn fill(&mut self, draft: &EntryDraft<'_>) {
        self.begin();
        self.set_ts_init(draft.ts_init);
        if draft.headers != Headers::default() {
            self.set_headers(draft.headers);
        }
        if let Some(identity) = draft.identity {
            self.set_identity(identity);
        }
        self.write_payload(draft.payload);
        for (kind, key) in draft.keys {
            self.add_key(*kind, key);
        }
    }

    /// Sets the domain time of the message. Without it, or with 0, the entry gets its `ts_publish`.
    pub fn set_ts_init(&mut self, ts_init: UnixNanos) {
        self.ts_init = ts_init;
    }

    /// Sets correlation and causation ids.
    pub fn set_headers(&mut self, headers: Headers) {
        self.headers = headers;
        self.is_bare = false;
    }

    pub(crate) fn headers(&self) -> Headers {
        self.headers
    }

    pub(crate) fn set_identity(&mut self, identity: Uuid) {
        self.identity = Some(identity);
        self.is_bare = false;
    }

    /// Appends to the payload.
    #[inline]
    pub fn write_payload(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(space) = self.lines.as_mut_bytes().get_mut(self.len..end) {
            space.copy_from_slice(bytes);
            self.len = end;
        } else {
            self.write_beyond(bytes);
        }
    }

    /// Writes what the lines have no room for.
    #[cold]
    fn write_beyond(&mut self, bytes: &[u8]) {
        let max = self.limits.record_bytes_max;
        let lines = lines_for(self.len + bytes.len());
        if lines > max / LINE_BYTES {
            self.reject(RecordLimitError::RecordTooLarge { max });
            return;
        }
        self.lines.resize(lines.max(2 * self.lines.len()).min(max / LINE_BYTES), Line::ZERO);
        self.write_payload(bytes);
    }

    /// Bytes of payload written so far.
    pub fn payload_len(&self) -> usize {
        self.len - LINE_BYTES
    }

    /// Attaches an index key.
    pub fn add_key(&mut self, kind: IndexKind, key: &str) {
        let RecordLimits { record_bytes_max, keys_max, key_bytes_max } = self.limits;
        if key.len() > key_bytes_max {
            self.reject(RecordLimitError::KeyTooLong { bytes: key.len(), max: key_bytes_max });
        } else if self.key_count as usize >= keys_max.min(KEYS_PER_RECORD_MAX) {
            self.reject(RecordLimitError::TooManyKeys { max: keys_max });
        } else if self.keys.len() + KEY_HEADER_BYTES + key.len() > record_bytes_max {
            // The room that is reserved for keys is no larger than a record may be.
            self.reject(RecordLimitError::RecordTooLarge { max: record_bytes_max });
        } else {
            self.keys.extend_from_slice(&kind.as_u16().to_le_bytes());
            self.keys.extend_from_slice(&(key.len() as u16).to_le_bytes());
            self.keys.extend_from_slice(key.as_bytes());
            self.key_count += 1;
            self.is_bare = false;
        }
    }

    fn reject(&mut self, error: RecordLimitError) {
        self.rejected.get_or_insert(error);
    }

    /// Fails if a limit was passed so far.
    #[inline]
    fn check_limits(&self) -> Result<(), RecordLimitError> {
        match &self.rejected {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// Completes the record and returns its lines.
    #[expect(clippy::inline_always, reason = "a tag passed in memory costs the producer 1 ns more")]
    #[inline(always)]
    pub(crate) fn finish(&mut self, tag: RecordTag) -> Result<&[Line], RecordLimitError> {
        let payload_len = self.payload_len();
        let flags = if self.is_bare { RecordFlags::default() } else { self.append_keys_and_ids() };
        self.check_limits()?;
        let lines = lines_for(self.len);
        // Saves a call that would fill nothing.
        if !self.len.is_multiple_of(LINE_BYTES) {
            self.lines.as_mut_bytes()[self.len..lines * LINE_BYTES].fill(0);
        }
        let header = RecordHeader {
            seq: U64::new(tag.stamp),
            ts_init: U64::new(self.ts_init.as_u64()),
            ts_publish: U64::new(tag.ts_publish.as_u64()),
            payload_len: U32::new(payload_len as u32),
            topic_id: U32::new(tag.topic_id),
            type_id: U32::new(tag.type_id),
            keys_len: U32::new(self.keys.len() as u32),
            lines: U32::new(lines as u32),
            flags: U16::new(flags.bits()),
            key_count: U16::new(self.key_count),
            reserved: [0; 16],
        };
        self.lines.as_mut_bytes()[..LINE_BYTES].copy_from_slice(header.as_bytes());
        Ok(&self.lines[..lines])
    }

    /// The record that was finished last.
    pub(crate) fn finished(&self) -> &[Line] {
        &self.lines[..lines_for(self.len)]
    }

    /// The line that stands for the finished record in a ring.
    pub(crate) fn reference(&self) -> Line {
        let mut line = self.lines[0];
        let header = RecordHeader::mut_from_bytes(line.as_mut_bytes()).expect("a line is a header");
        header.lines.set(1);
        header
            .flags
            .set(RecordFlags::from_bits(header.flags.get()).with(RecordFlags::REFERENCE).bits());
        line
    }

    /// Hands over the lines of the finished record, and begins with new ones.
    pub(crate) fn take_finished(&mut self) -> Box<[Line]> {
        let usual = lines_for(self.limits.record_bytes_max.min(USUAL_BYTES_MAX));
        let mut lines = std::mem::replace(&mut self.lines, vec![Line::ZERO; usual]);
        lines.truncate(lines_for(self.len));
        lines.into_boxed_slice()
    }

    #[inline(never)]
    fn append_keys_and_ids(&mut self) -> RecordFlags {
        if !self.keys.is_empty() {
            let keys = std::mem::take(&mut self.keys);
            self.write_payload(&keys);
            self.keys = keys;
        }
        let mut flags = RecordFlags::default();
        let ids = [
            (RecordFlags::CORRELATION, self.headers.correlation_id),
            (RecordFlags::CAUSATION, self.headers.causation_id),
            (RecordFlags::IDENTITY, self.identity),
        ];
        for (flag, id) in ids {
            if let Some(id) = id {
                self.write_payload(id.as_bytes());
                flags = flags.with(flag);
            }
        }
        flags
    }
}

/// Appends to the payload. Fails once the record would grow too large.
impl io::Write for RecordBuilder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    // The default loops over `write`, which a serializer would pay for with every fragment.
    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_payload(bytes);
        match &self.rejected {
            None => Ok(()),
            Some(error) => Err(too_large(error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cold]
fn too_large(error: &RecordLimitError) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, error.clone())
}

/// The record that announces `name` in a producer's ring. It is never stored.
pub(crate) fn name_record(name: &str, stamp: u64) -> Vec<Line> {
    let mut lines = vec![Line::ZERO; 1 + lines_for(name.len())];
    let header = RecordHeader {
        seq: U64::new(stamp),
        ts_init: U64::ZERO,
        ts_publish: U64::ZERO,
        payload_len: U32::new(name.len() as u32),
        topic_id: U32::ZERO,
        type_id: U32::ZERO,
        keys_len: U32::ZERO,
        lines: U32::new(lines.len() as u32),
        flags: U16::new(RecordFlags::NAME.bits()),
        key_count: U16::ZERO,
        reserved: [0; 16],
    };
    let bytes = lines.as_mut_bytes();
    bytes[..LINE_BYTES].copy_from_slice(header.as_bytes());
    bytes[LINE_BYTES..][..name.len()].copy_from_slice(name.as_bytes());
    lines
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn keys_never_outgrow_their_reserved_room() {
        let limits = RecordLimits { record_bytes_max: 256, keys_max: 100, key_bytes_max: 100 };
        let mut builder = RecordBuilder::new(limits);
        let reserved = builder.keys.capacity();
        let key = "k".repeat(100);
        builder.begin();
        for _ in 0..100 {
            builder.add_key(IndexKind::CLIENT_ORDER_ID, &key);
        }
        assert_eq!(builder.check_limits(), Err(RecordLimitError::RecordTooLarge { max: 256 }));
        assert_eq!(builder.keys.capacity(), reserved);
    }

    #[test]
    fn keys_that_fit_are_taken() {
        let limits = RecordLimits { record_bytes_max: 256, keys_max: 3, key_bytes_max: 50 };
        let mut builder = RecordBuilder::new(limits);
        builder.begin();
        for _ in 0..3 {
            builder.add_key(IndexKind::CLIENT_ORDER_ID, &"k".repeat(50));
        }
        assert_eq!(builder.check_limits(), Ok(()));
        builder.add_key(IndexKind::CLIENT_ORDER_ID, "");
        assert_eq!(builder.check_limits(), Err(RecordLimitError::TooManyKeys { max: 3 }));
    }

    #[test]
    fn the_payload_grows_until_it_is_full() {
        let limits = RecordLimits { record_bytes_max: 256, keys_max: 0, key_bytes_max: 1 };
        let mut builder = RecordBuilder::new(limits);
        builder.begin();
        builder.write_all(&[1; 100]).expect("it fits");
        builder.write_all(&[2; 92]).expect("up to the end");
        assert_eq!(builder.payload_len(), 256 - LINE_BYTES);
        let error = builder.write(&[3]).expect_err("one byte more");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        let error = builder.write_all(&[3]).expect_err("it stays refused");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(builder.payload_len(), 256 - LINE_BYTES);
    }
}
