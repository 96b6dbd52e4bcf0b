use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tapline::bus::MessageBus;
use tapline::capture::{Encoder, EncoderRegistry};
use tapline::engine::{AnchorRequestError, CloseError, ProducerError};
use tapline::internals::run_path;
use tapline::runs::recover_predecessors;
use tapline::session::{
    Environment, EventStoreConfig, EventStoreLifecycle, KernelEventStore, KernelEventStoreFactory,
    LifecycleOptions,
};
use tapline::store::{EventStore, open_sealed_file};
use tapline::{
    ContentHash, HaltReason, RegisteredComponents, RunStatus, SimulatedClock, UnixNanos,
};

use super::{lifecycle, open};
use crate::support::{Fault, FaultyStore, Message, PATIENCE, assert_matches, entries, instance};

struct Filled(u64);

fn options() -> LifecycleOptions {
    LifecycleOptions {
        encoder_registry: Box::new(|| {
            let mut registry = EncoderRegistry::new();
            registry.register(Encoder::new("Filled", |filled: &Filled, record| {
                record.write_payload(&filled.0.to_le_bytes());
                Ok(())
            }))?;
            Ok(registry)
        }),
        ..LifecycleOptions::default()
    }
}

#[test]
fn without_a_configuration_it_is_inert() {
    let factory: KernelEventStoreFactory =
        Box::new(|| Ok(Box::new(EventStoreLifecycle::new(None, LifecycleOptions::default()))));
    let mut store = factory().unwrap();
    store.open(&instance(), RegisteredComponents::default(), &Environment::Live).unwrap();
    assert_eq!((store.run_id(), store.parent_run_id()), (None, None));
    assert!(!store.is_halted() && !store.is_event_store_replay_configured());
    assert!(store.snapshot_anchorer().is_none());
    let bus = Rc::new(MessageBus::new());
    store.tap(&bus).unwrap();
    assert!(format!("{bus:?}").contains("tapped: false") && store.adapter().unwrap().is_none());
    assert_matches!(store.seal(UnixNanos::new(1)), Ok(None));
}

#[test]
fn a_kernel_records_through_an_injected_store() {
    let folder = tempfile::tempdir().unwrap();
    let config = EventStoreConfig::new(folder.path());
    let factory: KernelEventStoreFactory =
        Box::new(|| Ok(Box::new(EventStoreLifecycle::new(Some(config), options()))));
    let mut store = factory().unwrap();
    let bus = Rc::new(MessageBus::new());
    // A tap without an open run would record nothing, so it is refused.
    assert_matches!(store.tap(&bus), Err(ProducerError::Closed));
    assert_matches!(store.adapter(), Err(ProducerError::Closed));
    store.open(&instance(), RegisteredComponents::default(), &Environment::Sandbox).unwrap();
    store.tap(&bus).unwrap();
    bus.publish("events.order", &Filled(1)).unwrap();
    let adapter = store.adapter().unwrap().unwrap();
    std::thread::spawn(move || {
        let mut adapter = adapter;
        let captured = adapter.capture("events.order", &Filled(2)).unwrap();
        assert!(captured.ticket().is_ok());
    })
    .join()
    .unwrap();
    let report = store.seal(UnixNanos::new(1)).unwrap().expect("it was open");
    assert_eq!(report.watermark, 4);
}

#[test]
fn a_tapped_bus_is_recorded_until_the_seal() {
    let folder = tempfile::tempdir().unwrap();
    let config = EventStoreConfig::new(folder.path());
    let mut lifecycle = EventStoreLifecycle::new(Some(config), options());
    let clock = SimulatedClock::new(UnixNanos::new(500));
    let environment = Environment::Backtest(clock.clone());
    lifecycle.open(&instance(), RegisteredComponents::default(), &environment).unwrap();
    let run = lifecycle.run_id().unwrap();
    assert_eq!(run.start(), UnixNanos::new(500));
    let bus = Rc::new(MessageBus::new());
    lifecycle.tap(&bus).unwrap();
    bus.publish("events.order", &Filled(1)).unwrap();
    clock.set(UnixNanos::new(900));
    bus.publish("events.order", &Filled(2)).unwrap();

    let report = lifecycle.seal(UnixNanos::new(1_000)).unwrap().expect("it was open");
    assert_eq!(report.watermark, 4);
    assert_eq!(report.manifest.end_ts_init, Some(UnixNanos::new(1_000)));
    assert_eq!(report.manifest.status, RunStatus::Ended);
    // The bus goes on without a tap. A second seal has nothing to do.
    assert!(format!("{bus:?}").contains("tapped: false"), "{bus:?}");
    bus.publish("events.order", &Filled(3)).unwrap();
    assert_matches!(lifecycle.seal(UnixNanos::new(2_000)), Ok(None));

    let source = open_sealed_file(&run_path(folder.path(), &instance(), run)).unwrap();
    let entries = entries(&source);
    let published: Vec<u64> = entries.iter().map(|entry| entry.ts_publish.as_u64()).collect();
    assert_eq!(published, [500, 500, 900, 900]);
    assert_eq!(entries[3].ts_init, UnixNanos::new(1_000));
}

