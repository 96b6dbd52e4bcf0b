//! What a tap says about market data. Marks travel in the producers' rings, and from the writer to
//! the sidecar's thread. They are never stored: [`marker_block`](super::marker_block) is what is
//! stored.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{LINE_BYTES, Line, RecordFlags, lines_for};
use crate::model::{DataMarkerClass, Hash, UnixNanos};

/// The first line of a mark. `seq`, `lines` and `flags` stand where a
/// [`RecordHeader`](super::RecordHeader) has them: a ring is read by these three.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct MarkHeader {
    /// The order stamp. The writer replaces it by the `seq` of the last entry before the data.
    pub(crate) seq: U64,
    /// When the data was created.
    pub(crate) ts_init: U64,
    /// How many data of its stream the producer has seen, this one included. In an announcement:
    /// bytes of the identifier.
    pub(crate) count: U64,
    /// The producer's number for the stream.
    pub(crate) stream: U32,
    /// The producer's number. The writer sets it.
    pub(crate) lane: U32,
    /// How many marks all producers had shed before this one. The writer sets it.
    pub(crate) shed: U64,
    /// Lines of the whole mark.
    pub(crate) lines: U32,
    /// Which kind of mark.
    pub(crate) flags: U16,
    /// In an announcement: the class of the stream.
    pub(crate) class: U16,
    /// When the data happened at its venue.
    pub(crate) ts_event: U64,
    /// The largest `ts_init` the producer has seen of the stream.
    pub(crate) ts_init_hi: U64,
}

const _: () = {
    use super::RecordHeader;
    use std::mem::offset_of;

    assert!(size_of::<MarkHeader>() == LINE_BYTES);
    assert!(offset_of!(MarkHeader, seq) == offset_of!(RecordHeader, seq));
    assert!(offset_of!(MarkHeader, lines) == offset_of!(RecordHeader, lines));
    assert!(offset_of!(MarkHeader, flags) == offset_of!(RecordHeader, flags));
};

/// The second line of a high-fidelity mark.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct HiFiLine {
    pub(crate) fingerprint: [u8; 32],
    pub(crate) same_ts_ordinal: U32,
    reserved: [u8; 28],
}

/// A piece of market data that a tap has seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DataMark {
    pub(crate) stream: u32,
    pub(crate) count: u64,
    pub(crate) ts_event: UnixNanos,
    pub(crate) ts_init: UnixNanos,
    pub(crate) ts_init_hi: UnixNanos,
}

/// What a high-fidelity mark says about one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MarkedRecord {
    pub(crate) fingerprint: Hash,
    pub(crate) same_ts_ordinal: u32,
}

impl MarkHeader {
    /// The header of the mark that `line` begins.
    #[inline]
    pub(crate) fn of(line: &Line) -> &Self {
        Self::ref_from_bytes(line.bytes()).expect("a line is as long as a header")
    }

    /// True if the mark announces a stream.
    pub(crate) fn is_stream(&self) -> bool {
        RecordFlags::from_bits(self.flags.get()).has(RecordFlags::STREAM)
    }

    /// The header as a line.
    #[inline]
    pub(crate) fn to_line(self) -> Line {
        Line::from_bytes(zerocopy::transmute!(self))
    }
}

impl HiFiLine {
    /// The second line of a high-fidelity mark.
    pub(crate) fn of(line: &Line) -> MarkedRecord {
        let line = Self::ref_from_bytes(line.bytes()).expect("a line is as long as this");
        MarkedRecord {
            fingerprint: Hash::from_bytes(line.fingerprint),
            same_ts_ordinal: line.same_ts_ordinal.get(),
        }
    }

    fn line(record: &MarkedRecord) -> Line {
        Line::from_bytes(zerocopy::transmute!(Self {
            fingerprint: *record.fingerprint.as_bytes(),
            same_ts_ordinal: U32::new(record.same_ts_ordinal),
            reserved: [0; 28],
        }))
    }
}

