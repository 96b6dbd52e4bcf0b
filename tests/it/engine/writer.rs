//! Group commit, tickets, the watermark, anchors, limits, and continuing a run.

use std::time::{Duration, Instant};

use tapline::engine::{
    CloseError, EventStoreWriter, ProducerError, SpawnError, WaitError, WaitStrategy, WriterConfig,
};
use tapline::store::{EventStore, MemoryBackend, MemoryDisk, RunOpening};
use tapline::{Clock, ContentHash, EntryDraft, HaltSignal, RunStatus, SubmitError, UnixNanos};
use uuid::Uuid;

use super::defaults;
use crate::support::{
    Engine, FaultyStore, Gate, PATIENCE, assert_matches, counts_by_topic, draft, ended, entries,
    manifest,
};

#[test]
fn messages_during_a_commit_are_batched() {
    let gate = Gate::default();
    let engine = Engine::start_on(Box::new(FaultyStore::gated(&gate)), defaults());
    let mut producer = engine.writer.producer().expect("the run is open");
    gate.shut();
    producer.submit(&draft("batch", &0_u64.to_le_bytes())).expect("room");
    gate.await_waiting();
    for number in 1_u64..=100 {
        producer.submit(&draft("batch", &number.to_le_bytes())).expect("room");
    }
    gate.open();
    assert_eq!(engine.writer.flush(PATIENCE), Ok(101));
    let (second, _) = engine.reader.frame_at_or_after(2).expect("memory").expect("a second frame");
    assert_eq!(second, 2);
    assert!(engine.reader.frame_at_or_after(3).expect("memory").is_none(), "one frame for all 100");
    assert_eq!(counts_by_topic(&entries(&engine.reader))["batch"], 101);
}

#[test]
fn batches_are_bounded_by_entries_and_by_bytes() {
    let gate = Gate::default();
    let config = WriterConfig { batch_entries_max: 10, ..defaults() };
    let frames = frames_of(&gate, config, 8);
    assert_eq!(frames, [1, 2, 12, 22, 32], "one alone, then ten at a time");

    let gate = Gate::default();
    let config =
        WriterConfig { batch_bytes_max: 16 << 10, record_bytes_max: 4 << 10, ..defaults() };
    // Header and 960 bytes of payload are 16 lines; with hash and offset 1060 bytes; 15 fit.
    let frames = frames_of(&gate, config, 960);
    assert_eq!(frames, [1, 2, 17, 32]);
}

/// Where the frames begin when 40 messages are pushed during a commit.
fn frames_of(gate: &Gate, config: WriterConfig, payload_bytes: usize) -> Vec<u64> {
    let bytes_max = config.batch_bytes_max;
    let engine = Engine::start_on(Box::new(FaultyStore::gated(gate)), config);
    let mut producer = engine.writer.producer().expect("the run is open");
    let payload = vec![7; payload_bytes];
    gate.shut();
    producer.submit(&draft("bounded", &payload)).expect("room");
    gate.await_waiting();
    for _ in 0..40 {
        producer.submit(&draft("bounded", &payload)).expect("room");
    }
    gate.open();
    assert_eq!(engine.writer.flush(PATIENCE), Ok(41));
    let mut frames = Vec::new();
    while let Some((first, bytes)) =
        engine.reader.frame_at_or_after(frames.last().map_or(0, |last| last + 1)).expect("memory")
    {
        assert!(bytes.len() <= bytes_max);
        frames.push(first);
    }
    frames
}

