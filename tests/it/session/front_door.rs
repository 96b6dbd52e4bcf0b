//! What a node gets from the shortest way to open a run: the lock, the sweep, the link to the run
//! before, and a bus that never says "durable" of what is not recorded.

use std::path::Path;
use std::rc::Rc;

use tapline::engine::WaitError;
use tapline::read::Direction;
use tapline::runs::SweepError;
use tapline::session::{KernelEventStore, OpenError};
use tapline::store::{OpenSealedError, open_sealed_file};
use tapline::{
    EventStoreConfig, InstanceId, MessageBus, NotCaptured, RunSession, RunStatus, UnixNanos,
};

use super::node::{Booking, assert_has, builder, encoders, lifecycle};
use crate::support::ledger::{BOOKING, Ledger};
use crate::support::steps::Steps;
use crate::support::{PATIENCE, assert_matches, instance};

fn open(folder: &Path) -> Result<RunSession, OpenError> {
    RunSession::builder(EventStoreConfig::new(folder), instance()).encoders(encoders()).open()
}

fn open_instance(folder: &Path, name: &str) -> RunSession {
    let instance: InstanceId = name.parse().unwrap();
    let builder = RunSession::builder(EventStoreConfig::new(folder), instance);
    builder.encoders(encoders()).open().unwrap()
}

const BOOKED: Booking = Booking { account: "odd", amount: 1 };

#[test]
fn a_second_session_of_an_instance_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    assert_matches!(open(folder.path()).err(), Some(OpenError::Sweep(SweepError::Locked { .. })));
    assert_eq!(first.seal().unwrap().watermark, 2, "the first one is as it was");
    open(folder.path()).unwrap();
}

#[test]
fn a_session_links_to_the_run_before() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let (first_id, path) = (first.run_id(), first.path().to_owned());
    assert_eq!(first.parent_run_id(), None);
    first.seal().unwrap();
    assert_eq!(open_sealed_file(&path).unwrap().manifest().unwrap().status, RunStatus::Ended);
    let second = open(folder.path()).unwrap();
    assert_eq!(second.parent_run_id(), Some(first_id));
    assert_eq!(second.reader().manifest().unwrap().parent_run_id, Some(first_id));
}

#[test]
fn dropped_without_a_seal_it_is_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Rc::new(MessageBus::new());
    let first = open(folder.path()).unwrap();
    let (run, path) = (first.run_id(), first.path().to_owned());
    first.tap(&bus).unwrap();
    let published = bus.publish("bookings", &BOOKED).unwrap();
    first.wait_durable(published.ticket().unwrap(), PATIENCE).unwrap();
    drop(first);
    assert_eq!(bus.tap_id(), None, "the bus is untapped");
    let later = bus.publish("bookings", &BOOKED).unwrap();
    assert_eq!(later.ticket(), Err(NotCaptured::Untapped));
    assert_matches!(open_sealed_file(&path).err(), Some(OpenSealedError::File(_)));

    let second = open(folder.path()).unwrap();
    assert_eq!(second.parent_run_id(), Some(run));
    let manifest = open_sealed_file(&path).unwrap().manifest().unwrap();
    assert_eq!((manifest.status, manifest.high_watermark), (RunStatus::CrashedRecovered, 2));
}

#[test]
fn a_seal_leaves_the_tap_of_another_session() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Rc::new(MessageBus::new());
    let first = open_instance(folder.path(), "node-1");
    let second = open_instance(folder.path(), "node-2");
    first.tap(&bus).unwrap();
    second.tap(&bus).unwrap();
    first.seal().unwrap();
    let published = bus.publish("bookings", &BOOKED).unwrap();
    second.wait_durable(published.ticket().unwrap(), PATIENCE).unwrap();
    assert_eq!(second.seal().unwrap().watermark, 3);
    assert_eq!(bus.tap_id(), None);
}

