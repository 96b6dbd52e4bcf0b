//! The index: for every key, the first entry that mentions it.

use std::sync::Arc;

use tapline::internals::format::key_hash;
use tapline::read::EventStoreReader;
use tapline::store::{EventStore, RunReader};
use tapline::{IndexKind, RunStatus};

use crate::support::{FrameMaker, Message, Place, key_rows};

const CLIENT: IndexKind = IndexKind::CLIENT_ORDER_ID;
const VENUE: IndexKind = IndexKind::VENUE_ORDER_ID;

on_every_backend! {
    the_first_mention_within_a_frame_counts
    the_first_mention_across_frames_counts
    a_key_mentioned_twice_by_one_entry_is_one_key
    kinds_do_not_mix
    the_first_mention_survives_a_reopening
    any_text_can_be_a_key
    the_index_has_a_row_for_each_frame_and_key
    keys_are_found_before_and_after_the_seal
}

fn plain() -> Message {
    Message::new("orders", "Order", 0, b"{}")
}

/// A run that is being recorded, and its reader.
fn recorded(place: &Place, batches: &[Vec<Message>]) -> (Box<dyn EventStore>, Arc<dyn RunReader>) {
    let mut store = place.open(1);
    FrameMaker::new().append_all(&mut *store, batches);
    let reader = store.reader().unwrap();
    (store, reader)
}

/// The first entry that mentions a key.
fn lookup(reader: &Arc<dyn RunReader>, kind: IndexKind, key: &str) -> Option<u64> {
    EventStoreReader::new(Arc::clone(reader)).lookup(kind, key).unwrap()
}

fn the_first_mention_within_a_frame_counts(place: &Place) {
    let batch = vec![
        plain(),
        plain().order("O-1"),
        plain().order("O-2").order("O-1"),
        plain().order("O-2"),
    ];
    let (_store, reader) = recorded(place, &[batch]);
    assert_eq!(lookup(&reader, CLIENT, "O-1"), Some(2));
    assert_eq!(lookup(&reader, CLIENT, "O-2"), Some(3));
    assert_eq!(lookup(&reader, CLIENT, "O-3"), None);
    assert_eq!(lookup(&reader, CLIENT, "O-"), None);
}

fn the_first_mention_across_frames_counts(place: &Place) {
    let batches = [
        vec![plain().order("O-1")],
        vec![plain().order("O-2"), plain().order("O-1")],
        vec![plain().order("O-1"), plain().order("O-3"), plain().order("O-2")],
    ];
    let (_store, reader) = recorded(place, &batches);
    assert_eq!(lookup(&reader, CLIENT, "O-1"), Some(1));
    assert_eq!(lookup(&reader, CLIENT, "O-2"), Some(2));
    assert_eq!(lookup(&reader, CLIENT, "O-3"), Some(5));
}

fn a_key_mentioned_twice_by_one_entry_is_one_key(place: &Place) {
    let (_store, reader) = recorded(place, &[vec![plain().order("O-1").order("O-1")]]);
    assert_eq!(key_rows(&*reader), [(key_hash(CLIENT, b"O-1"), 1)]);
}

fn kinds_do_not_mix(place: &Place) {
    let own = IndexKind::from_u16(16);
    let batch = vec![
        plain().key(own, "X"),
        plain().key(VENUE, "X"),
        plain().key(CLIENT, "X"),
        plain().key(VENUE, "Y"),
    ];
    let (_store, reader) = recorded(place, &[batch]);
    assert_eq!(lookup(&reader, own, "X"), Some(1));
    assert_eq!(lookup(&reader, VENUE, "X"), Some(2));
    assert_eq!(lookup(&reader, CLIENT, "X"), Some(3));
    assert_eq!(lookup(&reader, CLIENT, "Y"), None);
}

fn the_first_mention_survives_a_reopening(place: &Place) {
    let mut maker = FrameMaker::new();
    maker.append_all(&mut *place.open(1), &[vec![plain(), plain().order("O-1")]]);
    let mut store = place.open(1);
    maker.append_all(&mut *store, &[vec![plain().order("O-1"), plain().order("O-2")]]);
    let reader = store.reader().unwrap();
    assert_eq!(lookup(&reader, CLIENT, "O-1"), Some(2));
    assert_eq!(lookup(&reader, CLIENT, "O-2"), Some(4));
}

fn any_text_can_be_a_key(place: &Place) {
    let long = "k".repeat(256);
    let keys = ["", "\0", "a b", "\u{e9}\u{1f980}", &long];
    let batch = keys.iter().map(|key| plain().order(key)).collect();
    let (_store, reader) = recorded(place, &[batch]);
    for (seq, key) in (1..).zip(keys) {
        assert_eq!(lookup(&reader, CLIENT, key), Some(seq), "{key:?}");
    }
    assert_eq!(key_rows(&*reader).len(), keys.len());
}

fn the_index_has_a_row_for_each_frame_and_key(place: &Place) {
    let batches = [
        vec![plain().order("O-1").order("O-2"), plain().order("O-1")],
        vec![plain(), plain().key(VENUE, "O-1"), plain().order("O-1"), plain().order("O-1")],
    ];
    let (_store, reader) = recorded(place, &batches);
    let hash = |kind, key: &str| key_hash(kind, key.as_bytes());
    let mut expected = [
        (hash(CLIENT, "O-1"), 1),
        (hash(CLIENT, "O-1"), 5),
        (hash(CLIENT, "O-2"), 1),
        (hash(VENUE, "O-1"), 4),
    ];
    expected.sort_unstable();
    let mut rows = key_rows(&*reader);
    rows.sort_unstable();
    assert_eq!(rows, expected);
    let indexed = |from| reader.indexed(hash(CLIENT, "O-1"), from).unwrap();
    assert_eq!([0, 1, 2, 5, 6].map(indexed), [Some(1), Some(1), Some(5), Some(5), None]);
}

/// Compares the runs' content for each form in which the index is kept.
fn keys_are_found_before_and_after_the_seal(place: &Place) {
    let mut store = place.open(1);
    let mut maker = FrameMaker::new();
    let key = |n: u64| format!("O-{n}");
    // Small frames, some of which are merged, and large frames, which are not.
    let mut next = 1;
    for count in [1, 1, 1, 1, 1, 1, 1, 1, 1, 700, 20, 900, 3] {
        let batch: Vec<Message> =
            (next..next + count).map(|n| plain().order(&key(n)).order(&key(n / 2))).collect();
        store.append(&[maker.frame(&batch)]).unwrap();
        next += count;
    }
    let reader = EventStoreReader::new(store.reader().unwrap());
    for sealed in [false, true] {
        if sealed {
            store.seal(RunStatus::Ended, None).unwrap();
        }
        for n in 1..next {
            assert_eq!(reader.lookup(CLIENT, key(n)).unwrap(), Some(n), "{n}, sealed: {sealed}");
        }
        assert_eq!(reader.lookup(CLIENT, key(0)).unwrap(), Some(1));
        assert_eq!(reader.lookup(CLIENT, key(next)).unwrap(), None);
    }
}
