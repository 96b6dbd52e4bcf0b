//! The writer collects while a frame is on its way to the disk, and nothing is called durable
//! early.

use std::time::Duration;

use tapline::engine::{WaitStrategy, WriterConfig};
use tapline::store::{EventStore, MemoryBackend, MemoryDisk, RunOpening};
use tapline::{ContentHash, HaltReason};

use crate::support::{
    Engine, FaultyStore, Gate, PATIENCE, counts_by_topic, draft, entries, manifest,
};

#[test]
fn the_next_frame_is_collected_while_a_commit_hangs() {
    let gate = Gate::default();
    // The ring holds 32 of these messages.
    let config = WriterConfig {
        ring_lines: 64,
        record_bytes_max: 256,
        name_bytes_max: 64,
        overlap_bytes_min: 0,
        ..WriterConfig::default()
    };
    let engine = Engine::start_on(Box::new(FaultyStore::gated(&gate)), config);
    let mut producer = engine.writer.producer().expect("the run is open");
    gate.shut();
    let first = producer.submit(&draft("overlap", &0_u64.to_le_bytes())).expect("room");
    gate.await_waiting();
    for number in 1_u64..=1000 {
        producer.submit(&draft("overlap", &number.to_le_bytes())).expect("taken out meanwhile");
    }
    assert_eq!(engine.writer.watermark(), 0);
    assert!(!producer.durability().is_durable(first));
    gate.open();
    let reader = engine.reader.clone();
    drop(producer);
    assert_eq!(engine.close(), 1002);
    assert_eq!(counts_by_topic(&entries(&reader))["overlap"], 1001);
}

#[test]
fn a_request_during_a_commit_is_answered() {
    let gate = Gate::default();
    // An idle writer sleeps for longer than a request may take.
    let config = WriterConfig {
        overlap_bytes_min: 0,
        halt_threshold: Duration::from_millis(500),
        wait: WaitStrategy::Park {
            spins: 0,
            yields: 0,
            park_us: 1_000_000,
            idle_park_us: 1_000_000,
        },
        ..WriterConfig::default()
    };
    let engine = Engine::start_on(Box::new(FaultyStore::gated(&gate)), config);
    let mut producer = engine.writer.producer().expect("the run is open");
    gate.shut();
    producer.submit(&draft("asleep", &0_u64.to_le_bytes())).expect("room");
    std::thread::scope(|scope| {
        let writer = &engine.writer;
        let flush = scope.spawn(|| writer.flush(PATIENCE));
        gate.await_waiting();
        let hash = ContentHash::of(b"the cache");
        let anchor = scope.spawn(move || writer.record_snapshot_anchor("cache/1", hash));
        // Lets the request come while the writer waits. If it comes earlier or later, the answer is
        // the same.
        std::thread::sleep(Duration::from_millis(50));
        gate.open();
        assert_eq!(flush.join().expect("no panic"), Ok(1));
        let anchor = anchor.join().expect("no panic").expect("recorded in time");
        assert_eq!(anchor.high_watermark, 1);
    });
}

/// A run is halted while its store works. The commit that then succeeds is reported, and the run is
/// released.
#[test]
fn a_halt_waits_for_the_frame_under_way() {
    let (gate, disk) = (Gate::default(), MemoryDisk::default());
    let config = WriterConfig { overlap_bytes_min: 0, ..WriterConfig::default() };
    let store = FaultyStore::gated_before(Box::new(MemoryBackend::new(disk.clone())), &gate);
    let engine = Engine::start_on(Box::new(store), config);
    let mut producer = engine.writer.producer().expect("the run is open");
    gate.shut();
    let ticket = producer.submit(&draft("overlap", &0_u64.to_le_bytes())).expect("room");
    gate.await_waiting();
    engine.halt.fire(HaltReason::BackendError("the test says so".to_owned()));
    let Engine { writer, reader, .. } = engine;
    drop(reader);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            gate.open();
        });
        drop(writer);
    });
    assert!(producer.durability().is_durable(ticket), "it arrived");
    let reopened = MemoryBackend::new(disk).open_run(manifest(1));
    assert!(matches!(reopened, Ok(RunOpening::CrashedPredecessor(_))), "{reopened:?}");
}