#[test]
fn max_batch_latency_bounds_the_wait() {
    let latency = Duration::from_millis(200);
    let config = WriterConfig { max_batch_latency: Some(latency), ..defaults() };
    let engine = Engine::start(config);
    let mut producer = engine.writer.producer().expect("the run is open");
    let submitted = Instant::now();
    producer.submit(&draft("company", &0_u64.to_le_bytes())).expect("room");
    std::thread::sleep(latency / 4);
    let ticket = producer.submit(&draft("company", &1_u64.to_le_bytes())).expect("room");
    assert!(!producer.durability().is_durable(ticket), "the batch is still growing");
    producer.durability().wait(ticket, PATIENCE).expect("durable within the latency");
    assert!(submitted.elapsed() >= latency);
    let (_, bytes) = engine.reader.frame_at_or_after(1).expect("memory").expect("a frame");
    let frame = tapline::internals::format::FrameView::parse(&bytes).expect("a frame");
    assert_eq!(frame.count(), 2, "both in one commit");
    // So does the next batch.
    let next = producer.submit(&draft("company", &2_u64.to_le_bytes())).expect("room");
    std::thread::sleep(latency / 4);
    assert!(!producer.durability().is_durable(next), "it has only begun to wait");
    producer.durability().wait(next, PATIENCE).expect("durable within the latency");
}

#[test]
fn a_ticket_tells_of_its_own_message_only() {
    let gate = Gate::default();
    let engine = Engine::start_on(Box::new(FaultyStore::gated(&gate)), defaults());
    let mut one = engine.writer.producer().expect("the run is open");
    let mut two = engine.writer.producer().expect("the run is open");
    let first = one.submit(&draft("one", &0_u64.to_le_bytes())).expect("room");
    one.durability().wait(first, PATIENCE).expect("the gate is open");
    gate.shut();
    let second = one.submit(&draft("one", &1_u64.to_le_bytes())).expect("room");
    let other = two.submit(&draft("two", &0_u64.to_le_bytes())).expect("room");
    assert_eq!((first.ordinal(), second.ordinal(), other.ordinal()), (1, 2, 1));
    assert!(one.durability().is_durable(first));
    assert!(!one.durability().is_durable(second));
    assert!(!two.durability().is_durable(other));
    let short = Duration::from_millis(20);
    assert_eq!(two.durability().wait(other, short), Err(WaitError::TimedOut { waited: short }));
    gate.open();
    // From another thread, and after the producer is gone.
    let durability = two.durability();
    drop(two);
    std::thread::spawn(move || durability.wait(other, PATIENCE))
        .join()
        .expect("no panic")
        .expect("the gate is open");
}

#[test]
fn an_anchor_covers_earlier_submits() {
    let engine = Engine::start(defaults());
    let mut producer = engine.writer.producer().expect("the run is open");
    for number in 0_u64..500 {
        producer.submit(&draft("anchored", &number.to_le_bytes())).expect("room");
    }
    let hash = ContentHash::of(b"the cache");
    let anchor = engine.writer.record_snapshot_anchor("cache/7", hash).expect("recorded");
    assert_eq!((anchor.high_watermark, &*anchor.blob_ref), (500, "cache/7"));
    assert_eq!(anchor.content_hash, hash);
    assert_eq!(engine.writer.watermark(), 500);
    assert_eq!(engine.reader.anchor().expect("memory"), Some(anchor));
}

#[test]
fn a_run_continues_at_its_watermark_plus_one() {
    let disk = MemoryDisk::default();
    let manifest = manifest(1);
    let mut names = Vec::new();
    for session in 0_u64..3 {
        let mut store = MemoryBackend::new(disk.clone());
        let opening = store.open_run(manifest.clone()).expect("unsealed");
        assert_eq!(opening == RunOpening::Created, session == 0);
        let reader = store.reader().expect("open");
        let writer = EventStoreWriter::spawn(
            Box::new(store),
            Clock::Realtime,
            HaltSignal::new(),
            defaults(),
        )
        .expect("open");
        assert_eq!(writer.watermark(), session * 10);
        let mut producer = writer.producer().expect("open");
        for number in session * 10..session * 10 + 10 {
            producer.submit(&draft("continued", &number.to_le_bytes())).expect("room");
        }
        drop(producer);
        drop(writer);
        names = reader.names(0).expect("memory");
        assert_eq!(counts_by_topic(&entries(&reader))["continued"], session * 10 + 10);
    }
    assert_eq!(names, [(0, "continued".to_owned()), (1, "Test".to_owned())]);
}