#[test]
fn each_run_gets_a_fresh_signal() {
    let folder = tempfile::tempdir().unwrap();
    let mut lifecycle = lifecycle(folder.path());
    let first = open(&mut lifecycle).unwrap();
    let first_signal = lifecycle.halt().unwrap().clone();
    // Left open: the second open seals it.
    let second = open(&mut lifecycle).unwrap();
    assert!(second > first);
    assert_eq!(lifecycle.parent_run_id(), Some(first), "however it ended");
    let path = run_path(folder.path(), &instance(), first);
    let manifest = open_sealed_file(&path).unwrap().manifest().unwrap();
    assert_eq!((manifest.status, manifest.high_watermark), (RunStatus::Ended, 2));

    first_signal.fire(HaltReason::BackendError("too late".to_owned()));
    assert!(!lifecycle.is_halted());
    // A halted run is left open. The next open recovers it and continues it.
    lifecycle.halt().unwrap().fire(HaltReason::BackendError("the test says so".to_owned()));
    assert!(lifecycle.is_halted());
    assert_matches!(
        lifecycle.seal(UnixNanos::new(1)),
        Err(CloseError::Halted(HaltReason::BackendError(_)))
    );
    assert!(!lifecycle.is_halted());
    assert_matches!(lifecycle.seal(UnixNanos::new(1)), Ok(None));
    open(&mut lifecycle).unwrap();
    assert_eq!(lifecycle.parent_run_id(), Some(second));
    let manifest = lifecycle.session().unwrap().reader().manifest().unwrap();
    assert_eq!(manifest.parent_run_id, Some(second));
}

/// The reader keeps the file open, so that no sweep can read it.
#[test]
fn a_run_that_is_still_read_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let mut lifecycle = lifecycle(folder.path());
    let first = open(&mut lifecycle).unwrap();
    let reader = lifecycle.session().unwrap().reader();
    open(&mut lifecycle).unwrap();
    assert_eq!(lifecycle.parent_run_id(), Some(first));
    assert_eq!(lifecycle.boot(&instance()).unwrap().unwrap().passed_over, []);
    drop(reader);
}

#[test]
fn dropped_with_an_entry_it_seals() {
    let folder = tempfile::tempdir().unwrap();
    let config = EventStoreConfig::new(folder.path());
    let mut lifecycle = EventStoreLifecycle::new(Some(config), options());
    let run = open(&mut lifecycle).unwrap();
    let bus = Rc::new(MessageBus::new());
    lifecycle.tap(&bus).unwrap();
    bus.publish("events.order", &Filled(1)).unwrap();
    drop(lifecycle);
    assert!(format!("{bus:?}").contains("tapped: false"), "{bus:?}");
    let path = run_path(folder.path(), &instance(), run);
    let manifest = open_sealed_file(&path).unwrap().manifest().unwrap();
    assert_eq!((manifest.status, manifest.high_watermark), (RunStatus::Ended, 3));
    assert_eq!(recover_predecessors(folder.path(), &instance()).unwrap().recovered, []);
}

#[test]
fn dropped_right_after_opening_it_does_not_seal() {
    let folder = tempfile::tempdir().unwrap();
    let mut lifecycle = lifecycle(folder.path());
    let run = open(&mut lifecycle).unwrap();
    drop(lifecycle);
    let recovered = recover_predecessors(folder.path(), &instance()).unwrap().recovered;
    let recovered: Vec<_> = recovered.iter().map(|run| (run.run_id, run.status)).collect();
    assert_eq!(recovered, [(run, RunStatus::CrashedRecovered)]);
}

