//! Malformed frames and records are refused, each with the error that fits.

use bytes::Bytes;
use uuid::Uuid;
use zerocopy::IntoBytes;

use super::record_builder::RecordTag;
use super::{
    BatchHasher, Frame, FrameBuilder, FrameError, FrameLimits, FrameView, LINE_BYTES, Line,
    RecordBuilder, RecordError, RecordLimits, RecordStamp, RecordView,
};
use crate::model::{EntryDraft, Hash, Headers, IndexKind, UnixNanos};

/// Header, 17 bytes of payload, 11 of keys and 16 of an id: two lines, which end with 20 bytes of
/// padding.
fn record() -> Vec<Line> {
    let limits = RecordLimits { record_bytes_max: 1_024, keys_max: 4, key_bytes_max: 16 };
    let mut builder = RecordBuilder::new(limits);
    builder.fill(&EntryDraft {
        topic: "topic",
        payload_type: "type",
        ts_init: UnixNanos::new(1),
        payload: b"12345678901234567",
        headers: Headers { correlation_id: Some(Uuid::from_u128(7)), causation_id: None },
        keys: &[(IndexKind::CLIENT_ORDER_ID, "O-1"), (IndexKind::VENUE_ORDER_ID, "")],
        identity: None,
    });
    let tag = RecordTag { stamp: 0, ts_publish: UnixNanos::new(2), topic_id: 0, type_id: 1 };
    builder.finish(tag).unwrap().to_vec()
}

const RECORDS: usize = LINE_BYTES;
const HASHES: usize = RECORDS + 3 * 2 * LINE_BYTES;
const OFFSETS: usize = HASHES + 3 * 32;
const NAMES: usize = OFFSETS + 3 * 4;
const ROOT: usize = NAMES + 2 + 5 + 2 + 4;

/// Three such records, and both names.
fn frame() -> Vec<u8> {
    let limits = FrameLimits { entries_max: 3, bytes_max: 1 << 12 };
    let mut builder = FrameBuilder::new(limits, 1, 0);
    for _ in 0..3 {
        let stamp = RecordStamp { ts_publish: UnixNanos::new(2), topic_id: 0, type_id: 1 };
        builder.push(&record(), &[], &stamp);
    }
    builder.push_name("topic");
    builder.push_name("type");
    builder.seal(&Hash::ZERO).bytes().to_vec()
}

fn put(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at..at + new.len()].copy_from_slice(new);
    changed
}

fn is_sound(frame: &FrameView<'_>) -> bool {
    frame.is_sound(&mut BatchHasher::default(), &mut Vec::new(), |_, _| {})
}

#[test]
fn an_unchanged_frame_is_sound() {
    let bytes = frame();
    assert_eq!(bytes.len(), ROOT + 32);
    let frame = FrameView::parse(&bytes).unwrap();
    assert_eq!(frame.check_offsets(), Ok(()));
    assert!(is_sound(&frame));
    assert_eq!(frame.names().collect::<Vec<_>>(), ["topic", "type"]);
}

#[test]
fn an_owned_frame_views_like_its_bytes() {
    let bytes = frame();
    let owned = Frame::parse(Bytes::from(bytes.clone())).unwrap();
    let view = FrameView::parse(&bytes).unwrap();
    assert_eq!(owned.view().root(), view.root());
    assert_eq!(owned.view().record(2).unwrap().bytes(), view.record(2).unwrap().bytes());
    assert_eq!((owned.first_seq(), owned.last_seq(), owned.len_bytes()), (1, 3, bytes.len()));
    assert_eq!([0, 1, 3, 4].map(|seq| owned.contains(seq)), [false, true, true, false]);
    let cut = Bytes::from(bytes).slice(1..);
    assert_eq!(Frame::parse(cut).unwrap_err(), FrameError::Magic { found: *b"LF1\x01" });
}

#[test]
fn malformed_frames_are_refused() {
    let sound = frame();
    let first_seq = |seq: u64| put(&sound, 8, &seq.to_le_bytes());
    let len = sound.len();
    let cases = [
        (put(&sound, 0, b"X"), FrameError::Magic { found: *b"XLF1" }),
        (put(&sound, 4, &[2]), FrameError::Version { found: 2, expected: 1 }),
        (put(&sound, 7, &[1]), FrameError::Reserved),
        (first_seq(0), FrameError::Count),
        (first_seq(u64::MAX - 2), FrameError::Count),
        (put(&sound, 16, &[0]), FrameError::Count),
        (put(&sound, 16, &[4]), FrameError::Length { found: len, expected: len + 36 }),
        (put(&sound, 20, &[7]), FrameError::Length { found: len, expected: len + LINE_BYTES }),
        (put(&sound, 28, &[12]), FrameError::Length { found: len, expected: len - 1 }),
        (sound[..63].to_vec(), FrameError::Length { found: 63, expected: 64 }),
        (sound[..64].to_vec(), FrameError::Length { found: 64, expected: len }),
        // The names section holds: one name too many, one too few, a name longer than the section,
        // a name that is not UTF-8.
        (put(&sound, 24, &[1]), FrameError::Names),
        (put(&sound, 24, &[3]), FrameError::Names),
        (put(&sound, NAMES + 7, &[5]), FrameError::Names),
        (put(&sound, NAMES + 2, &[0xff]), FrameError::Names),
    ];
    for (bytes, expected) in cases {
        assert_eq!(FrameView::parse(&bytes).unwrap_err(), expected);
    }
    // The largest `seq` that is allowed.
    let last = first_seq(u64::MAX - 3);
    assert_eq!(FrameView::parse(&last).unwrap().last_seq(), u64::MAX - 1);
}

