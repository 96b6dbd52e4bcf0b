//! Messages larger than a producer's ring. They travel beside it, in their place among the others.

use std::rc::Rc;
use std::time::Duration;

use tapline::engine::{EventStoreWriter, WriterConfig};
use tapline::read::{EventStoreReader, Verifier};
use tapline::store::{DiskMode, EventStore, MemoryBackend, MemoryDisk};
use tapline::{
    BusCaptureAdapter, Clock, Encoder, EncoderRegistry, EntryDraft, HaltReason, HaltSignal,
    IndexKind, MessageBus, SubmitError,
};
use uuid::Uuid;

use crate::support::{
    Engine, FaultyStore, Gate, MODES, PATIENCE, Place, assert_matches, draft, ended, entries,
    manifest,
};

/// The smallest ring and batch, and the largest records.
fn config() -> WriterConfig {
    WriterConfig {
        ring_lines: 64,
        batch_bytes_max: 4096,
        record_bytes_max: LARGEST,
        name_bytes_max: 64,
        ..WriterConfig::default()
    }
}

const LARGEST: usize = (64 << 20) - (64 << 10);
const HEADER_BYTES: usize = 64;

/// Different bytes for each message, none of them all alike.
fn payload(number: u8, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at / 997) as u8 ^ number).collect()
}

/// In both modes, over memory and over files: small and large messages of one producer keep their
/// order, and each is read back whole.
#[test]
fn large_messages_keep_their_place() {
    for (start, on_disk) in MODES.into_iter().flat_map(|start| [(start, false), (start, true)]) {
        let place = if on_disk { Place::disk(DiskMode::Direct) } else { Place::memory() };
        let store = place.open(1);
        let source = store.reader().unwrap();
        let writer = start(store, Clock::Realtime, HaltSignal::new(), config()).unwrap();
        let mut producer = writer.producer().unwrap();
        let sizes = [10, 5_000, 300_000, 3_000, 1, 9 << 20, 4_000, 4_096, 0];
        for (number, bytes) in (0..).zip(sizes) {
            let key = number.to_string();
            let keys: &[(IndexKind, &str)] = &[(IndexKind::CLIENT_ORDER_ID, key.as_str())];
            let payload = payload(number, bytes);
            let topic = if number < 5 { "first" } else { "later" };
            producer.submit(&EntryDraft { keys, ..draft(topic, &payload) }).unwrap();
        }
        drop(producer);
        let report = writer.close(&ended()).unwrap();
        assert_eq!(report.watermark, sizes.len() as u64 + 1);
        let verified = Verifier::new(source.clone()).expect_root(report.root).run(|_| {});
        assert_eq!(verified.findings, []);
        let found = entries(&source);
        for ((number, bytes), entry) in (0..).zip(sizes).zip(&found) {
            assert!(entry.payload == payload(number, bytes), "message {number}");
            let reader = EventStoreReader::new(source.clone());
            let seq = reader.lookup(IndexKind::CLIENT_ORDER_ID, number.to_string()).unwrap();
            assert_eq!(seq, Some(entry.seq));
        }
    }
}

#[test]
fn a_message_of_64_mib_is_recorded_and_one_byte_more_is_not() {
    let place = Place::disk(DiskMode::Direct);
    let halt = HaltSignal::new();
    let store = place.open(1);
    let source = store.reader().unwrap();
    let writer = EventStoreWriter::spawn(store, Clock::Realtime, halt, config()).unwrap();
    let mut producer = writer.producer().unwrap();
    let largest = payload(1, LARGEST - HEADER_BYTES);
    let ticket = producer.submit(&draft("large", &largest)).unwrap();
    writer.wait_durable(ticket, PATIENCE).unwrap();
    let more = payload(1, LARGEST - HEADER_BYTES + 1);
    let refused = producer.submit(&draft("large", &more)).unwrap_err();
    assert_matches!(&refused, SubmitError::Limit(_));
    assert!(!refused.is_final());
    producer.submit(&draft("large", b"the run goes on")).unwrap();
    drop(producer);
    writer.close(&ended()).unwrap();
    let found = entries(&source);
    assert!(found[0].payload == largest && found[1].payload == b"the run goes on"[..]);
}

