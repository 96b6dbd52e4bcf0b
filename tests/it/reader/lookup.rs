//! Finding entries by key.

use tapline::IndexKind;
use tapline::read::{EventStoreReader, ReadError};

use crate::support::places::SealedFile;
use crate::support::{FrameMaker, Message, Place, assert_matches, tamper};

const CLIENT: IndexKind = IndexKind::CLIENT_ORDER_ID;
const VENUE: IndexKind = IndexKind::VENUE_ORDER_ID;

fn keyed(n: u64) -> Message {
    Message::nth(n).order(&format!("O-{n:05}"))
}

#[test]
fn keys_come_in_order_of_first_mention() {
    for place in Place::all() {
        let mut store = place.open(1);
        let batches = [
            vec![
                keyed(7),
                Message::nth(0).key(VENUE, "V-1"),
                keyed(3).order("O-00009").order("O-00003"),
            ],
            vec![Message::nth(0), keyed(9), keyed(1).order("O-00007"), keyed(1)],
            vec![keyed(4)],
        ];
        FrameMaker::new().append_all(&mut *store, &batches);
        let reader = EventStoreReader::new(store.reader().unwrap());
        let found: Vec<(String, u64)> = reader
            .keys(CLIENT)
            .map(Result::unwrap)
            .map(|mention| (String::from_utf8(mention.key).unwrap(), mention.seq))
            .collect();
        let expected = [(7, 1), (3, 3), (9, 3), (1, 6), (4, 8)];
        assert_eq!(found, expected.map(|(n, seq): (u64, u64)| (format!("O-{n:05}"), seq)));
        assert_eq!(reader.keys(VENUE).count(), 1);
        assert_eq!(reader.keys(IndexKind::from_u16(16)).count(), 0);
    }
}

#[test]
fn a_damaged_entry_is_an_error_among_the_keys() {
    let file = SealedFile::record(&[vec![keyed(1), keyed(2), keyed(3)]]);
    tamper::frame(&file.path, 1, |frame| frame.records[1][64] ^= 1);
    let keys: Vec<_> = EventStoreReader::new(file.open()).keys(CLIENT).collect();
    assert_matches!(&keys[1], Err(ReadError::HashMismatch { seq: 2 }));
    assert_eq!(keys.iter().flatten().map(|mention| mention.seq).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn keys_with_an_error_beside_a_sibling_key() {
    let siblings = keyed(2).order("O-00001").order("O-00001").order("O-00003");
    let file = SealedFile::record(&[vec![keyed(1), siblings, keyed(4)]]);
    tamper::frame(&file.path, 1, |frame| frame.records[0][64] ^= 1);
    let mut keys = EventStoreReader::new(file.open()).keys(CLIENT).map(|mention| {
        mention.map(|mention| (String::from_utf8(mention.key).unwrap(), mention.seq))
    });
    let mut next = || keys.next().unwrap();
    let key = |n: u64, seq: u64| (format!("O-{n:05}"), seq);
    assert_matches!(next(), Err(ReadError::HashMismatch { seq: 1 }));
    assert_eq!(next().unwrap(), key(2, 2));
    // The first entry with this key is unknown, because entry 1 is damaged.
    assert_matches!(next(), Err(ReadError::HashMismatch { seq: 1 }));
    assert_eq!(next().unwrap(), key(3, 2));
    assert_eq!(next().unwrap(), key(4, 3));
    assert!(keys.next().is_none());
}

#[test]
fn a_damaged_entry_answers_no_lookup() {
    let file = SealedFile::record(&[vec![keyed(1), keyed(2)]]);
    tamper::frame(&file.path, 1, |frame| frame.records[1][64] ^= 1);
    let reader = EventStoreReader::new(file.open());
    assert_eq!(reader.lookup(CLIENT, "O-00001").unwrap(), Some(1));
    assert_matches!(reader.lookup(CLIENT, "O-00002"), Err(ReadError::HashMismatch { seq: 2 }));
}

#[test]
fn a_lookup_that_is_led_nowhere_says_so() {
    let file = SealedFile::record(&[vec![keyed(1), keyed(2)]]);
    for seq in [3, 1_000] {
        tamper::keys(&file.path, |rows| rows[0] = tamper::order_row("O-00007", seq));
        let lookup = EventStoreReader::new(file.open()).lookup(CLIENT, "O-00007");
        assert_matches!(lookup, Err(ReadError::Gap { from, .. }) if from == seq);
    }
}

#[test]
fn a_lookup_finds_the_first_mention() {
    let mut store = Place::memory().open(1);
    let batch = [keyed(1), keyed(2), Message::nth(3).order("O-00002")];
    FrameMaker::new().append_all(&mut *store, &[batch.to_vec()]);
    let reader = EventStoreReader::new(store.reader().unwrap());
    assert_eq!(reader.lookup(CLIENT, "O-00002").unwrap(), Some(2));
    assert_eq!(reader.lookup(CLIENT, "O-00003").unwrap(), None);
    assert_eq!(reader.lookup(VENUE, "O-00002").unwrap(), None);
}
