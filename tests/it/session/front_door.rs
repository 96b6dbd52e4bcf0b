//! The one door to a run: what it keeps out, what it takes care of, and what passes for durable.

use std::rc::Rc;
use std::time::Duration;

use tapline::engine::WaitError;
use tapline::internals::run_path;
use tapline::runs::{LockError, SweepError, recover_predecessors};
use tapline::session::{EventStoreLifecycle, LifecycleOptions, OpenError};
use tapline::store::open_sealed_file;
use tapline::{
    Captured, Encoder, EncoderRegistry, EventStoreConfig, KernelEventStore, MessageBus,
    NotCaptured, RunId, RunManifest, RunSession, RunStatus, UnixNanos,
};

use super::{lifecycle, open};
use crate::support::{PATIENCE, assert_matches, entries, instance};

struct Order(u64);
struct Unlisted;

fn encoders() -> EncoderRegistry {
    let mut registry = EncoderRegistry::new();
    let encoder = Encoder::new("Order", |order: &Order, record| {
        record.write_payload(&order.0.to_le_bytes());
        Ok(())
    });
    registry.register(encoder).expect("the registry is empty");
    registry
}

fn session(folder: &std::path::Path) -> RunSession {
    let builder = RunSession::builder(EventStoreConfig::new(folder), instance());
    builder.encoders(encoders()).open().expect("nothing fails")
}

fn manifest(folder: &std::path::Path, run_id: RunId) -> RunManifest {
    let path = run_path(folder, &instance(), run_id);
    open_sealed_file(&path).expect("sealed").manifest().expect("sound")
}

#[test]
fn a_second_session_of_an_instance_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = session(folder.path());
    let second = RunSession::builder(EventStoreConfig::new(folder.path()), instance()).open();
    assert_matches!(second.err(), Some(OpenError::Sweep(SweepError::Lock(LockError::Held { .. }))));
    first.seal().unwrap();
    session(folder.path()).seal().unwrap();
}

#[test]
fn a_session_continues_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let first = session(folder.path());
    let first_id = first.run_id();
    assert_eq!(first.parent_run_id(), None);
    // As a process that dies: the next one recovers it.
    drop(first);
    let second = session(folder.path());
    let second_id = second.run_id();
    assert_eq!(second.parent_run_id(), Some(first_id));
    assert_eq!(manifest(folder.path(), first_id).status, RunStatus::CrashedRecovered);
    second.seal().unwrap();
    let third = session(folder.path());
    assert_eq!(third.parent_run_id(), Some(second_id), "also where it ended in order");
}

#[test]
fn a_listed_message_is_durable_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let session = session(folder.path());
    let bus = Rc::new(MessageBus::new());
    let counts = session.tap(&bus).unwrap();
    let published = bus.publish("orders", &Order(1)).unwrap();
    session.wait_durable(published.ticket().unwrap(), PATIENCE).unwrap();
    assert_eq!(session.writer().watermark(), 2);
    assert_eq!(counts.captured(), 1);

    // What is not recorded has no ticket, and not that of the message before.
    let unlisted = bus.publish("orders", &Unlisted).unwrap();
    assert_eq!(unlisted.captured, Captured::NotListed);
    assert_eq!(unlisted.ticket(), Err(NotCaptured::NotListed));
    bus.clear_tap();
    assert_eq!(bus.publish("orders", &Order(2)).unwrap().ticket(), Err(NotCaptured::Untapped));
}

#[test]
fn a_ticket_of_another_session_is_told() {
    let (here, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, elsewhere) = (session(here.path()), session(elsewhere.path()));
    let bus = Rc::new(MessageBus::new());
    here.tap(&bus).unwrap();
    let ticket = bus.publish("orders", &Order(1)).unwrap().ticket().unwrap();
    assert_eq!(elsewhere.wait_durable(ticket, PATIENCE), Err(WaitError::ForeignTicket));
    assert_eq!(here.wait_durable(ticket, PATIENCE), Ok(()));
}

#[test]
fn a_seal_removes_its_own_tap_only() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (session(one.path()), session(other.path()));
    let bus = Rc::new(MessageBus::new());
    one.tap(&bus).unwrap();
    other.tap(&bus).unwrap();
    one.seal().unwrap();
    let published = bus.publish("orders", &Order(1)).unwrap();
    other.wait_durable(published.ticket().unwrap(), PATIENCE).unwrap();
    other.seal().unwrap();
    assert_eq!(bus.publish("orders", &Order(2)).unwrap().captured, Captured::Untapped);
}

#[test]
fn a_dropped_session_untaps_and_is_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let session = session(folder.path());
    let run_id = session.run_id();
    let bus = Rc::new(MessageBus::new());
    session.tap(&bus).unwrap();
    bus.publish("orders", &Order(1)).unwrap();
    drop(session);
    assert_eq!(bus.publish("orders", &Order(2)).unwrap().captured, Captured::Untapped);
    let swept = recover_predecessors(folder.path(), &instance()).unwrap();
    let [recovered] = &swept.recovered[..] else { panic!("{swept:?}") };
    assert_eq!((recovered.run_id, recovered.watermark), (run_id, 2));
}

#[test]
fn an_encoder_without_a_time_gets_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let session = session(folder.path());
    let path = session.path().to_owned();
    let bus = Rc::new(MessageBus::new());
    session.tap(&bus).unwrap();
    let before = UnixNanos::now();
    bus.publish("orders", &Order(1)).unwrap();
    session.seal().unwrap();
    let entries = entries(&open_sealed_file(&path).unwrap());
    let early = before.as_u64() - Duration::from_secs(1).as_nanos() as u64;
    assert!(entries[1].ts_init.as_u64() > early, "{:?}", entries[1]);
}

#[test]
fn a_fresh_start_continues_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    session(folder.path()).seal().unwrap();
    let builder = RunSession::builder(EventStoreConfig::new(folder.path()), instance());
    let fresh = builder.fresh_start().open().unwrap();
    let fresh_id = fresh.run_id();
    assert_eq!(fresh.parent_run_id(), None);
    fresh.seal().unwrap();
    let flags = manifest(folder.path(), fresh_id).feature_flags;
    assert!(flags.contains(&"fresh-start".to_owned()), "{flags:?}");
    assert_eq!(session(folder.path()).parent_run_id(), Some(fresh_id));
}

/// A run that tells nothing of its own must not look like one that was ended.
#[test]
fn a_lifecycle_dropped_at_once_seals_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut lifecycle = lifecycle(folder.path());
    let run_id = open(&mut lifecycle).unwrap();
    drop(lifecycle);
    let swept = recover_predecessors(folder.path(), &instance()).unwrap();
    let [recovered] = &swept.recovered[..] else { panic!("{swept:?}") };
    assert_eq!((recovered.run_id, recovered.status), (run_id, RunStatus::CrashedRecovered));
}

#[test]
fn a_lifecycle_dropped_with_entries_seals_them() {
    let folder = tempfile::tempdir().unwrap();
    let options = LifecycleOptions {
        encoder_registry: Box::new(|| Ok(encoders())),
        ..LifecycleOptions::default()
    };
    let config = EventStoreConfig::new(folder.path());
    let mut lifecycle = EventStoreLifecycle::new(Some(config), options);
    let run_id = open(&mut lifecycle).unwrap();
    let bus = Rc::new(MessageBus::new());
    lifecycle.tap(&bus).unwrap();
    bus.publish("orders", &Order(1)).unwrap();
    drop(lifecycle);
    let manifest = manifest(folder.path(), run_id);
    assert_eq!((manifest.status, manifest.high_watermark), (RunStatus::Ended, 3));
}