/// The entry that ends the run is the last one, even if it repeats a message that was seen before.
#[test]
fn the_last_entry_repeats_nothing() {
    let engine = Engine::start(defaults());
    let mut producer = engine.writer.producer().expect("the run is open");
    let last = EntryDraft { identity: Some(Uuid::from_u128(7)), ..draft("last", b"") };
    for _ in 0..2 {
        producer.submit(&last).expect("room");
    }
    drop(producer);
    let Engine { writer, reader, .. } = engine;
    assert_eq!(writer.close(&last).expect("closed in order").watermark, 2);
    assert_eq!(entries(&reader).len(), 2);
}

/// A full ring wakes a writer whose sleep is longer than a message may wait for room.
#[test]
fn a_full_ring_wakes_a_sleeping_writer() {
    let config = WriterConfig {
        ring_lines: 64,
        record_bytes_max: 256,
        name_bytes_max: 64,
        halt_threshold: Duration::from_millis(500),
        wait: WaitStrategy::Park {
            spins: 0,
            yields: 0,
            park_us: 1_000_000,
            idle_park_us: 1_000_000,
        },
        ..defaults()
    };
    let engine = Engine::start(config);
    let mut producer = engine.writer.producer().expect("the run is open");
    for number in 0_u64..100 {
        producer.submit(&draft("burst", &number.to_le_bytes())).expect("room in time");
    }
    drop(producer);
    assert_eq!(engine.close(), 101);
}

/// Each message comes while the writer sleeps, for longer than anybody waits.
#[test]
fn who_waits_for_a_message_wakes_a_sleeping_writer() {
    let (park_us, idle_park_us) = (1_000_000, 1_000_000);
    let wait = WaitStrategy::Park { spins: 0, yields: 0, park_us, idle_park_us };
    let engine = Engine::start(WriterConfig { wait, ..defaults() });
    let mut producer = engine.writer.producer().expect("the run is open");
    for number in 0_u64..20 {
        let ticket = producer.submit(&draft("lone", &number.to_le_bytes())).expect("room");
        let waited = producer.durability().wait(ticket, Duration::from_millis(500));
        assert_eq!(waited, Ok(()), "message {number}");
    }
    drop(producer);
    assert_eq!(engine.close(), 21);
}

#[test]
fn dropped_producers_make_room_for_others() {
    let engine = Engine::start(WriterConfig { producers_max: 2, ..defaults() });
    let first = engine.writer.producer().expect("one");
    let _second = engine.writer.producer().expect("two");
    assert_eq!(engine.writer.producer().err(), Some(ProducerError::TooMany { max: 2 }));
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    while engine.writer.producer().is_err() {
        assert!(Instant::now() < deadline, "the writer lets go of the ring");
        std::thread::yield_now();
    }
}

