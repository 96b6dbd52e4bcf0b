//! A record: one header line, then payload, index keys and optional ids, padded with zeros to a
//! whole line.

use uuid::Uuid;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{LINE_BYTES, lines_for};
use crate::model::{Headers, IndexKind, UnixNanos};

/// Bytes before each index key: its kind and its length, two bytes each.
pub const KEY_HEADER_BYTES: usize = 4;

/// The most index keys a record can carry.
pub const KEYS_PER_RECORD_MAX: usize = u16::MAX as usize;

/// Which optional parts a record has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordFlags(u16);

impl RecordFlags {
    /// A correlation id follows the keys.
    pub const CORRELATION: Self = Self(1);
    /// A causation id follows.
    pub const CAUSATION: Self = Self(1 << 1);
    /// A message identity follows.
    pub const IDENTITY: Self = Self(1 << 2);
    /// Only in a ring: the text of a name, which later records use by number. It is no message.
    pub(crate) const NAME: Self = Self(1 << 15);
    /// Only in a ring: a [mark](super::data_mark) of market data. It is no message.
    pub(crate) const MARK: Self = Self(1 << 14);
    /// Only in a ring, on a mark: it announces a stream.
    pub(crate) const STREAM: Self = Self(1 << 13);
    /// Only in a ring: a line that stands for a record which does not fit there.
    pub(crate) const REFERENCE: Self = Self(1 << 12);

    const IN_RING: u16 = Self::NAME.0 | Self::MARK.0 | Self::STREAM.0 | Self::REFERENCE.0;

    const STORED: u16 = Self::CORRELATION.0 | Self::CAUSATION.0 | Self::IDENTITY.0;

    /// The flags of a header.
    pub(crate) const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The flags as they stand in the header.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// These flags and `other`'s.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if all flags of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if none of the flags is set that only a ring knows: the line begins a message.
    pub(crate) const fn is_message(self) -> bool {
        self.0 & Self::IN_RING == 0
    }

    const fn ids_bytes(self) -> usize {
        (self.0 & Self::STORED).count_ones() as usize * 16
    }
}

/// The first line of a record. All integers are little-endian.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RecordHeader {
    /// Place in the total order. While the record is in a ring: the order stamp.
    pub seq: U64,
    /// Domain time of the message, Unix nanoseconds. While the record is in a ring: 0 where the
    /// message has none.
    pub ts_init: U64,
    /// Node clock at acceptance, Unix nanoseconds.
    pub ts_publish: U64,
    /// Bytes of payload, which begins right after this line.
    pub payload_len: U32,
    /// Number of the topic in the names table. In a ring: in the producer's own table.
    pub topic_id: U32,
    /// Number of the payload type in the names table. In a ring: in the producer's own table.
    pub type_id: U32,
    /// Bytes of index keys, which follow the payload.
    pub keys_len: U32,
    /// Lines of the whole record, this one included.
    pub lines: U32,
    /// Which optional ids follow the keys.
    pub flags: U16,
    /// How many index keys there are.
    pub key_count: U16,
    /// Zero.
    pub reserved: [u8; 16],
}

const _: () = assert!(size_of::<RecordHeader>() == LINE_BYTES);

impl RecordHeader {
    /// The header that `record` begins with; `None` when `record` is shorter than a line.
    pub fn of(record: &[u8]) -> Option<&Self> {
        Self::ref_from_prefix(record).ok().map(|(header, _)| header)
    }

    pub(crate) fn flags(&self) -> RecordFlags {
        RecordFlags(self.flags.get())
    }

    /// Where the message identity begins, if there is one. It is the last id of the record.
    pub(crate) fn identity_start(&self) -> Option<usize> {
        self.flags().has(RecordFlags::IDENTITY).then(|| self.content_bytes() - 16)
    }

    /// Bytes of the record before padding.
    fn content_bytes(&self) -> usize {
        LINE_BYTES
            + self.payload_len.get() as usize
            + self.keys_len.get() as usize
            + self.flags().ids_bytes()
    }
}

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Shorter than its header, or shorter than the header says.
    #[error("record is cut short")]
    Truncated,
    /// The line count does not match the lengths.
    #[error("record has {lines} lines, but its lengths add up to {expected}")]
    LineCount {
        /// The count in the header.
        lines: u32,
        /// The count that the lengths add up to.
        expected: usize,
    },
    /// A flag this version does not know.
    #[error("record has unknown flags {flags:#06x}")]
    UnknownFlags {
        /// The flags as found.
        flags: u16,
    },
    /// Reserved bytes or padding that are not zero.
    #[error("record has padding that is not zero")]
    Padding,
    /// The keys section does not hold as many keys as the header says.
    #[error("record has a malformed key section")]
    Keys,
}