#[test]
fn anchors_are_recorded_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let config = EventStoreConfig::new(folder.path());
    let mut lifecycle = EventStoreLifecycle::new(Some(config), options());
    let run = open(&mut lifecycle).unwrap();
    let anchorer = lifecycle.snapshot_anchorer().unwrap();
    let bus = Rc::new(MessageBus::new());
    lifecycle.tap(&bus).unwrap();
    for number in 0..5 {
        bus.publish("events.order", &Filled(number)).unwrap();
    }
    lifecycle.session().unwrap().wait_for_watermark(6, PATIENCE).unwrap();
    let hash = ContentHash::of(b"a snapshot");
    let from_another_thread = anchorer.clone();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let anchor = from_another_thread.record_at(3, "blob/3", hash).unwrap();
            assert_eq!(anchor.high_watermark, 3);
        });
    });
    assert_matches!(anchorer.record_at(2, "blob/2", hash), Err(AnchorRequestError::Store(_)));
    assert_matches!(anchorer.record_at(7, "blob/7", hash), Err(AnchorRequestError::Store(_)));
    bus.publish("events.order", &Filled(5)).unwrap();
    assert_eq!(anchorer.record("blob/now", hash).unwrap().high_watermark, 7);

    lifecycle.seal(UnixNanos::new(1)).unwrap();
    assert_matches!(anchorer.record("blob/late", hash), Err(AnchorRequestError::Closed));
    let source = open_sealed_file(&run_path(folder.path(), &instance(), run)).unwrap();
    let anchor = source.anchor().unwrap().unwrap();
    assert_eq!((anchor.high_watermark, &*anchor.blob_ref), (7, "blob/now"));
}

#[test]
fn a_halt_is_reported_to_the_node_once() {
    let folder = tempfile::tempdir().unwrap();
    let told = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&told);
    let options = LifecycleOptions {
        backend_opener: Box::new(|_, _| {
            Ok(Box::new(FaultyStore::failing(2, Fault::DiskFull)) as Box<dyn EventStore>)
        }),
        on_halt: Arc::new(move |reason| {
            assert_matches!(reason, HaltReason::BackendDisk(_));
            count.fetch_add(1, Ordering::SeqCst);
        }),
        ..options()
    };
    let config = EventStoreConfig::new(folder.path());
    let mut lifecycle = EventStoreLifecycle::new(Some(config), options);
    open(&mut lifecycle).unwrap();
    let bus = Rc::new(MessageBus::new());
    lifecycle.tap(&bus).unwrap();
    bus.publish("events.order", &Filled(1)).unwrap();
    let session = lifecycle.session().unwrap();
    let flushed = session.flush(PATIENCE);
    assert_matches!(session.check_halt(), Err(HaltReason::BackendDisk(_)));
    assert!(flushed.is_err() && lifecycle.is_halted());
    assert!(bus.publish("events.order", &Filled(2)).is_err(), "the tap refuses");
    assert_matches!(lifecycle.seal(UnixNanos::new(1)), Err(CloseError::Halted(_)));
    assert_eq!(told.load(Ordering::SeqCst), 1);
    // Cleared by the seal even after a halt, because the node knows already.
    assert!(format!("{bus:?}").contains("tapped: false"), "{bus:?}");
}

#[test]
fn an_inline_submit_is_durable_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = EventStoreConfig::new(folder.path());
    let options = LifecycleOptions { is_inline: true, ..options() };
    let mut lifecycle = EventStoreLifecycle::new(Some(config), options);
    lifecycle.open(&instance(), RegisteredComponents::default(), &Environment::Sandbox).unwrap();
    let session = lifecycle.session().unwrap();
    let mut producer = session.producers().producer().unwrap();
    for n in 1..=3 {
        let ticket = Message::nth(n).with_draft(|draft| producer.submit(draft)).unwrap();
        assert!(producer.durability().is_durable(ticket));
        assert_eq!(session.watermark(), 1 + n);
    }
    let report = lifecycle.seal(UnixNanos::new(9)).unwrap().unwrap();
    assert_eq!(report.watermark, 5);
}
