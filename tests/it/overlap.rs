//! Collecting goes on while a frame is on its way to the disk, and nothing is called durable early.

use tapline::writer::WriterConfig;

use crate::support::{Engine, FaultyStore, Gate, counts_by_topic, draft, entries};

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
