//! What a frame takes before it is full.

use super::frame::NAME_LEN_BYTES;
use super::frame_builder::{FRAME_OVERHEAD_BYTES, PER_RECORD_BYTES};
use super::record_builder::name_record;
use super::{FrameBuilder, FrameLimits, LINE_BYTES, Line, RecordStamp};
use crate::model::{Hash, UnixNanos};

const STAMP: RecordStamp = RecordStamp { ts_publish: UnixNanos::new(1), topic_id: 0, type_id: 0 };

/// The `n`th record, and a name that comes with it; every fourth brings none.
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

/// How long a frame of the first `count` records is.
fn sealed_len(count: usize) -> usize {
    let limits = FrameLimits { entries_max: usize::MAX, bytes_max: 1 << 20 };
    let mut frame = FrameBuilder::new(limits, 1, 0);
    for n in 0..count {
        push(&mut frame, &nth(n));
    }
    frame.seal(&Hash::ZERO).bytes().len()
}

/// As settings are checked by: what one frame can hold at most is what is left of its bytes.
#[test]
fn a_frame_is_as_long_as_its_overhead_and_its_records() {
    let (record, name) = nth(0);
    assert_eq!(name, "");
    let len = FRAME_OVERHEAD_BYTES + PER_RECORD_BYTES + record.len() * LINE_BYTES;
    assert_eq!((sealed_len(1), FRAME_OVERHEAD_BYTES, PER_RECORD_BYTES), (len, 96, 36));
}

#[test]
fn a_frame_is_filled_up_to_its_limit_of_bytes() {
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
fn a_frame_takes_no_more_entries_than_it_may_and_none_when_sealed() {
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

/// What is larger than any frame gets one of its own.
#[test]
fn an_empty_frame_takes_any_record() {
    let limits = FrameLimits { entries_max: 10, bytes_max: 128 };
    let mut frame = FrameBuilder::new(limits, 1, 0);
    assert!(frame.fits(1_000, 0));
    frame.push(&nth(0).0, &[], &STAMP);
    assert!(!frame.fits(1, 0));
}

#[test]
fn a_frame_goes_on_where_another_ended() {
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
