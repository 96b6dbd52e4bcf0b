//! Inline mode: the same engine, driven by the submitter.

use std::time::{Duration, Instant};

use tapline::engine::{
    AnchorRequestError, CloseError, EventStoreWriter, ProducerError, WaitError, WriterConfig,
};
use tapline::store::{EventStore, MemoryBackend, MemoryDisk, OpenRunError};
use tapline::{
    Clock, ContentHash, EntryDraft, HaltReason, HaltSignal, Headers, IndexKind, SimulatedClock,
    SubmitError, UnixNanos,
};
use uuid::Uuid;

use crate::support::{Fault, FaultyStore, Gate, PATIENCE, ended, entries, manifest};

/// An inline writer of a new run on `store`, with a clock that stands still.
fn inline_on(mut store: Box<dyn EventStore>, halt: &HaltSignal) -> EventStoreWriter {
    store.open_run(manifest(1)).expect("new");
    let clock = Clock::Simulated(SimulatedClock::default());
    EventStoreWriter::inline(store, clock, halt.clone(), WriterConfig::default()).expect("open")
}

/// Submits the same messages at the same simulated times; returns all entries with their hashes.
fn record(inline: bool) -> Vec<tapline::Entry> {
    let mut store = MemoryBackend::new(MemoryDisk::default());
    store.open_run(manifest(1)).expect("new");
    let reader = store.reader().expect("open");
    let simulated = SimulatedClock::new(UnixNanos::new(1000));
    let clock = Clock::Simulated(simulated.clone());
    let start = if inline { EventStoreWriter::inline } else { EventStoreWriter::spawn };
    let writer = start(Box::new(store), clock, HaltSignal::new(), WriterConfig::default())
        .expect("an open run");
    let mut producer = writer.producer().expect("open");
    for number in 0_u64..300 {
        simulated.set(UnixNanos::new(1000 + number / 3));
        let key = format!("order-{}", number % 7);
        let keys = [(IndexKind::CLIENT_ORDER_ID, &*key)];
        let topic = format!("topic.{}", number % 5);
        let causation_id = number.is_multiple_of(2).then(|| Uuid::from_u128(number.into()));
        let payload = vec![number as u8; number as usize];
        producer
            .submit(&EntryDraft {
                topic: &topic,
                payload_type: "Same",
                ts_init: UnixNanos::new(number),
                payload: &payload,
                headers: Headers { correlation_id: None, causation_id },
                keys: &keys,
                identity: Some(Uuid::from_u128(u128::from(number % 250))),
            })
            .expect("room");
    }
    writer.close(&ended()).expect("nothing fails");
    entries(&reader)
}

#[test]
fn inline_and_threaded_entries_are_equal() {
    let inline = record(true);
    assert_eq!(inline.len(), 251, "50 of 300 repeat an identity; RunEnded is last");
    assert_eq!(inline, record(false));
    assert_eq!(inline[3].ts_publish, UnixNanos::new(1001));
}

#[test]
fn a_submit_is_durable_when_it_returns() {
    let writer = inline_on(Box::new(MemoryBackend::new(MemoryDisk::default())), &HaltSignal::new());
    let mut producer = writer.producer().expect("open");
    for seq in 1..=10 {
        let draft = EntryDraft { topic: "inline", payload_type: "Inline", ..EntryDraft::default() };
        let ticket = producer.submit(&draft).expect("memory");
        assert!(producer.durability().is_durable(ticket));
        assert_eq!(writer.watermark(), seq);
    }
    assert_eq!(writer.close(&ended()).expect("memory").watermark, 11);
    let late = EntryDraft { topic: "inline", payload_type: "Inline", ..EntryDraft::default() };
    assert_eq!(producer.submit(&late), Err(SubmitError::Closed));
}

#[test]
fn a_waiter_on_another_thread_is_woken() {
    let writer = inline_on(Box::new(MemoryBackend::new(MemoryDisk::default())), &HaltSignal::new());
    let mut producer = writer.producer().expect("open");
    let draft = EntryDraft { topic: "inline", payload_type: "Inline", ..EntryDraft::default() };
    let began = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| writer.wait_for_watermark(2, PATIENCE));
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(20));
            producer.submit(&draft).expect("memory");
        }
        assert_eq!(waiting.join().expect("no panic"), Ok(2));
    });
    assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
    drop(writer);
    assert_eq!(producer.submit(&draft), Err(SubmitError::Closed), "nothing is recorded unowned");
}

#[test]
fn leftover_producers_do_not_hold_a_closed_run() {
    let disk = MemoryDisk::default();
    let writer = inline_on(Box::new(MemoryBackend::new(disk.clone())), &HaltSignal::new());
    let _producer = writer.producer().expect("open");
    writer.close(&ended()).expect("memory");
    let reopened = MemoryBackend::new(disk).open_run(manifest(1));
    assert!(matches!(reopened, Err(OpenRunError::Sealed { .. })), "not in use: {reopened:?}");
}