#[test]
fn spawning_needs_an_open_run_and_settings() {
    let spawn = |store: MemoryBackend, config| {
        EventStoreWriter::spawn(Box::new(store), Clock::Realtime, HaltSignal::new(), config)
    };
    let store = MemoryBackend::new(MemoryDisk::default());
    let outcome = spawn(store, defaults());
    assert!(matches!(outcome, Err(SpawnError::NoOpenRun)));

    let mut store = MemoryBackend::new(MemoryDisk::default());
    store.open_run(manifest(1)).expect("new");
    store.seal(RunStatus::Ended, None).expect("open");
    assert!(matches!(spawn(store, defaults()), Err(SpawnError::Sealed)));

    let store = MemoryBackend::new(MemoryDisk::default());
    let outcome = spawn(store, WriterConfig { ring_lines: 1, ..defaults() });
    let Err(SpawnError::Config(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.to_string(), "setting ring_lines is 1; allowed is 64 to 16777216");
}

#[test]
fn ts_publish_is_the_realtime_clock_at_acceptance() {
    let engine = Engine::start(defaults());
    let mut producer = engine.writer.producer().expect("the run is open");
    let mut bounds = Vec::new();
    for number in 0_u64..2000 {
        let before = UnixNanos::now().as_u64();
        producer.submit(&draft("timed", &number.to_le_bytes())).expect("room");
        bounds.push((before, UnixNanos::now().as_u64()));
        if number % 100 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    engine.writer.flush(PATIENCE).expect("no halt");
    // The conversion from cycles is more exact than this.
    const TOLERANCE_NS: u64 = 50_000;
    for (entry, (before, after)) in entries(&engine.reader).iter().zip(bounds) {
        let at = entry.ts_publish.as_u64();
        assert!(
            (before - TOLERANCE_NS..=after + TOLERANCE_NS).contains(&at),
            "entry {} accepted between {before} and {after}, stamped {at}",
            entry.seq
        );
    }
}

#[test]
fn close_refuses_a_last_entry_without_topic() {
    let engine = Engine::start(WriterConfig { name_bytes_max: 8, ..defaults() });
    let reader = engine.reader.clone();
    let outcome = engine.writer.close(&draft("too long a topic", b""));
    assert_matches!(outcome, Err(CloseError::Draft(SubmitError::NameLength { bytes: 16, max: 8 })));
    assert_eq!(reader.manifest().expect("memory").status, RunStatus::Running);
    let outcome = Engine::start(defaults()).writer.close(&draft("", b""));
    assert_matches!(outcome, Err(CloseError::Draft(SubmitError::NameLength { bytes: 0, .. })));
    let engine = Engine::start(WriterConfig { name_bytes_max: 9, ..defaults() });
    assert_eq!(engine.close(), 1, "`run.ended` has nine bytes");
}

#[test]
fn close_writes_the_given_last_entry() {
    let engine = Engine::start(defaults());
    let mut producer = engine.writer.producer().expect("the run is open");
    let ts_init = UnixNanos::new(77);
    producer.submit(&EntryDraft { ts_init, ..draft("last", b"") }).expect("room");
    let reader = engine.reader.clone();
    let earlier = UnixNanos::new(76);
    let ended = EntryDraft { ts_init: earlier, ..ended() };
    let report = engine.writer.close(&ended).expect("nothing fails");
    let entries = entries(&reader);
    let last = entries.last().expect("two entries");
    assert_eq!((report.watermark, last.seq), (2, 2));
    assert_eq!((&*last.topic, &*last.payload_type), ("run.ended", "RunEnded"));
    assert_eq!(report.manifest.status, RunStatus::Ended);
    assert_eq!(report.manifest.end_ts_init, Some(ts_init));
    assert_eq!(Some(report.root), reader.root().expect("memory"));
}

/// A record, its identity and its name survive wherever the ring ends.
#[test]
fn records_survive_the_end_of_the_ring() {
    let config = WriterConfig {
        ring_lines: 64,
        record_bytes_max: 256,
        name_bytes_max: 128,
        halt_threshold: PATIENCE,
        ..defaults()
    };
    let engine = Engine::start(config);
    let mut producer = engine.writer.producer().expect("the run is open");
    // Three lines as a name; three as a message, whose identity lies in the second and the third.
    let topic = |number: u64| format!("{number:070}");
    for number in 0_u64..1000 {
        let (topic, payload) = (topic(number), [number.to_le_bytes(); 7].concat());
        let identity = Some(uuid::Uuid::from_u128(u128::from(number) * ((1 << 64) + 1)));
        for _ in 0..2 {
            let draft = EntryDraft { identity, ..draft(&topic, &payload) };
            producer.submit(&draft).expect("room");
        }
    }
    assert_eq!(engine.writer.flush(PATIENCE), Ok(1000), "each repeat is recognised");
    for (number, entry) in (0..).zip(entries(&engine.reader)) {
        assert_eq!(entry.topic, topic(number));
        assert_eq!(entry.payload, [number.to_le_bytes(); 7].concat());
    }
}

/// The writer releases a ring only when everything from it is durable.
#[test]
fn tickets_outlive_their_producer() {
    let config = WriterConfig { max_batch_latency: Some(Duration::from_millis(100)), ..defaults() };
    let engine = Engine::start(config);
    let mut producer = engine.writer.producer().expect("the run is open");
    let ticket = producer.submit(&draft("gone", &0_u64.to_le_bytes())).expect("room");
    let durability = producer.durability();
    drop(producer);
    assert_eq!(durability.wait(ticket, PATIENCE), Ok(()));
}
