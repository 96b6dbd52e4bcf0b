//! After warm-up the capture path allocates nothing: counted by the allocator, over all threads.

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tapline::bus::MessageBus;
use tapline::capture::{BusCaptureAdapter, Encoder, EncoderRegistry};
use tapline::store::{EventStore, MemoryBackend, MemoryDisk};
use tapline::writer::{EventStoreWriter, WriterConfig};
use tapline::{
    Clock, EntryDraft, HaltSignal, Headers, IndexKind, InstanceId, RunId, RunManifest, UnixNanos,
};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Filled {
    event_id: Uuid,
    order_id: String,
    payload: [u8; 256],
}

const TOPICS: [&str; 3] = ["events.order.S-1", "events.order.S-2", "events.order.S-3"];

#[test]
fn capturing_allocates_nothing() {
    let mut store = MemoryBackend::new(MemoryDisk::default());
    let instance: InstanceId = "alloc".parse().expect("a valid id");
    let start = UnixNanos::new(1);
    store.open_run(RunManifest::new(instance, RunId::generate(start), start)).expect("new");
    // The writer thread runs on, collecting and hashing, but has nothing to commit meanwhile: what a
    // commit allocates is the store's business.
    let config = WriterConfig {
        max_batch_latency: Some(Duration::from_secs(10)),
        ..WriterConfig::default()
    };
    let writer =
        EventStoreWriter::spawn(Box::new(store), Clock::Realtime, HaltSignal::new(), config)
            .expect("open");

    let mut registry = EncoderRegistry::new();
    let encoder = Encoder::new("Filled", |filled: &Filled, record| {
        record.set_headers(Headers { correlation_id: Some(filled.event_id), causation_id: None });
        record.add_key(IndexKind::CLIENT_ORDER_ID, &filled.order_id);
        record.write_payload(&filled.payload);
        Ok(())
    });
    registry.register(encoder).expect("first");
    let bus = MessageBus::new();
    let producer = writer.producer().expect("open");
    bus.set_tap(Box::new(BusCaptureAdapter::new(Arc::new(registry), producer)));
    bus.subscribe("events.order.*", |_| {});
    let filled = Filled {
        event_id: Uuid::from_u128(7),
        order_id: "O-20231225-000123".to_owned(),
        payload: [7; 256],
    };
    let publish = |count: usize| {
        for topic in TOPICS.iter().cycle().take(count) {
            assert_eq!(bus.publish(topic, &filled).expect("accepted"), 1);
        }
    };
    publish(1000);

    let region = Region::new(ALLOCATOR);
    publish(3000);
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");

    bus.clear_tap();
    let ended = EntryDraft { topic: "e", payload_type: "E", ..EntryDraft::default() };
    assert_eq!(writer.close(&ended).expect("memory").watermark, 4001);
}
