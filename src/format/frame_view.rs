//! A frame: one group commit, one value in the run file. This file reads frames.

use bytes::Bytes;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{BatchHasher, LINE_BYTES, RecordError, RecordView};
use crate::model::Hash;

pub(super) const MAGIC: [u8; 4] = *b"TLF1";
pub(super) const VERSION: u16 = 1;
pub(super) const OFFSET_BYTES: usize = size_of::<u32>();
pub(super) const NAME_LEN_BYTES: usize = size_of::<u16>();

/// The first line of a frame. All integers are little-endian.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct FrameHeader {
    pub(super) magic: [u8; 4],
    pub(super) version: U16,
    pub(super) reserved: U16,
    pub(super) first_seq: U64,
    pub(super) count: U32,
    pub(super) records_lines: U32,
    pub(super) names_count: U32,
    pub(super) names_bytes: U32,
    pub(super) previous_root: [u8; Hash::BYTES],
}

const _: () = assert!(size_of::<FrameHeader>() == LINE_BYTES);

impl FrameHeader {
    /// Checks everything but the lengths of the sections.
    #[inline]
    fn check(&self) -> Result<(), FrameError> {
        if self.magic != MAGIC {
            return Err(FrameError::Magic { found: self.magic });
        }
        if self.version != VERSION {
            return Err(FrameError::Version { found: self.version.get(), expected: VERSION });
        }
        if self.reserved != 0 {
            return Err(FrameError::Reserved);
        }
        let (count, first_seq) = (self.count.get(), self.first_seq.get());
        if count == 0 || first_seq == 0 || first_seq.checked_add(u64::from(count)).is_none() {
            return Err(FrameError::Count);
        }
        Ok(())
    }

    /// Where the sections end, by the lengths in the header.
    #[inline]
    fn section_ends(&self) -> SectionEnds {
        // Lengths are 32 bits wide, so their sum cannot overflow 64 bits.
        let count = self.count.get() as usize;
        let records = LINE_BYTES + self.records_lines.get() as usize * LINE_BYTES;
        let hashes = records + count * Hash::BYTES;
        let offsets = hashes + count * OFFSET_BYTES;
        let names = offsets + self.names_bytes.get() as usize;
        [records, hashes, offsets, names]
    }
}

/// The root of a frame: BLAKE3 over its header, and over everything between records and root. It
/// covers the records by their hashes.
pub(super) fn root_of(header: &[u8], sections: &[u8]) -> Hash {
    Hash::of_parts([header, sections])
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The bytes do not begin like a frame.
    #[error("not a frame: it begins with {found:02x?}, not with \"TLF1\"")]
    Magic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// Written by another version of the format.
    #[error("frame has version {found}; this program reads version {expected}")]
    Version {
        /// The version in the frame.
        found: u16,
        /// The version this program reads.
        expected: u16,
    },
    /// Reserved bytes that are not zero.
    #[error("frame has reserved bytes that are not zero")]
    Reserved,
    /// The sections do not add up to the length.
    #[error("frame has {found} bytes, but its header asks for {expected}")]
    Length {
        /// The bytes there are.
        found: usize,
        /// The bytes the header asks for.
        expected: usize,
    },
    /// A frame without entries, or one whose `seq`s pass `u64::MAX`.
    #[error("frame has an impossible entry count or first seq")]
    Count,
    /// The names section does not hold as many names as the header says, or they are not UTF-8.
    #[error("frame has a malformed names section")]
    Names,
    /// A record does not begin where its offset says.
    #[error("entry {seq} does not begin where the previous one ends")]
    Offset {
        /// The entry whose offset is wrong.
        seq: u64,
    },
    /// A record is malformed.
    #[error("entry {seq}")]
    Record {
        /// The entry's `seq`, by its position in the frame.
        seq: u64,
        /// What is wrong.
        source: RecordError,
    },
}

/// A frame whose bytes are borrowed. Parsing checks that every section has its place. Hashes are
/// checked when entries are read.
#[derive(Debug, Clone, Copy)]
pub struct FrameView<'a> {
    header: &'a FrameHeader,
    header_bytes: &'a [u8],
    records: &'a [u8],
    hashes: &'a [[u8; Hash::BYTES]],
    offsets: &'a [U32],
    names: &'a [u8],
    /// Hashes, offsets and names together. The root covers them and the header.
    sections: &'a [u8],
    root: Hash,
}