#[test]
fn a_store_that_panics_halts_the_run() {
    let halt = HaltSignal::new();
    let writer = inline_on(Box::new(FaultyStore::failing(2, Fault::Panic)), &halt);
    let mut producer = writer.producer().expect("open");
    let draft = EntryDraft { topic: "inline", payload_type: "Inline", ..EntryDraft::default() };
    producer.submit(&draft).expect("the first commit");
    assert_eq!(
        producer.submit(&draft),
        Err(SubmitError::HaltedMeanwhile),
        "as with a writer thread"
    );
    let reason = HaltReason::WriterDied("the backend lost its mind".to_owned());
    assert_eq!(halt.reason(), Some(reason.clone()));
    assert_eq!(producer.submit(&draft), Err(SubmitError::Closed));
    let waited = writer.wait_for_watermark(2, PATIENCE);
    assert_eq!(waited, Err(WaitError::Halted(reason)));
    let CloseError::Halted(told) = writer.close(&ended()).expect_err("halted") else {
        panic!("another error")
    };
    assert_eq!(Some(told), halt.reason(), "the real reason");
}

#[test]
fn a_failed_commit_halts_and_refuses() {
    let halt = HaltSignal::new();
    let writer = inline_on(Box::new(FaultyStore::failing(2, Fault::Io)), &halt);
    let mut producer = writer.producer().expect("open");
    let draft = EntryDraft { topic: "inline", payload_type: "Inline", ..EntryDraft::default() };
    producer.submit(&draft).expect("the first commit");
    assert_eq!(producer.submit(&draft), Err(SubmitError::HaltedMeanwhile));
    assert!(halt.is_halted());
    assert_eq!(writer.watermark(), 1);
    let anchored = writer.record_snapshot_anchor("blob", ContentHash::of(b""));
    assert!(matches!(anchored, Err(AnchorRequestError::Halted(_))), "{anchored:?}");
    assert!(matches!(writer.close(&ended()), Err(CloseError::Halted(_))));
}

#[test]
fn a_failed_commit_refuses_waiting_submits() {
    let (gate, halt) = (Gate::default(), HaltSignal::new());
    let writer = inline_on(Box::new(FaultyStore::failing_behind(&gate, 1, Fault::Io)), &halt);
    let mut producers = [(); 2].map(|()| writer.producer().expect("open")).into_iter();
    let mut submit = || {
        let mut producer = producers.next().expect("two of them");
        let draft = EntryDraft { topic: "inline", payload_type: "Inline", ..EntryDraft::default() };
        std::thread::spawn(move || producer.submit(&draft))
    };
    gate.shut();
    let first = submit();
    gate.await_waiting();
    let second = submit();
    // Still valid: it was checked when the run was not halted.
    std::thread::sleep(Duration::from_millis(50));
    gate.open();
    for submitted in [first, second] {
        assert_eq!(submitted.join().expect("no panic"), Err(SubmitError::HaltedMeanwhile));
    }
    assert_eq!(writer.watermark(), 0);
}

/// Any durability of a run answers for a ticket of that run, and none of another run does.
#[test]
fn tickets_are_answered_for_within_their_run() {
    let start = || {
        let store = Box::new(MemoryBackend::new(MemoryDisk::default()));
        let writer = inline_on(store, &HaltSignal::new());
        let (submits, other) = (writer.producer().expect("open"), writer.producer().expect("open"));
        (writer, submits, other.durability())
    };
    let ((writer, mut producer, other), (other_writer, _, elsewhere)) = (start(), start());
    let draft = EntryDraft { topic: "inline", payload_type: "Inline", ..EntryDraft::default() };
    let ticket = producer.submit(&draft).expect("memory");
    assert!(other.is_durable(ticket));
    assert_eq!(other.wait(ticket, Duration::ZERO), Ok(()));
    assert_eq!(writer.wait_durable(ticket, Duration::ZERO), Ok(()));
    assert!(!elsewhere.is_durable(ticket));
    assert_eq!(elsewhere.wait(ticket, PATIENCE), Err(WaitError::ForeignTicket));
    assert_eq!(other_writer.wait_durable(ticket, PATIENCE), Err(WaitError::ForeignTicket));
    drop(producer);
    writer.flush(PATIENCE).expect("memory");
    assert_eq!(writer.wait_durable(ticket, Duration::ZERO), Ok(()), "its producer is gone");
    assert!(other.is_durable(ticket));
}

#[test]
fn a_message_that_is_refused_brings_no_name() {
    let mut store = MemoryBackend::new(MemoryDisk::default());
    store.open_run(manifest(1)).expect("new");
    let config = WriterConfig {
        record_bytes_max: 128,
        name_bytes_max: 8,
        names_max: 2,
        ..WriterConfig::default()
    };
    let clock = Clock::Simulated(SimulatedClock::default());
    let writer =
        EventStoreWriter::inline(Box::new(store), clock, HaltSignal::new(), config).expect("open");
    let mut producer = writer.producer().expect("open");
    let draft =
        |topic, payload| EntryDraft { topic, payload_type: "T", payload, ..EntryDraft::default() };
    assert!(matches!(producer.submit(&draft("large", &[0; 65])), Err(SubmitError::Limit(_))));
    producer.submit(&draft("small", &[0; 64])).expect("the first two names");
    assert_eq!(producer.submit(&draft("other", &[])), Err(SubmitError::TooManyNames { max: 2 }));
}

#[test]
fn a_run_that_has_ended_makes_no_producer() {
    let writer = inline_on(Box::new(MemoryBackend::new(MemoryDisk::default())), &HaltSignal::new());
    let producers = writer.producers();
    producers.producer().expect("open");
    writer.close(&ended()).expect("closed in order");
    assert_eq!(producers.producer().err(), Some(ProducerError::Closed));
}