/// A record in a frame. Its parts are borrowed.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    header: &'a RecordHeader,
    bytes: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Reads the record at the beginning of `bytes`. Checks everything in it but its hash.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let header = RecordHeader::of(bytes).ok_or(RecordError::Truncated)?;
        let flags = header.flags.get();
        if flags & !RecordFlags::STORED != 0 {
            return Err(RecordError::UnknownFlags { flags });
        }
        let content_bytes = header.content_bytes();
        let (lines, expected) = (header.lines.get(), lines_for(content_bytes));
        if lines as usize != expected {
            return Err(RecordError::LineCount { lines, expected });
        }
        let bytes = bytes.get(..expected * LINE_BYTES).ok_or(RecordError::Truncated)?;
        if header.reserved != [0; 16] || bytes[content_bytes..].iter().any(|b| *b != 0) {
            return Err(RecordError::Padding);
        }
        let view = Self { header, bytes };
        view.check_keys()?;
        Ok(view)
    }

    fn check_keys(&self) -> Result<(), RecordError> {
        let mut rest = self.keys_section();
        for _ in 0..self.header.key_count.get() {
            rest = split_key(rest).ok_or(RecordError::Keys)?.1;
        }
        if rest.is_empty() { Ok(()) } else { Err(RecordError::Keys) }
    }

    /// Place in the total order.
    pub fn seq(&self) -> u64 {
        self.header.seq.get()
    }

    /// Domain time of the message.
    pub fn ts_init(&self) -> UnixNanos {
        self.header.ts_init.get().into()
    }

    /// Node clock at acceptance.
    pub fn ts_publish(&self) -> UnixNanos {
        self.header.ts_publish.get().into()
    }

    /// Number of the topic in the names table.
    pub fn topic_id(&self) -> u32 {
        self.header.topic_id.get()
    }

    /// Number of the payload type in the names table.
    pub fn type_id(&self) -> u32 {
        self.header.type_id.get()
    }

    /// The larger one of its two name numbers.
    pub(crate) fn name_id_max(&self) -> u32 {
        self.topic_id().max(self.type_id())
    }

    /// All lines of the record. The entry hash covers exactly these bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The encoded message.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[LINE_BYTES..][..self.header.payload_len.get() as usize]
    }

    /// The index keys, in the order the encoder attached them.
    pub fn keys(&self) -> impl Iterator<Item = (IndexKind, &'a [u8])> + use<'a> {
        let mut rest = self.keys_section();
        std::iter::from_fn(move || {
            let (key, tail) = split_key(rest)?;
            rest = tail;
            Some(key)
        })
    }

    /// Correlation and causation ids.
    pub fn headers(&self) -> Headers {
        Headers {
            correlation_id: self.id(RecordFlags::CORRELATION),
            causation_id: self.id(RecordFlags::CAUSATION),
        }
    }

    /// Identity of the logical message.
    pub fn identity(&self) -> Option<Uuid> {
        self.id(RecordFlags::IDENTITY)
    }

    fn keys_section(&self) -> &'a [u8] {
        let start = LINE_BYTES + self.header.payload_len.get() as usize;
        &self.bytes[start..][..self.header.keys_len.get() as usize]
    }

    fn id(&self, wanted: RecordFlags) -> Option<Uuid> {
        let flags = self.header.flags();
        if !flags.has(wanted) {
            return None;
        }
        // Ids stand in the order of their flag bits, so the lower bits say how many ids come
        // before.
        let earlier = RecordFlags(flags.0 & (wanted.0 - 1)).ids_bytes();
        let start = self.header.content_bytes() - flags.ids_bytes() + earlier;
        let bytes: [u8; 16] = self.bytes[start..][..16].try_into().ok()?;
        Some(Uuid::from_bytes(bytes))
    }
}

type Key<'a> = (IndexKind, &'a [u8]);

/// Splits the first key off a keys section.
fn split_key(keys: &[u8]) -> Option<(Key<'_>, &[u8])> {
    let (head, rest) = keys.split_first_chunk::<KEY_HEADER_BYTES>()?;
    let kind = IndexKind::from_u16(u16::from_le_bytes([head[0], head[1]]));
    let len = u16::from_le_bytes([head[2], head[3]]);
    let (key, rest) = rest.split_at_checked(len as usize)?;
    Some(((kind, key), rest))
}
