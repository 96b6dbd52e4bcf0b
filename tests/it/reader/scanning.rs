//! Scans and point reads of a sound run.

use std::sync::Arc;

use tapline::read::{Direction, EventStoreReader};
use tapline::store::RunReader;
use tapline::{Entry, IndexKind};
use uuid::Uuid;

use crate::support::frames::TS_PUBLISH;
use crate::support::message::messages;
use crate::support::{FrameMaker, Message, Place};

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Reverse];

/// Ten entries in frames of 1, 4, 2 and 3, in every kind of place.
fn on_every_place(check: impl Fn(EventStoreReader)) {
    for place in Place::all() {
        let mut store = place.open(1);
        let batches = [messages(1, 1), messages(2, 5), messages(6, 7), messages(8, 10)];
        FrameMaker::new().append_all(&mut *store, &batches);
        check(EventStoreReader::new(store.reader().unwrap()));
    }
}

fn seqs(reader: &EventStoreReader, from: u64, to: u64, direction: Direction) -> Vec<u64> {
    reader.scan(from, to, direction).map(|entry| entry.unwrap().seq).collect()
}

#[test]
fn a_scan_returns_exactly_the_range_asked_for() {
    on_every_place(|reader| {
        for from in 0..=12 {
            for to in (0..=12).chain([u64::MAX]) {
                let expected: Vec<u64> = (from.max(1)..=to.min(10)).collect();
                assert_eq!(seqs(&reader, from, to, Direction::Forward), expected, "{from}..={to}");
                let mut reversed = seqs(&reader, from, to, Direction::Reverse);
                reversed.reverse();
                assert_eq!(reversed, expected, "{from}..={to}, reverse");
            }
        }
    });
}

#[test]
fn a_scan_from_0_begins_with_entry_1() {
    on_every_place(|reader| {
        assert_eq!(seqs(&reader, 0, 3, Direction::Forward), [1, 2, 3]);
        assert_eq!(seqs(&reader, 0, 3, Direction::Reverse), [3, 2, 1]);
    });
}

#[test]
fn an_empty_range_has_no_entries() {
    on_every_place(|reader| {
        for (from, to) in [(0, 0), (5, 2), (11, 10), (u64::MAX, 0)] {
            for direction in DIRECTIONS {
                assert!(seqs(&reader, from, to, direction).is_empty(), "{from}..={to}");
            }
        }
    });
}

#[test]
fn a_scan_of_nothing_ends_at_once() {
    for place in Place::all() {
        let store = place.open(1);
        let reader = EventStoreReader::new(store.reader().unwrap());
        for direction in DIRECTIONS {
            assert!(seqs(&reader, 0, u64::MAX, direction).is_empty());
            assert!(seqs(&reader, u64::MAX, u64::MAX, direction).is_empty());
            assert!(seqs(&reader, 5, 2, direction).is_empty());
        }
    }
}

#[test]
fn an_ended_scan_stays_ended() {
    on_every_place(|reader| {
        for direction in DIRECTIONS {
            let mut scan = reader.scan(3, 4, direction);
            assert_eq!((&mut scan).count(), 2);
            assert!(scan.next().is_none() && scan.next().is_none());
        }
    });
}

#[test]
fn borrowed_and_owned_entries_are_the_same() {
    on_every_place(|reader| {
        let owned: Vec<Entry> =
            reader.scan(1, u64::MAX, Direction::Forward).map(Result::unwrap).collect();
        let mut scan = reader.scan(1, u64::MAX, Direction::Forward);
        let mut borrowed = Vec::new();
        while let Some(entry) = scan.next_ref() {
            borrowed.push(entry.unwrap().to_entry());
        }
        assert_eq!(borrowed, owned);
    });
}

#[test]
fn a_point_read_finds_exactly_the_entries() {
    on_every_place(|reader| {
        for seq in 1..=10 {
            let entry = reader.read(seq).unwrap().unwrap();
            assert_eq!((entry.seq, &entry.payload[..]), (seq, &Message::nth(seq).payload[..]));
        }
        for seq in [0, 11, 12, u64::MAX] {
            assert_eq!(reader.read(seq).unwrap(), None, "{seq}");
        }
    });
}

#[test]
fn every_part_of_a_message_comes_back() {
    let full = Message::new("exec.orders", "OrderFilled", u64::MAX, &[0, 255, 10])
        .order("O-1")
        .key(IndexKind::VENUE_ORDER_ID, "V-\u{e9}")
        .key(IndexKind::from_u16(16), "")
        .ids(1, 2);
    let full = Message { identity: Some(Uuid::from_u128(3)), ..full };
    let only_causation = Message {
        headers: tapline::Headers { correlation_id: None, ..full.headers },
        ..Message::new("exec.orders", "OrderFilled", 0, b"")
    };
    let only_identity = Message { headers: tapline::Headers::default(), ..full.clone() };
    let batch = vec![full, Message::new("a", "b", 0, b""), only_causation, only_identity];

    let place = Place::memory();
    let mut store = place.open(1);
    FrameMaker::new().append_all(&mut *store, std::slice::from_ref(&batch));
    let source: Arc<dyn RunReader> = store.reader().unwrap();
    let reader = EventStoreReader::new(source);
    for (entry, message) in reader.scan(1, u64::MAX, Direction::Forward).zip(batch) {
        let entry = entry.unwrap();
        let read = Message {
            topic: entry.topic,
            payload_type: entry.payload_type,
            ts_init: entry.ts_init.as_u64(),
            payload: entry.payload.to_vec(),
            headers: entry.headers,
            keys: entry.keys,
            identity: entry.identity,
        };
        // A message without a domain time gets its time of publishing.
        let ts_init = if message.ts_init == 0 { TS_PUBLISH } else { message.ts_init };
        assert_eq!(read, Message { ts_init, ..message });
        assert_eq!(entry.ts_publish.as_u64(), TS_PUBLISH);
    }
}

#[test]
fn an_entry_hash_is_stock_blake3_of_the_record() {
    on_every_place(|reader| {
        let mut scan = reader.scan(1, u64::MAX, Direction::Forward);
        let mut store = Place::memory().open(1);
        FrameMaker::new().append_all(&mut *store, &[messages(1, 10)]);
        let (_, bytes) = store.reader().unwrap().frame_at_or_before(1).unwrap().unwrap();
        for record in crate::support::raw::RawFrame::decode(&bytes).records {
            let entry = scan.next_ref().unwrap().unwrap();
            assert_eq!(entry.entry_hash().as_bytes(), blake3::hash(&record).as_bytes());
        }
    });
}
