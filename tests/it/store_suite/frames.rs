//! Frames and names read back, also while the run is recorded.

use tapline::internals::format::FrameView;
use tapline::store::RunReader;

use super::abandoned;
use crate::support::message::messages;
use crate::support::{FrameMaker, Message, Place};

on_every_backend! {
    frames_are_found_by_any_seq_around_them
    a_frame_reads_back_byte_for_byte
    names_are_kept_by_number
    names_are_read_from_any_number
    a_reader_follows_what_is_appended
    a_large_frame_reads_back
}

fn keys_around(reader: &dyn RunReader, seq: u64) -> (Option<u64>, Option<u64>) {
    let key = |frame: Option<(u64, _)>| frame.map(|(key, _)| key);
    (key(reader.frame_at_or_before(seq).unwrap()), key(reader.frame_at_or_after(seq).unwrap()))
}

fn frames_are_found_by_any_seq_around_them(place: &Place) {
    abandoned(place);
    let store = place.open(1);
    let reader = store.reader().unwrap();
    let expected = [
        (0, (None, Some(1))),
        (1, (Some(1), Some(1))),
        (2, (Some(1), Some(4))),
        (3, (Some(1), Some(4))),
        (4, (Some(4), Some(4))),
        (6, (Some(4), Some(7))),
        (7, (Some(7), Some(7))),
        (8, (Some(7), None)),
        (9, (Some(7), None)),
        (10, (Some(7), None)),
        (u64::MAX, (Some(7), None)),
    ];
    for (seq, keys) in expected {
        assert_eq!(keys_around(&*reader, seq), keys, "around {seq}");
    }
}

fn a_frame_reads_back_byte_for_byte(place: &Place) {
    let mut store = place.open(1);
    let mut maker = FrameMaker::new();
    let frame = maker.frame(&messages(1, 10));
    store.append(&[frame]).unwrap();
    let (key, bytes) = store.reader().unwrap().frame_at_or_before(5).unwrap().unwrap();
    assert_eq!((key, &bytes[..]), (1, frame.bytes()));
}

fn named(topic: &str, payload_type: &str) -> Message {
    Message::new(topic, payload_type, 0, b"")
}

fn names_are_kept_by_number(place: &Place) {
    let mut store = place.open(1);
    let reader = store.reader().unwrap();
    let mut maker = FrameMaker::new();
    store.append(&[maker.frame(&[named("b", "T"), named("a", "T")])]).unwrap();
    assert_eq!(store.tail().unwrap().names, 3);
    store.append(&[maker.frame(&[named("a", "T")])]).unwrap();
    assert_eq!(store.tail().unwrap().names, 3);
    store.append(&[maker.frame(&[named("T", "\u{e9}\u{1f980}")])]).unwrap();
    assert_eq!(store.tail().unwrap().names, 4);
    let names: Vec<_> = reader.names(0).unwrap();
    let expected = [(0, "b"), (1, "T"), (2, "a"), (3, "\u{e9}\u{1f980}")];
    assert_eq!(names, expected.map(|(id, name)| (id, name.to_owned())));
}

fn names_are_read_from_any_number(place: &Place) {
    let mut store = place.open(1);
    store.append(&[FrameMaker::new().frame(&[named("a", "b"), named("c", "d")])]).unwrap();
    let reader = store.reader().unwrap();
    let from =
        |from| -> Vec<u32> { reader.names(from).unwrap().into_iter().map(|(id, _)| id).collect() };
    assert_eq!(from(0), [0, 1, 2, 3]);
    assert_eq!(from(2), [2, 3]);
    assert!(from(4).is_empty());
    assert!(from(u32::MAX).is_empty());
}

fn a_reader_follows_what_is_appended(place: &Place) {
    let mut store = place.open(1);
    let reader = store.reader().unwrap();
    let mut maker = FrameMaker::new();
    let mut watermark = 0;
    for n in 1..=5 {
        assert_eq!(reader.watermark().unwrap(), watermark);
        let frame = maker.frame(&messages(watermark + 1, watermark + n));
        store.append(&[frame]).unwrap();
        assert_eq!(keys_around(&*reader, u64::MAX), (Some(watermark + 1), None));
        watermark += n;
        assert_eq!(reader.watermark().unwrap(), watermark);
    }
}

fn a_large_frame_reads_back(place: &Place) {
    // Large enough to bypass the page cache where the place does that.
    let payload: Vec<u8> = (0..50_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let batch: Vec<Message> = (1..=4).map(|n| Message::new("large", "Blob", n, &payload)).collect();
    let mut store = place.open(1);
    let mut maker = FrameMaker::new();
    for _ in 0..3 {
        store.append(&[maker.frame(&batch)]).unwrap();
    }
    drop(store);

    let store = place.open(1);
    let reader = store.reader().unwrap();
    let (key, bytes) = reader.frame_at_or_before(8).unwrap().unwrap();
    let frame = FrameView::parse(&bytes).unwrap();
    assert_eq!((key, frame.last_seq()), (5, 8));
    assert_eq!(frame.record(3).unwrap().payload(), payload);
}
