//! What a sidecar holds: blocks of marker records, and the rows of its dictionary.
//!
//! A block is a sequence of records. Each record has a byte for its kind, a body, and the hash of
//! the body. The hash is keyed by the kind. All integers are little-endian. `docs/format.md` has
//! the layout.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::model::{
    DataCursorSnapshot, DataMarkerClass, Hash, HiFiMarker, Marker, MarkerGap, MarkerGapReason,
    StreamCursor, StreamDictEntry,
};

const HASH_BYTES: usize = Hash::BYTES;

/// The kinds of records. A record begins with this byte.
const CURSOR: u8 = 1;
const HIFI: u8 = 2;
const GAP: u8 = 3;

/// The keys of the hashes. Each kind has its own, so that no record passes for one of another kind.
struct Domains {
    stream: [u8; 32],
    cursor: [u8; 32],
    hifi: [u8; 32],
    gap: [u8; 32],
}

impl Default for Domains {
    fn default() -> Self {
        let key = |domain: &str| *Hash::of(domain.as_bytes()).as_bytes();
        Self {
            stream: key("tapline data marker: stream"),
            cursor: key("tapline data marker: cursor snapshot"),
            hifi: key("tapline data marker: high fidelity"),
            gap: key("tapline data marker: gap"),
        }
    }
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct SnapshotBody {
    marker_seq: U64,
    event_seq_before: U64,
    ts_init: U64,
    advanced: U32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct CursorBody {
    slot: U32,
    ts_init_hi: U64,
    count: U64,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct HiFiBody {
    marker_seq: U64,
    event_seq_before: U64,
    slot: U32,
    ts_event: U64,
    ts_init: U64,
    same_ts_ordinal: U32,
    record_fingerprint: [u8; 32],
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct GapBody {
    from: U64,
    to: U64,
    reason: u8,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct StreamBody {
    slot: U32,
    class: u8,
}

/// Why bytes are no block, or no row of the dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MarkerBlockError {
    /// A record is longer than the rest of the block.
    #[error("a record is cut short")]
    Truncated,
    /// This version does not know the kind, class or reason.
    #[error("a record has the unknown tag {tag}")]
    UnknownTag {
        /// The tag as found.
        tag: u8,
    },
    /// A stream's identifier is not UTF-8.
    #[error("an identifier is not UTF-8")]
    Identifier,
}

/// A record with its stored hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMarker {
    /// The record.
    pub marker: Marker,
    /// The stored hash.
    pub hash: Hash,
    /// True if the stored hash is the record's.
    pub is_intact: bool,
}

/// A row of the dictionary with its stored hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStream {
    /// The stream.
    pub stream: StreamDictEntry,
    /// The stored hash.
    pub hash: Hash,
    /// True if the stored hash is the row's.
    pub is_intact: bool,
}

/// Writes and reads records. Holds the keys of the hashes.
#[derive(Default)]
pub struct MarkerCodec {
    domains: Domains,
}

impl MarkerCodec {
    /// A block of `markers`.
    pub fn encode_block(&self, markers: &[Marker]) -> Vec<u8> {
        let mut block = Vec::new();
        for marker in markers {
            self.encode(marker, &mut block);
        }
        block
    }

    /// Appends a record to a block.
    fn encode(&self, marker: &Marker, block: &mut Vec<u8>) {
        let (kind, key) = match marker {
            Marker::Cursor(_) => (CURSOR, &self.domains.cursor),
            Marker::HiFi(_) => (HIFI, &self.domains.hifi),
            Marker::Gap(_) => (GAP, &self.domains.gap),
        };
        block.push(kind);
        let start = block.len();
        match marker {
            Marker::Cursor(snapshot) => encode_snapshot(snapshot, block),
            Marker::HiFi(marker) => encode_hifi(marker, block),
            Marker::Gap(gap) => encode_gap(*gap, block),
        }
        let hash = Hash::keyed(key, &block[start..]);
        block.extend_from_slice(hash.as_bytes());
    }

    /// Takes the first record off a block; `None` at its end.
    pub fn decode<'a>(
        &self,
        block: &'a [u8],
    ) -> Result<Option<(StoredMarker, &'a [u8])>, MarkerBlockError> {
        let Some((&kind, rest)) = block.split_first() else {
            return Ok(None);
        };
        let (key, (marker, behind)) = match kind {
            CURSOR => (&self.domains.cursor, decode_snapshot(rest)?),
            HIFI => (&self.domains.hifi, decode_hifi(rest)?),
            GAP => (&self.domains.gap, decode_gap(rest)?),
            tag => return Err(MarkerBlockError::UnknownTag { tag }),
        };
        let body = &rest[..rest.len() - behind.len()];
        let (hash, behind) = take_hash(behind)?;
        let is_intact = Hash::keyed(key, body) == hash;
        Ok(Some((StoredMarker { marker, hash, is_intact }, behind)))
    }

    /// A row of the dictionary. It is stored under the stream's slot.
    pub fn encode_stream(&self, stream: &StreamDictEntry) -> Vec<u8> {
        let class = stream.data_cls.index() as u8;
        let body = StreamBody { slot: U32::new(stream.slot), class };
        let mut row = body.as_bytes().to_vec();
        row.extend_from_slice(stream.identifier.as_bytes());
        let hash = Hash::keyed(&self.domains.stream, &row);
        row.extend_from_slice(hash.as_bytes());
        row
    }

    /// Reads a row of the dictionary.
    pub fn decode_stream(&self, row: &[u8]) -> Result<StoredStream, MarkerBlockError> {
        let (body, hash) =
            row.split_last_chunk::<HASH_BYTES>().ok_or(MarkerBlockError::Truncated)?;
        let (StreamBody { slot, class }, identifier) = take::<StreamBody>(body)?;
        let data_cls = DataMarkerClass::ALL.get(usize::from(*class));
        let identifier =
            std::str::from_utf8(identifier).map_err(|_| MarkerBlockError::Identifier)?;
        let hash = Hash::from_bytes(*hash);
        Ok(StoredStream {
            stream: StreamDictEntry {
                slot: slot.get(),
                data_cls: *data_cls.ok_or(MarkerBlockError::UnknownTag { tag: *class })?,
                identifier: identifier.to_owned(),
            },
            hash,
            is_intact: Hash::keyed(&self.domains.stream, body) == hash,
        })
    }
}

fn encode_snapshot(snapshot: &DataCursorSnapshot, block: &mut Vec<u8>) {
    let body = SnapshotBody {
        marker_seq: U64::new(snapshot.marker_seq),
        event_seq_before: U64::new(snapshot.event_seq_before),
        ts_init: U64::new(snapshot.ts_init.as_u64()),
        advanced: U32::new(snapshot.advanced.len() as u32),
    };
    block.extend_from_slice(body.as_bytes());
    for cursor in &snapshot.advanced {
        let body = CursorBody {
            slot: U32::new(cursor.slot),
            ts_init_hi: U64::new(cursor.ts_init_hi.as_u64()),
            count: U64::new(cursor.count),
        };
        block.extend_from_slice(body.as_bytes());
    }
}

fn decode_snapshot(bytes: &[u8]) -> Result<(Marker, &[u8]), MarkerBlockError> {
    let (body, rest) = take::<SnapshotBody>(bytes)?;
    let count = body.advanced.get() as usize;
    // Checked before anything is allocated, so that a damaged count takes no memory.
    let (cursors, rest) = <[CursorBody]>::ref_from_prefix_with_elems(rest, count)
        .map_err(|_| MarkerBlockError::Truncated)?;
    let advanced = cursors.iter().map(|cursor| StreamCursor {
        slot: cursor.slot.get(),
        ts_init_hi: cursor.ts_init_hi.get().into(),
        count: cursor.count.get(),
    });
    let snapshot = DataCursorSnapshot {
        marker_seq: body.marker_seq.get(),
        event_seq_before: body.event_seq_before.get(),
        ts_init: body.ts_init.get().into(),
        advanced: advanced.collect(),
    };
    Ok((Marker::Cursor(snapshot), rest))
}

fn encode_hifi(marker: &HiFiMarker, block: &mut Vec<u8>) {
    let body = HiFiBody {
        marker_seq: U64::new(marker.marker_seq),
        event_seq_before: U64::new(marker.event_seq_before),
        slot: U32::new(marker.slot),
        ts_event: U64::new(marker.ts_event.as_u64()),
        ts_init: U64::new(marker.ts_init.as_u64()),
        same_ts_ordinal: U32::new(marker.same_ts_ordinal),
        record_fingerprint: *marker.record_fingerprint.as_bytes(),
    };
    block.extend_from_slice(body.as_bytes());
}

fn decode_hifi(bytes: &[u8]) -> Result<(Marker, &[u8]), MarkerBlockError> {
    let (body, rest) = take::<HiFiBody>(bytes)?;
    let marker = HiFiMarker {
        marker_seq: body.marker_seq.get(),
        event_seq_before: body.event_seq_before.get(),
        slot: body.slot.get(),
        ts_event: body.ts_event.get().into(),
        ts_init: body.ts_init.get().into(),
        same_ts_ordinal: body.same_ts_ordinal.get(),
        record_fingerprint: Hash::from_bytes(body.record_fingerprint),
    };
    Ok((Marker::HiFi(marker), rest))
}

const OVERFLOW: u8 = 1;
const WRITER_CLOSED: u8 = 2;

fn encode_gap(gap: MarkerGap, block: &mut Vec<u8>) {
    let reason = match gap.reason {
        MarkerGapReason::Overflow => OVERFLOW,
        MarkerGapReason::WriterClosed => WRITER_CLOSED,
    };
    let body = GapBody { from: U64::new(gap.from), to: U64::new(gap.to), reason };
    block.extend_from_slice(body.as_bytes());
}

fn decode_gap(bytes: &[u8]) -> Result<(Marker, &[u8]), MarkerBlockError> {
    let (body, rest) = take::<GapBody>(bytes)?;
    let reason = match body.reason {
        OVERFLOW => MarkerGapReason::Overflow,
        WRITER_CLOSED => MarkerGapReason::WriterClosed,
        tag => return Err(MarkerBlockError::UnknownTag { tag }),
    };
    Ok((Marker::Gap(MarkerGap { from: body.from.get(), to: body.to.get(), reason }), rest))
}

fn take<T: FromBytes + KnownLayout + Immutable + Unaligned>(
    bytes: &[u8],
) -> Result<(&T, &[u8]), MarkerBlockError> {
    T::ref_from_prefix(bytes).map_err(|_| MarkerBlockError::Truncated)
}

fn take_hash(bytes: &[u8]) -> Result<(Hash, &[u8]), MarkerBlockError> {
    let (hash, rest) =
        bytes.split_first_chunk::<HASH_BYTES>().ok_or(MarkerBlockError::Truncated)?;
    Ok((Hash::from_bytes(*hash), rest))
}