/// A frame that owns its bytes. It is parsed once and viewed again for each entry that is read.
#[derive(Debug, Clone)]
pub struct Frame {
    bytes: Bytes,
    /// Kept from [`section_ends`], because a scan views the frame for every entry.
    ends: SectionEnds,
    first_seq: u64,
    last_seq: u64,
}

impl Frame {
    /// Parses a frame that is exactly `bytes`.
    pub fn parse(bytes: Bytes) -> Result<Self, FrameError> {
        let ends = section_ends(&bytes)?;
        let view = FrameView::of_sections(&bytes, ends);
        view.check_names()?;
        let (first_seq, last_seq) = (view.first_seq(), view.last_seq());
        Ok(Self { bytes, ends, first_seq, last_seq })
    }

    /// The frame, for reading.
    #[inline]
    pub fn view(&self) -> FrameView<'_> {
        FrameView::of_sections(&self.bytes, self.ends)
    }

    /// The `seq` of the first entry.
    #[inline]
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The `seq` of the last entry.
    #[inline]
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// True if entry `seq` is in this frame.
    #[inline]
    pub fn contains(&self, seq: u64) -> bool {
        (self.first_seq..=self.last_seq).contains(&seq)
    }

    /// Its length in bytes.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }
}

impl<'a> FrameView<'a> {
    /// Parses a frame that is exactly `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let view = Self::of_sections(bytes, section_ends(bytes)?);
        view.check_names()?;
        Ok(view)
    }

    /// Divides `bytes` into sections. The ends come from [`section_ends`] over the same bytes.
    #[inline]
    fn of_sections(bytes: &'a [u8], [records, hashes, offsets, names]: SectionEnds) -> Self {
        const CHECKED: &str = "the ends of the sections were found in these bytes";
        Self {
            header: FrameHeader::ref_from_prefix(bytes).expect(CHECKED).0,
            header_bytes: &bytes[..LINE_BYTES],
            records: &bytes[LINE_BYTES..records],
            hashes: bytes[records..hashes].as_chunks().0,
            offsets: <[U32]>::ref_from_bytes(&bytes[hashes..offsets]).expect(CHECKED),
            names: &bytes[offsets..names],
            sections: &bytes[records..names],
            root: Hash::from_bytes(bytes[names..].try_into().expect(CHECKED)),
        }
    }

    fn check_names(&self) -> Result<(), FrameError> {
        let mut rest = self.names;
        for _ in 0..self.header.names_count.get() {
            rest = split_name(rest).ok_or(FrameError::Names)?.1;
        }
        if rest.is_empty() { Ok(()) } else { Err(FrameError::Names) }
    }

    /// The `seq` of the first entry.
    pub fn first_seq(&self) -> u64 {
        self.header.first_seq.get()
    }

    /// The `seq` of the last entry.
    pub fn last_seq(&self) -> u64 {
        self.first_seq() + self.hashes.len() as u64 - 1
    }

    /// How many entries there are; at least one.
    pub fn count(&self) -> usize {
        self.hashes.len()
    }

    /// The root of the frame before this one; 32 zero bytes in the first.
    pub fn previous_root(&self) -> Hash {
        Hash::from_bytes(self.header.previous_root)
    }

    /// The root that the frame stores.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The root computed from header, hashes, offsets and names.
    pub fn compute_root(&self) -> Hash {
        root_of(self.header_bytes, self.sections)
    }

    /// The stored hash of the entry at `index`.
    ///
    /// # Panics
    /// If `index` is not below [`count`](Self::count).
    pub fn entry_hash(&self, index: usize) -> Hash {
        Hash::from_bytes(self.hashes[index])
    }

    /// The names first used in this frame, in the order of their numbers.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self.names;
        std::iter::from_fn(move || {
            let (name, tail) = split_name(rest)?;
            rest = tail;
            Some(name)
        })
    }

    /// The record at `index`, found through its offset. Its hash is not checked here.
    ///
    /// # Panics
    /// If `index` is not below [`count`](Self::count).
    pub fn record(&self, index: usize) -> Result<RecordView<'a>, FrameError> {
        let seq = self.first_seq() + index as u64;
        let bytes = self.records.get(self.record_start(index)..).unwrap_or_default();
        RecordView::parse(bytes).map_err(|source| FrameError::Record { seq, source })
    }

    /// Checks that each record begins where its offset says, and that records fill their section
    /// without gap or overlap.
    pub fn check_offsets(&self) -> Result<(), FrameError> {
        self.visit_records(|_, _, _| {})
    }

    /// True if offsets, records, their hashes and the root agree. Calls `visit` with each record
    /// and its index, before the record's hash is checked. In a frame that is not sound some
    /// records may be skipped, and the result does not say what is wrong.
    pub fn is_sound(
        &self,
        hasher: &mut BatchHasher,
        hashes: &mut Vec<Hash>,
        mut visit: impl FnMut(usize, &RecordView<'a>),
    ) -> bool {
        hashes.clear();
        hashes.resize(self.count(), Hash::ZERO);
        // One pass: a record is hashed while it is still in the processor's cache.
        let visited = self.visit_records(|index, start, record| {
            visit(index, record);
            hasher.add(self.records, start, record.bytes().len() / LINE_BYTES, index, hashes);
        });
        hasher.finish(self.records, hashes);
        visited.is_ok()
            && hashes
                .iter()
                .zip(self.hashes)
                .all(|(computed, stored)| computed.as_bytes() == stored)
            && self.compute_root() == self.root
    }

    /// Calls `visit` with the index, the start in bytes and the view of each record. Stops at the
    /// first record that does not begin where its offset says.
    fn visit_records(
        &self,
        mut visit: impl FnMut(usize, usize, &RecordView<'a>),
    ) -> Result<(), FrameError> {
        let mut end = 0;
        for index in 0..self.count() {
            let seq = self.first_seq() + index as u64;
            if self.record_start(index) != end {
                return Err(FrameError::Offset { seq });
            }
            let record = self.record(index)?;
            visit(index, end, &record);
            end += record.bytes().len();
        }
        if end == self.records.len() {
            Ok(())
        } else {
            Err(FrameError::Offset { seq: self.last_seq() + 1 })
        }
    }

    /// Hashes every record into `out`, which is cleared first. A malformed record gets 32 zero
    /// bytes.
    pub fn hash_records(&self, hasher: &mut BatchHasher, out: &mut Vec<Hash>) {
        out.clear();
        out.resize(self.count(), Hash::ZERO);
        for index in 0..self.count() {
            let Ok(record) = self.record(index) else {
                continue;
            };
            let (start, len) = (self.record_start(index), record.bytes().len());
            hasher.add(self.records, start, len / LINE_BYTES, index, out);
        }
        hasher.finish(self.records, out);
    }

    fn record_start(&self, index: usize) -> usize {
        self.offsets[index].get() as usize * LINE_BYTES
    }
}

/// The length in bytes of the frame at the beginning of `bytes`, and how many entries it has, by
/// its header. `None` if they do not begin like a frame.
pub(super) fn frame_len(bytes: &[u8]) -> Option<(usize, u64)> {
    let (header, _) = FrameHeader::ref_from_prefix(bytes).ok()?;
    header.check().ok()?;
    let [.., names] = header.section_ends();
    Some((names + Hash::BYTES, header.count.get().into()))
}

/// Where records, hashes, offsets and names end. The root follows them.
type SectionEnds = [usize; 4];

/// Checks the header of a frame that is exactly `bytes`, and finds the ends of its sections.
fn section_ends(bytes: &[u8]) -> Result<SectionEnds, FrameError> {
    let length = |expected| FrameError::Length { found: bytes.len(), expected };
    let (header, _) = FrameHeader::ref_from_prefix(bytes).map_err(|_| length(LINE_BYTES))?;
    header.check()?;
    let ends = header.section_ends();
    let expected = ends[3] + Hash::BYTES;
    if bytes.len() == expected { Ok(ends) } else { Err(length(expected)) }
}

fn split_name(names: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = names.split_first_chunk::<NAME_LEN_BYTES>()?;
    let (name, rest) = rest.split_at_checked(u16::from_le_bytes(*len) as usize)?;
    Some((std::str::from_utf8(name).ok()?, rest))
}