impl DataMark {
    /// The mark as one line.
    #[inline]
    pub(crate) fn line(&self, stamp: u64) -> Line {
        self.header(stamp, 1).to_line()
    }

    /// The mark as two lines, with high fidelity.
    pub(crate) fn lines(&self, record: &MarkedRecord, stamp: u64) -> [Line; 2] {
        [self.header(stamp, 2).to_line(), HiFiLine::line(record)]
    }

    #[inline]
    fn header(&self, stamp: u64, lines: u32) -> MarkHeader {
        MarkHeader {
            seq: U64::new(stamp),
            ts_init: U64::new(self.ts_init.as_u64()),
            count: U64::new(self.count),
            stream: U32::new(self.stream),
            lane: U32::ZERO,
            shed: U64::ZERO,
            lines: U32::new(lines),
            flags: U16::new(RecordFlags::MARK.bits()),
            class: U16::ZERO,
            ts_event: U64::new(self.ts_event.as_u64()),
            ts_init_hi: U64::new(self.ts_init_hi.as_u64()),
        }
    }
}

/// The mark that announces a stream, before its first data.
pub(crate) fn stream_mark(
    stream: u32,
    class: DataMarkerClass,
    identifier: &str,
    stamp: u64,
) -> Vec<Line> {
    let mut lines = vec![Line::ZERO; stream_mark_lines(identifier.len())];
    let header = MarkHeader {
        seq: U64::new(stamp),
        ts_init: U64::ZERO,
        count: U64::new(identifier.len() as u64),
        stream: U32::new(stream),
        lane: U32::ZERO,
        shed: U64::ZERO,
        lines: U32::new(lines.len() as u32),
        flags: U16::new(RecordFlags::MARK.with(RecordFlags::STREAM).bits()),
        class: U16::new(class.index() as u16),
        ts_event: U64::ZERO,
        ts_init_hi: U64::ZERO,
    };
    lines[0] = header.to_line();
    lines[1..].as_mut_bytes()[..identifier.len()].copy_from_slice(identifier.as_bytes());
    lines
}

/// Lines of the mark that announces a stream, by the length of its identifier.
pub(crate) fn stream_mark_lines(identifier_bytes: usize) -> usize {
    1 + lines_for(identifier_bytes)
}

/// The stream that an announcement is about.
///
/// # Panics
/// If the lines are no announcement made by [`stream_mark`].
pub(crate) fn announced_stream(lines: &[Line]) -> (DataMarkerClass, &str) {
    let header = MarkHeader::of(&lines[0]);
    let class = DataMarkerClass::ALL[header.class.get() as usize];
    let bytes = &lines[1..].as_bytes()[..header.count.get() as usize];
    (class, std::str::from_utf8(bytes).expect("a tap announces identifiers from `&str`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_what_it_was_made_of() {
        let record = MarkedRecord { fingerprint: Hash::of(b"record"), same_ts_ordinal: 3 };
        let mark = DataMark {
            stream: 7,
            count: 11,
            ts_event: 13.into(),
            ts_init: 17.into(),
            ts_init_hi: 19.into(),
        };
        let [first, second] = mark.lines(&record, 23);
        let header = MarkHeader::of(&first);
        assert!(!header.is_stream());
        assert_eq!(
            [header.seq, header.ts_init, header.count, header.ts_event, header.ts_init_hi]
                .map(U64::get),
            [23, 17, 11, 13, 19]
        );
        assert_eq!((header.stream.get(), header.lines.get()), (7, 2));
        assert_eq!(HiFiLine::of(&second), record);
        assert_eq!(MarkHeader::of(&mark.line(23)).lines.get(), 1);
    }

    #[test]
    fn an_announcement_says_which_stream() {
        let identifier = "E".repeat(65);
        let lines = stream_mark(2, DataMarkerClass::Bar, &identifier, 5);
        assert_eq!(lines.len(), 3);
        assert!(MarkHeader::of(&lines[0]).is_stream());
        assert_eq!(announced_stream(&lines), (DataMarkerClass::Bar, &*identifier));
    }
}
