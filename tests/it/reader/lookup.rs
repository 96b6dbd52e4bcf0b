//! Finding entries by key.

use tapline::IndexKind;
use tapline::read::EventStoreReader;

use crate::support::{FrameMaker, Message, Place};

const CLIENT: IndexKind = IndexKind::CLIENT_ORDER_ID;
const VENUE: IndexKind = IndexKind::VENUE_ORDER_ID;

fn keyed(n: u64) -> Message {
    Message::nth(n).order(&format!("O-{n:05}"))
}

#[test]
fn all_keys_of_a_kind_are_walked_however_many() {
    // Around the size of the pages in which they are fetched.
    for keys in [0, 1, 1023, 1024, 1025, 2048, 2500] {
        for place in Place::all() {
            let mut store = place.open(1);
            let mut batch: Vec<Message> = (1..=keys).map(keyed).collect();
            batch.push(Message::nth(0).key(VENUE, "V-1"));
            let mut maker = FrameMaker::new();
            for batch in batch.chunks(500) {
                store.append(&maker.frame(batch)).unwrap();
            }
            let reader = EventStoreReader::new(store.reader().unwrap());
            let found: Vec<(Vec<u8>, u64)> =
                reader.keys(CLIENT).map(Result::unwrap).map(|row| (row.key, row.seq)).collect();
            let expected: Vec<(Vec<u8>, u64)> =
                (1..=keys).map(|n| (format!("O-{n:05}").into_bytes(), n)).collect();
            assert_eq!(found, expected);
            assert_eq!(reader.keys(VENUE).count(), 1);
            assert_eq!(reader.keys(IndexKind::from_u16(16)).count(), 0);
        }
    }
}

#[test]
fn a_lookup_leads_to_the_first_entry_with_the_key() {
    let mut store = Place::memory().open(1);
    let batch = [keyed(1), keyed(2), Message::nth(3).order("O-00002")];
    FrameMaker::new().append_all(&mut *store, &[batch.to_vec()]);
    let reader = EventStoreReader::new(store.reader().unwrap());
    assert_eq!(reader.lookup(CLIENT, "O-00002").unwrap(), Some(2));
    assert_eq!(reader.lookup(CLIENT, "O-00003").unwrap(), None);
    assert_eq!(reader.lookup(VENUE, "O-00002").unwrap(), None);
}
