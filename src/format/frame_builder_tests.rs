//! How much fits into a frame.

use super::frame_builder::{FRAME_OVERHEAD_BYTES, PER_RECORD_BYTES};
use super::frame_view::NAME_LEN_BYTES;
use super::record_builder::name_record;
use super::{FrameBuilder, FrameLimits, LINE_BYTES, Line, RecordStamp};
use crate::model::{Hash, UnixNanos};

const STAMP: RecordStamp = RecordStamp { ts_publish: UnixNanos::new(1), topic_id: 0, type_id: 0 };

/// The `n`th record and its name. Every fourth name is empty.
fn nth(n: usize) -> (Vec<Line>, String) {
    (name_record(&"r".repeat(n * 97 % 400), 0), "n".repeat(n % 4))
}

fn names_bytes(name: &str) -> usize {
    if name.is_empty() { 0 } else { NAME_LEN_BYTES + name.len() }
}

fn push(frame: &mut FrameBuilder, (record, name): &(Vec<Line>, String)) {
    frame.push(record, &[], &STAMP);
    if !name.is_empty() {
        frame.push_name(name);
    }
}

/// The length of a sealed frame that has the first `count` records.
fn sealed_len(count: usize) -> usize {
    let limits = FrameLimits { entries_max: usize::MAX, bytes_max: 1 << 20 };
    let mut frame = FrameBuilder::new(limits, 1, 0);
    for n in 0..count {
        push(&mut frame, &nth(n));
    }
    frame.seal(&Hash::ZERO).bytes().len()
}

/// The check of settings computes with these two constants.
#[test]
fn a_frame_has_its_overhead_and_its_records() {
    let (record, name) = nth(0);
    assert_eq!(name, "");
    let len = FRAME_OVERHEAD_BYTES + PER_RECORD_BYTES + record.len() * LINE_BYTES;
    assert_eq!((sealed_len(1), FRAME_OVERHEAD_BYTES, PER_RECORD_BYTES), (len, 96, 36));
}

#[test]
fn a_frame_fills_up_to_its_byte_limit() {
    for bytes_max in 500..4_000 {
        let limits = FrameLimits { entries_max: usize::MAX, bytes_max };
        let mut frame = FrameBuilder::new(limits, 1, 0);
        let mut count = 0;
        while let next = nth(count)
            && frame.fits(next.0.len(), names_bytes(&next.1))
        {
            push(&mut frame, &next);
            count += 1;
        }
        let sealed = frame.seal(&Hash::ZERO).bytes().len();
        assert_eq!(sealed, sealed_len(count));
        assert!(sealed <= bytes_max, "{sealed} bytes, {bytes_max} are allowed");
        assert!(sealed_len(count + 1) > bytes_max, "there was room for another");
    }
}

#[test]
fn a_full_or_sealed_frame_takes_no_entry() {
    let limits = FrameLimits { entries_max: 3, bytes_max: 1 << 20 };
    let mut frame = FrameBuilder::new(limits, 1, 0);
    for seq in 1..=3 {
        assert!(frame.fits(1, 0));
        assert_eq!(frame.push(&nth(0).0, &[], &STAMP), seq);
        assert!(!frame.is_empty());
    }
    assert!(!frame.fits(1, 0));
    frame.seal(&Hash::ZERO);
    frame.reset();
    assert!(frame.is_empty());
    frame.push(&nth(0).0, &[], &STAMP);
    assert!(frame.fits(1, 0));
    frame.seal(&Hash::ZERO);
    assert!(!frame.fits(1, 0), "it is sealed");
}

/// A record that is larger than the limit gets a frame of its own.
#[test]
fn an_empty_frame_takes_any_record() {
    let limits = FrameLimits { entries_max: 10, bytes_max: 128 };
    let mut frame = FrameBuilder::new(limits, 1, 0);
    assert!(frame.fits(1_000, 0));
    frame.push(&nth(0).0, &[], &STAMP);
    assert!(!frame.fits(1, 0));
}

#[test]
fn a_frame_continues_where_another_ended() {
    let limits = FrameLimits { entries_max: 10, bytes_max: 1 << 20 };
    let mut frame = FrameBuilder::new(limits, 5, 3);
    frame.push(&nth(0).0, &[], &STAMP);
    frame.push(&nth(0).0, &[], &STAMP);
    assert_eq!([frame.push_name("a"), frame.push_name("b"), frame.push_name("c")], [3, 4, 5]);
    let mut next = FrameBuilder::new(limits, 1, 0);
    next.push_name("of a frame before");
    next.follow(&frame);
    frame.seal(&Hash::ZERO);
    frame.reset();
    for builder in [&mut next, &mut frame] {
        assert_eq!((builder.next_seq(), builder.push_name("d")), (7, 6));
        assert!(builder.is_empty());
    }
}