/// Each producer pushes large and small ones in turn: all are there, each once, in push order.
#[test]
fn large_messages_of_many_threads_are_all_there() {
    const MESSAGES: u64 = 60;
    let engine = Engine::start(config());
    std::thread::scope(|scope| {
        for topic in ["a", "b", "c"] {
            let mut producer = engine.writer.producer().unwrap();
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    let mut payload = number.to_le_bytes().to_vec();
                    payload.resize(if number % 2 == 0 { 20_000 } else { 8 }, 7);
                    producer.submit(&draft(topic, &payload)).unwrap();
                }
            });
        }
    });
    let reader = engine.reader.clone();
    assert_eq!(engine.close(), 3 * MESSAGES + 1);
    let found = entries(&reader);
    for topic in ["a", "b", "c"] {
        let of_topic = found.iter().filter(|entry| entry.topic == topic);
        let numbers = of_topic.map(|entry| {
            let number = u64::from_le_bytes(entry.payload[..8].try_into().unwrap());
            assert_eq!(entry.payload.len(), if number % 2 == 0 { 20_000 } else { 8 });
            number
        });
        assert!(numbers.eq(0..MESSAGES), "{topic}");
    }
}

/// One waits for the writer. The next one stalls, as at a full ring.
#[test]
fn large_messages_are_bounded_in_number() {
    let gate = Gate::default();
    let config = WriterConfig { halt_threshold: Duration::from_millis(100), ..config() };
    let engine = Engine::start_on(Box::new(FaultyStore::gated(&gate)), config);
    let mut producer = engine.writer.producer().unwrap();
    gate.shut();
    producer.submit(&draft("first", b"is on its way")).unwrap();
    gate.await_waiting();
    let large = payload(3, 1 << 20);
    let mut taken = 0;
    let refused = loop {
        match producer.submit(&draft("large", &large)) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_matches!(refused, SubmitError::HaltSignaled { .. });
    assert!(taken <= 3, "{taken} of a megabyte each");
    assert_matches!(engine.halt.reason(), Some(HaltReason::BackpressureStall { .. }));
    gate.open();
}

/// A repeated large message is recognised like any other.
#[test]
fn a_repeated_large_message_is_one_entry() {
    let engine = Engine::start(config());
    let large = payload(5, 50_000);
    let identity = Some(Uuid::from_u128(7));
    for topic in ["sent", "published"] {
        let mut producer = engine.writer.producer().unwrap();
        producer.submit(&EntryDraft { identity, ..draft(topic, &large) }).unwrap();
        engine.writer.flush(PATIENCE).unwrap();
    }
    assert_eq!(engine.close(), 2);
}

/// What a venue answers may be longer than a usual record: with default settings it is captured, and
/// its requester is called.
#[test]
fn a_response_of_300_kb_is_captured_and_delivered() {
    struct Snapshot(Vec<u8>);

    let mut store = MemoryBackend::new(MemoryDisk::default());
    store.open_run(manifest(1)).unwrap();
    let (halt, config) = (HaltSignal::new(), WriterConfig::default());
    let writer = EventStoreWriter::spawn(Box::new(store), Clock::Realtime, halt, config).unwrap();
    let mut registry = EncoderRegistry::new();
    let encoder = Encoder::new("Snapshot", |snapshot: &Snapshot, record| {
        record.write_payload(&snapshot.0);
        Ok(())
    });
    registry.register(encoder).unwrap();
    let bus = Rc::new(MessageBus::new());
    let tap = BusCaptureAdapter::new(registry.into(), writer.producer().unwrap());
    bus.set_tap(Box::new(tap));
    bus.register("venue", |_| {}).unwrap();
    let called = Rc::new(std::cell::Cell::new(0));
    let theirs = Rc::clone(&called);
    let id = Uuid::from_u128(1);
    bus.request("venue", id, &"snapshot?", move |response| {
        theirs.set(response.downcast_ref::<Snapshot>().map_or(0, |snapshot| snapshot.0.len()));
    })
    .unwrap();
    let ticket = bus.respond(id, &Snapshot(vec![7; 300_000])).unwrap().ticket().unwrap();
    assert_eq!(called.get(), 300_000);
    writer.wait_durable(ticket, PATIENCE).unwrap();
}