#[test]
fn records_away_from_their_offsets_are_refused() {
    let sound = frame();
    // A line that belongs to no record.
    let mut longer = put(&sound, 20, &[7]);
    longer.splice(HASHES..HASHES, [0; LINE_BYTES]);
    let flags = RECORDS + 2 * LINE_BYTES + 44;
    let unknown = RecordError::UnknownFlags { flags: 0x11 };
    let cases = [
        (put(&sound, OFFSETS, &[2]), FrameError::Offset { seq: 1 }),
        (put(&sound, OFFSETS + 4, &[0]), FrameError::Offset { seq: 2 }),
        (put(&sound, OFFSETS + 8, &[5]), FrameError::Offset { seq: 3 }),
        (put(&sound, OFFSETS + 8, &[0, 0, 0, 1]), FrameError::Offset { seq: 3 }),
        (longer, FrameError::Offset { seq: 4 }),
        (put(&sound, flags, &[0x11]), FrameError::Record { seq: 2, source: unknown }),
    ];
    for (bytes, expected) in cases {
        let frame = FrameView::parse(&bytes).unwrap();
        assert_eq!(frame.check_offsets(), Err(expected));
        assert!(!is_sound(&frame));
    }
    let beyond = put(&sound, OFFSETS + 8, &[0, 0, 0, 1]);
    let found = FrameView::parse(&beyond).unwrap().record(2).map(|_| ()).unwrap_err();
    assert_eq!(found, FrameError::Record { seq: 3, source: RecordError::Truncated });
}

#[test]
fn malformed_records_are_refused() {
    let sound = record().as_bytes().to_vec();
    let cases = [
        (sound[..63].to_vec(), RecordError::Truncated),
        (sound[..127].to_vec(), RecordError::Truncated),
        (put(&sound, 40, &[3]), RecordError::LineCount { lines: 3, expected: 2 }),
        // The payload is 128 bytes longer.
        (put(&sound, 24, &[145]), RecordError::LineCount { lines: 2, expected: 4 }),
        (put(&sound, 45, &[0x80]), RecordError::UnknownFlags { flags: 0x8001 }),
        (put(&sound, 44, &[1 << 3]), RecordError::UnknownFlags { flags: 8 }),
        (put(&sound, 63, &[1]), RecordError::Padding),
        (put(&sound, 127, &[1]), RecordError::Padding),
        (put(&sound, 108, &[1]), RecordError::Padding),
        // The keys section holds: one key too many, one too few, a key longer than the section,
        // half the head of a key.
        (put(&sound, 46, &[1]), RecordError::Keys),
        (put(&sound, 46, &[3]), RecordError::Keys),
        (put(&sound, 64 + 17 + 4 + 3 + 2, &[1]), RecordError::Keys),
        (put(&put(&sound, 46, &[1]), 64 + 17 + 2, &[5]), RecordError::Keys),
    ];
    for (bytes, expected) in cases {
        assert_eq!(RecordView::parse(&bytes).map(|_| ()).unwrap_err(), expected);
    }
}

#[test]
fn a_record_has_the_parts_it_was_made_of() {
    let bytes = [record().as_bytes(), &[0xff; 100]].concat();
    let record = RecordView::parse(&bytes).unwrap();
    assert_eq!(record.bytes().len(), 2 * LINE_BYTES);
    assert_eq!(record.payload(), b"12345678901234567");
    let keys: Vec<_> = record.keys().collect();
    assert_eq!(keys, [(IndexKind::CLIENT_ORDER_ID, &b"O-1"[..]), (IndexKind::VENUE_ORDER_ID, b"")]);
    assert_eq!(record.headers().correlation_id, Some(Uuid::from_u128(7)));
    assert_eq!((record.headers().causation_id, record.identity()), (None, None));
    assert_eq!((record.topic_id(), record.type_id(), record.name_id_max()), (0, 1, 1));
    assert_eq!((record.ts_init().as_u64(), record.ts_publish().as_u64()), (1, 2));
}
