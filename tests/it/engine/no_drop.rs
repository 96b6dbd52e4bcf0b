//! Accepted entries are in the log.

use std::collections::BTreeMap;

use tapline::engine::WriterConfig;

use super::defaults;
use crate::support::{Engine, counts_by_topic, draft, entries};

#[test]
fn full_rings_make_producers_wait_and_lose_nothing() {
    // A ring of 64 lines holds 32 of these messages.
    let config =
        WriterConfig { ring_lines: 64, record_bytes_max: 256, name_bytes_max: 64, ..defaults() };
    let engine = Engine::start(config);
    let producers = engine.writer.producers();
    const MESSAGES: u64 = 50_000;
    std::thread::scope(|scope| {
        for me in 0..4 {
            let producers = producers.clone();
            scope.spawn(move || {
                let mut producer = producers.producer().expect("the run is open");
                let topic = format!("full.{me}");
                for number in 0..MESSAGES {
                    producer.submit(&draft(&topic, &number.to_le_bytes())).expect("room in time");
                }
            });
        }
    });
    let reader = engine.reader.clone();
    assert_eq!(engine.close(), 4 * MESSAGES + 1);
    let expected: BTreeMap<_, _> = (0..4).map(|me| (format!("full.{me}"), MESSAGES)).collect();
    assert_eq!(counts_by_topic(&entries(&reader)), expected);
}

#[test]
fn producers_come_and_go_while_running() {
    // Over time, far more producers than may exist at once.
    let config = WriterConfig { producers_max: 8, ring_lines: 8192, ..defaults() };
    let engine = Engine::start(config);
    const THREADS: u64 = 4;
    const GENERATIONS: u64 = 100;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let producers = engine.writer.producers();
            scope.spawn(move || {
                for generation in 0..GENERATIONS {
                    let mut producer = loop {
                        // The ring of a producer that is gone counts until the writer has released
                        // it.
                        match producers.producer() {
                            Ok(producer) => break producer,
                            Err(_) => std::thread::yield_now(),
                        }
                    };
                    let topic = format!("{thread}.{generation}");
                    for number in 0..=generation {
                        producer.submit(&draft(&topic, &number.to_le_bytes())).expect("room");
                    }
                }
            });
        }
    });
    let reader = engine.reader.clone();
    let per_thread: u64 = (1..=GENERATIONS).sum();
    assert_eq!(engine.close(), THREADS * per_thread + 1);
    let counts = counts_by_topic(&entries(&reader));
    assert_eq!(counts.len() as u64, THREADS * GENERATIONS);
    for thread in 0..THREADS {
        for generation in 0..GENERATIONS {
            assert_eq!(counts[&format!("{thread}.{generation}")], generation + 1);
        }
    }
}

#[test]
fn a_dropped_writer_keeps_accepted_entries() {
    for _ in 0..50 {
        let engine = Engine::start(defaults());
        let mut producer = engine.writer.producer().expect("the run is open");
        for number in 0_u64..1000 {
            producer.submit(&draft("dropped", &number.to_le_bytes())).expect("room");
        }
        let Engine { writer, reader, halt } = engine;
        drop(writer);
        assert!(!halt.is_halted());
        assert_eq!(counts_by_topic(&entries(&reader))["dropped"], 1000);
        let status = reader.manifest().expect("a manifest").status;
        assert_eq!(status, tapline::RunStatus::Running, "left for recovery to find");
        assert!(producer.submit(&draft("dropped", b"late")).is_err());
    }
}