#[test]
fn a_lifecycle_leaves_the_tap_of_another() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let bus = Rc::new(MessageBus::new());
    let [mut first, mut second] =
        folders.each_ref().map(|folder| lifecycle(folder.path(), &Steps::default()));
    for lifecycle in [&mut first, &mut second] {
        super::open(lifecycle).unwrap();
        lifecycle.tap(&bus).unwrap();
    }
    first.seal(UnixNanos::new(1)).unwrap();
    bus.publish("bookings", &BOOKED).unwrap().ticket().unwrap();
    assert_eq!(second.seal(UnixNanos::new(1)).unwrap().unwrap().watermark, 3);
}

#[test]
fn an_unregistered_type_never_passes_for_durable() {
    let folder = tempfile::tempdir().unwrap();
    let session = open(folder.path()).unwrap();
    let bus = Rc::new(MessageBus::new());
    session.tap(&bus).unwrap();
    let booked = bus.publish("bookings", &BOOKED).unwrap().ticket().unwrap();
    session.wait_durable(booked, PATIENCE).unwrap();
    // The ticket of the message before is not handed out for it.
    let published = bus.publish("bookings", &"not listed").unwrap();
    assert_eq!(published.ticket(), Err(NotCaptured::NotListed));
    assert_eq!(session.seal().unwrap().watermark, 3);
}

#[test]
fn a_ticket_of_another_session_is_foreign() {
    let folder = tempfile::tempdir().unwrap();
    let first = open_instance(folder.path(), "node-1");
    let second = open_instance(folder.path(), "node-2");
    let bus = Rc::new(MessageBus::new());
    first.tap(&bus).unwrap();
    let ticket = bus.publish("bookings", &BOOKED).unwrap().ticket().unwrap();
    first.wait_durable(ticket, PATIENCE).unwrap();
    assert_eq!(second.wait_durable(ticket, PATIENCE), Err(WaitError::ForeignTicket));
}

#[test]
fn a_fresh_start_has_no_parent_and_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let open = |starts_fresh: bool| {
        let builder = builder(folder, &Steps::default());
        let builder = if starts_fresh { builder.fresh_start() } else { builder };
        let mut ledger = Ledger::default();
        let (session, restored) = builder.restore_and_open(&mut ledger).unwrap();
        (session, restored.map(|restored| restored.parent_run_id), ledger)
    };
    let flags = |session: &RunSession| session.reader().manifest().unwrap().feature_flags;
    let flag = "fresh-start".to_owned();

    let (first, ..) = open(true);
    assert!(!flags(&first).contains(&flag), "there was nothing to leave behind");
    // By this retention knows that its instance has state; see also `assert_identity`.
    assert_eq!(flags(&first), ["restores", "retention=full"]);
    super::node::trade(&first, 1, 4);
    first.seal().unwrap();

    let (second, restored, ledger) = open(true);
    assert_eq!((second.parent_run_id(), restored), (None, None));
    assert_eq!(second.reader().manifest().unwrap().parent_run_id, None);
    assert!(flags(&second).contains(&flag), "{:?}", flags(&second));
    assert_has(&ledger, 0, "it begins with nothing");
    // Its snapshot is in a vault of its own; leave it to the run's entries.
    super::node::trade(&second, 1, 2);
    let second_id = second.run_id();
    second.seal().unwrap();

    let third = RunSession::builder(EventStoreConfig::new(folder), instance()).open().unwrap();
    assert_eq!(third.parent_run_id(), Some(second_id));
    assert!(!flags(&third).contains(&flag), "{:?}", flags(&third));
}

#[test]
fn an_encoder_without_ts_init_gives_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let session = open(folder.path()).unwrap();
    let bus = Rc::new(MessageBus::new());
    session.tap(&bus).unwrap();
    let ticket = bus.publish("bookings", &BOOKED).unwrap().ticket().unwrap();
    session.wait_durable(ticket, PATIENCE).unwrap();
    let reader = session.reader();
    let entries: Vec<_> =
        reader.scan(1, u64::MAX, Direction::Forward).map(|entry| entry.unwrap()).collect();
    let booked = entries.iter().find(|entry| entry.payload_type == BOOKING).unwrap();
    assert!(booked.ts_init >= session.run_id().start(), "{:?}", booked.ts_init);
    assert_eq!(booked.ts_init, booked.ts_publish);
}
