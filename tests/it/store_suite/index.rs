//! The index: of every key, the first entry that mentions it.

use tapline::IndexKind;
use tapline::store::RunReader;

use crate::support::{FrameMaker, Message, Place};

const CLIENT: IndexKind = IndexKind::CLIENT_ORDER_ID;
const VENUE: IndexKind = IndexKind::VENUE_ORDER_ID;

on_every_backend! {
    the_first_mention_within_a_frame_counts
    the_first_mention_across_frames_counts
    a_key_mentioned_twice_by_one_entry_is_one_key
    kinds_do_not_mix
    the_first_mention_survives_a_reopening
    any_text_can_be_a_key
    the_index_is_in_order_of_kind_and_key
    the_index_is_read_in_pages
}

fn plain() -> Message {
    Message::new("orders", "Order", 0, b"{}")
}

fn recorded(place: &Place, batches: &[Vec<Message>]) -> std::sync::Arc<dyn RunReader> {
    let mut store = place.open(1);
    FrameMaker::new().append_all(&mut *store, batches);
    store.reader().unwrap()
}

fn the_first_mention_within_a_frame_counts(place: &Place) {
    let batch = vec![
        plain(),
        plain().order("O-1"),
        plain().order("O-2").order("O-1"),
        plain().order("O-2"),
    ];
    let reader = recorded(place, &[batch]);
    assert_eq!(reader.lookup(CLIENT, b"O-1").unwrap(), Some(2));
    assert_eq!(reader.lookup(CLIENT, b"O-2").unwrap(), Some(3));
    assert_eq!(reader.lookup(CLIENT, b"O-3").unwrap(), None);
    assert_eq!(reader.lookup(CLIENT, b"O-").unwrap(), None);
}

fn the_first_mention_across_frames_counts(place: &Place) {
    let batches = [
        vec![plain().order("O-1")],
        vec![plain().order("O-2"), plain().order("O-1")],
        vec![plain().order("O-1"), plain().order("O-3"), plain().order("O-2")],
    ];
    let reader = recorded(place, &batches);
    assert_eq!(reader.lookup(CLIENT, b"O-1").unwrap(), Some(1));
    assert_eq!(reader.lookup(CLIENT, b"O-2").unwrap(), Some(2));
    assert_eq!(reader.lookup(CLIENT, b"O-3").unwrap(), Some(5));
}

fn a_key_mentioned_twice_by_one_entry_is_one_key(place: &Place) {
    let reader = recorded(place, &[vec![plain().order("O-1").order("O-1")]]);
    let rows = reader.index(CLIENT, None, 10).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].key.as_slice(), rows[0].seq), (&b"O-1"[..], 1));
}

fn kinds_do_not_mix(place: &Place) {
    let own = IndexKind::from_u16(16);
    let batch = vec![
        plain().key(own, "X"),
        plain().key(VENUE, "X"),
        plain().key(CLIENT, "X"),
        plain().key(VENUE, "Y"),
    ];
    let reader = recorded(place, &[batch]);
    assert_eq!(reader.lookup(own, b"X").unwrap(), Some(1));
    assert_eq!(reader.lookup(VENUE, b"X").unwrap(), Some(2));
    assert_eq!(reader.lookup(CLIENT, b"X").unwrap(), Some(3));
    assert_eq!(reader.lookup(CLIENT, b"Y").unwrap(), None);
}

fn the_first_mention_survives_a_reopening(place: &Place) {
    let mut maker = FrameMaker::new();
    maker.append_all(&mut *place.open(1), &[vec![plain(), plain().order("O-1")]]);
    let mut store = place.open(1);
    maker.append_all(&mut *store, &[vec![plain().order("O-1"), plain().order("O-2")]]);
    let reader = store.reader().unwrap();
    assert_eq!(reader.lookup(CLIENT, b"O-1").unwrap(), Some(2));
    assert_eq!(reader.lookup(CLIENT, b"O-2").unwrap(), Some(4));
}

fn any_text_can_be_a_key(place: &Place) {
    let long = "k".repeat(256);
    let keys = ["", "\0", "a b", "\u{e9}\u{1f980}", &long];
    let batch = keys.iter().map(|key| plain().order(key)).collect();
    let reader = recorded(place, &[batch]);
    for (seq, key) in (1..).zip(keys) {
        assert_eq!(reader.lookup(CLIENT, key.as_bytes()).unwrap(), Some(seq), "{key:?}");
    }
    assert_eq!(reader.index(CLIENT, None, 10).unwrap().len(), keys.len());
}

/// Rows of an index that spans three kinds, as `(kind, key)`.
fn rows(
    reader: &dyn RunReader,
    kind: u16,
    after: Option<&str>,
    limit: usize,
) -> Vec<(u16, String)> {
    let rows = reader.index(IndexKind::from_u16(kind), after.map(str::as_bytes), limit).unwrap();
    let text = |key| String::from_utf8(key).unwrap();
    rows.into_iter().map(|row| (row.kind.as_u16(), text(row.key))).collect()
}

fn three_kinds(place: &Place) -> std::sync::Arc<dyn RunReader> {
    let kinds = [VENUE, IndexKind::from_u16(300), CLIENT];
    let keys = ["b", "ab", "", "a"];
    let message = |kind| keys.iter().fold(plain(), |message, key| message.key(kind, key));
    recorded(place, &[kinds.into_iter().map(message).collect()])
}

fn named(rows: &[(u16, &str)]) -> Vec<(u16, String)> {
    rows.iter().map(|(kind, key)| (*kind, (*key).to_owned())).collect()
}

fn the_index_is_in_order_of_kind_and_key(place: &Place) {
    let reader = three_kinds(place);
    let one = |kind| [(kind, ""), (kind, "a"), (kind, "ab"), (kind, "b")];
    let all = named(&[one(1), one(2), one(300)].concat());
    assert_eq!(rows(&*reader, 0, None, 100), all);
    assert_eq!(rows(&*reader, 1, None, 100), all);
    assert_eq!(rows(&*reader, 2, None, 100), all[4..]);
    assert_eq!(rows(&*reader, 3, None, 100), all[8..]);
    assert_eq!(rows(&*reader, 301, None, 100), []);
}

fn the_index_is_read_in_pages(place: &Place) {
    let reader = three_kinds(place);
    assert_eq!(rows(&*reader, 1, None, 3), named(&[(1, ""), (1, "a"), (1, "ab")]));
    assert_eq!(rows(&*reader, 1, Some("ab"), 2), named(&[(1, "b"), (2, "")]));
    // A key that is not there marks a place as well.
    assert_eq!(rows(&*reader, 1, Some("aa"), 1), named(&[(1, "ab")]));
    assert_eq!(rows(&*reader, 1, Some(""), 1), named(&[(1, "a")]));
    assert_eq!(rows(&*reader, 300, Some("b"), 5), []);
    assert_eq!(rows(&*reader, 1, None, 0), []);
}
