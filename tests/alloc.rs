//! After warm-up the capture path allocates nothing: counted by the allocator, over all threads.

use std::alloc::System;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tapline::bus::{MessageBus, TimeEvent};
use tapline::capture::{BusCaptureAdapter, Encoder, EncoderRegistry};
use tapline::engine::{EventStoreWriter, WriterConfig};
use tapline::markers::{DataMarkerConfig, DataPoint, Extractor, ExtractorRegistry};
use tapline::session::{
    Environment, EventStoreConfig, EventStoreLifecycle, KernelEventStore, LifecycleOptions,
};
use tapline::store::{EventStore, MemoryBackend, MemoryDisk};
use tapline::{
    Clock, DataMarkerClass, EntryDraft, HaltSignal, Headers, IndexKind, InstanceId,
    RegisteredComponents, RunId, RunManifest, UnixNanos,
};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Filled {
    event_id: Uuid,
    order_id: String,
    payload: [u8; 256],
}

/// One test, since the allocator counts for all threads, those of the test harness too.
#[test]
fn the_capture_path_allocates_nothing() {
    capturing_allocates_nothing();
    marking_market_data_allocates_nothing();
}

fn capturing_allocates_nothing() {
    let mut store = MemoryBackend::new(MemoryDisk::default());
    let instance: InstanceId = "alloc".parse().expect("a valid id");
    let start = UnixNanos::new(1);
    store.open_run(RunManifest::new(instance, RunId::generate(start), start)).expect("new");
    // The writer thread runs on, collecting and hashing, but has nothing to commit meanwhile: what
    // a commit allocates is the store's business.
    let config = WriterConfig {
        max_batch_latency: Some(Duration::from_secs(10)),
        ..WriterConfig::default()
    };
    let writer =
        EventStoreWriter::spawn(Box::new(store), Clock::Realtime, HaltSignal::new(), config)
            .expect("open");

    let mut registry = EncoderRegistry::with_defaults();
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
    let (event_id, now) = (Uuid::nil(), UnixNanos::new(9));
    let timer = TimeEvent { name: "bar".into(), event_id, ts_event: now, ts_init: now };
    // Fewer than fit into one frame together.
    let topics: Vec<String> = (0..5_000).map(|number| format!("events.order.S-{number}")).collect();
    let publish_on_each = || {
        for topic in &topics {
            assert_eq!(bus.publish(topic, &filled).expect("accepted").handlers, 1);
        }
        // Nobody handles this timer.
        bus.fire(&timer).expect("accepted");
    };
    publish_on_each();
    writer.flush(Duration::from_secs(20)).expect("memory");
    await_quiet();

    let region = Region::new(ALLOCATOR);
    publish_on_each();
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");

    bus.clear_tap();
    let ended = EntryDraft { topic: "e", payload_type: "E", ..EntryDraft::default() };
    assert_eq!(writer.close(&ended).expect("memory").watermark, 10_003);
}

/// What is new to the other threads, names and streams, is taken up, however busy the machine is.
fn await_quiet() {
    loop {
        let region = Region::new(ALLOCATOR);
        std::thread::sleep(Duration::from_millis(300));
        if region.change().allocations == 0 {
            return;
        }
    }
}

struct Quote {
    instrument: &'static str,
    ts_init: u64,
}

const INSTRUMENTS: [&str; 3] =
    ["ESH4.CME", "NQH4.CME", "an instrument with a long name, CLG4.NYMEX"];

fn marking_market_data_allocates_nothing() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let mut config = EventStoreConfig::new(folder.path());
    // The sidecar's thread takes up every mark, but has nothing to write down meanwhile.
    let safety_flush_interval = Duration::from_secs(3600);
    config.data_markers =
        Some(DataMarkerConfig { safety_flush_interval, ..DataMarkerConfig::default() });
    let options = LifecycleOptions {
        extractor_registry: Box::new(|_classes| {
            let mut registry = ExtractorRegistry::new();
            registry.register(Extractor::new(|quote: &Quote| {
                Some(DataPoint {
                    class: DataMarkerClass::Quote,
                    identifier: quote.instrument,
                    ts_event: quote.ts_init.into(),
                    ts_init: quote.ts_init.into(),
                })
            }))?;
            Ok(registry)
        }),
        ..LifecycleOptions::default()
    };
    let mut lifecycle = EventStoreLifecycle::new(Some(config), options);
    let instance: InstanceId = "alloc".parse().expect("a valid id");
    let components = RegisteredComponents::default();
    lifecycle.open(&instance, components, &Environment::Live).expect("a folder of its own");
    let bus = Rc::new(MessageBus::new());
    lifecycle.tap(&bus).expect("the run is open");
    let publish = |count: u64| {
        for (ts_init, instrument) in (0..count).zip(INSTRUMENTS.iter().cycle()) {
            bus.publish("data.quotes", &Quote { instrument, ts_init }).expect("never refused");
        }
    };
    publish(1000);
    let session = lifecycle.session().expect("it is open");
    session.flush(Duration::from_secs(20)).expect("there is room for it");
    await_quiet();

    let region = Region::new(ALLOCATOR);
    publish(3000);
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");

    let report = lifecycle.seal(UnixNanos::new(1)).expect("sealed").expect("it was open");
    let counts = report.markers.expect("it has a sidecar");
    assert_eq!((counts.dict, counts.gaps), (3, 0), "{counts:?}");
}
