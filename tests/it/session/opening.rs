//! Every way in which opening a run fails, and what is left then.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tapline::internals::{error_chain, run_path};
use tapline::runs::{RestoreParentError, recover_predecessors};
use tapline::session::{
    EventStoreConfig, EventStoreLifecycle, KernelEventStore, LifecycleOptions, OpenError,
};
use tapline::store::{EventStore, FileError, OpenSealedError};
use tapline::{HaltReason, RegisteredComponents, RunStatus, SubmitError};

use super::{cut, leave, leave_closed, open};
use crate::support::{Fault, FaultyStore, Gate, assert_matches, instance, run_id, tamper};

/// A lifecycle that records to `store`.
fn over(
    folder: &Path,
    change: impl FnOnce(&mut EventStoreConfig),
    store: impl Fn() -> Box<dyn EventStore> + 'static,
) -> EventStoreLifecycle {
    let mut config = EventStoreConfig::new(folder);
    change(&mut config);
    let options = LifecycleOptions {
        backend_opener: Box::new(move |_config, _manifest| Ok(store())),
        ..LifecycleOptions::default()
    };
    EventStoreLifecycle::new(Some(config), options)
}

#[test]
fn a_late_first_entry_fails_the_open() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    gate.shut();
    let theirs = gate.clone();
    let mut lifecycle = over(
        folder.path(),
        |config| {
            config.run_started_timeout = Duration::from_millis(100);
            config.writer.close_timeout = Duration::from_secs(30);
        },
        move || Box::new(FaultyStore::gated(&theirs)),
    );
    let began = Instant::now();
    let error = open(&mut lifecycle).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "it does not wait for a close too");
    assert_matches!(&error, OpenError::RunStartedTimeout { waited, .. }
        if *waited == Duration::from_millis(100));
    assert_matches!(
        error.halt_reason(),
        Some(HaltReason::NoAnswer { setting: "run_started_timeout_ms", .. })
    );
    assert_eq!(lifecycle.run_id(), None);
    gate.open();
}

#[test]
fn a_store_that_fails_at_the_first_entry() {
    let folder = tempfile::tempdir().unwrap();
    let faults = [
        (Fault::DiskFull, "BackendDisk"),
        (Fault::Corrupted, "BackendCorrupted"),
        (Fault::Io, "BackendError"),
        (Fault::Panic, "WriterDied"),
    ];
    for (fault, reason) in faults {
        let store = move || Box::new(FaultyStore::failing(1, fault)) as Box<dyn EventStore>;
        let error = open(&mut over(folder.path(), |_| (), store)).unwrap_err();
        assert_matches!(&error, OpenError::HaltedDuringBoot(_));
        assert!(format!("{:?}", error.halt_reason()).contains(reason), "{error}");
    }
}

#[test]
fn a_node_may_have_any_number_of_components() {
    let folder = tempfile::tempdir().unwrap();
    let mut lifecycle = super::lifecycle(folder.path());
    let subscriptions: Vec<String> = (0..60_000).map(|n| format!("data.quotes.{n:030}")).collect();
    let components = RegisteredComponents { subscriptions, ..RegisteredComponents::default() };
    let environment = tapline::session::Environment::Live;
    lifecycle.open(&instance(), components.clone(), &environment).unwrap();
    let started = lifecycle.session().unwrap().reader().read(1).unwrap().unwrap();
    assert!(started.payload.len() > 2 << 20, "more than a ring holds: {}", started.payload.len());
    let run_id = lifecycle.run_id().unwrap();
    lifecycle.seal(tapline::UnixNanos::new(1)).unwrap();
    let sealed = tapline::EventStoreReader::open_sealed(folder.path(), &instance(), run_id);
    let sealed = sealed.unwrap();
    assert_eq!(sealed.manifest().unwrap().registered_components, components);
    assert!(sealed.verifier().run(|_| {}).is_clean());
}

#[test]
fn components_of_more_than_64_mib_fail_the_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut lifecycle = EventStoreLifecycle::new(
        Some(EventStoreConfig::new(folder.path())),
        LifecycleOptions::default(),
    );
    let subscriptions = vec!["x".repeat(1 << 20); 70];
    let components = RegisteredComponents { subscriptions, ..RegisteredComponents::default() };
    let environment = tapline::session::Environment::Live;
    let error = lifecycle.open(&instance(), components, &environment).unwrap_err();
    assert_matches!(&error, OpenError::RunStartedSubmit { source: SubmitError::Limit(_), .. });
    assert_matches!(error.halt_reason(), Some(HaltReason::BackendError(_)));
    // No file was made for a run that could not begin.
    drop(lifecycle);
    let report = recover_predecessors(folder.path(), &instance()).unwrap();
    assert_eq!((report.recovered, report.skipped), (vec![], vec![]));
    // The next one can.
    let mut lifecycle = super::lifecycle(folder.path());
    open(&mut lifecycle).unwrap();
}

#[test]
fn a_failing_opener_or_registry_fails_the_boot() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Some(EventStoreConfig::new(folder.path()));
    let options = LifecycleOptions {
        backend_opener: Box::new(|_, _| Err("the vault is locked".into())),
        ..LifecycleOptions::default()
    };
    let error = open(&mut EventStoreLifecycle::new(config(), options)).unwrap_err();
    assert_eq!(error_chain(&error), "the backend could not be opened: the vault is locked");
    let options = LifecycleOptions {
        encoder_registry: Box::new(|| Err("two encoders for one type".into())),
        ..LifecycleOptions::default()
    };
    let error = open(&mut EventStoreLifecycle::new(config(), options)).unwrap_err();
    let said = "the encoder registry could not be made: two encoders for one type";
    assert_eq!(error_chain(&error), said);
    assert_eq!(error.halt_reason(), None);
}

fn replaying(folder: &Path, n: u32) -> EventStoreLifecycle {
    let mut config = EventStoreConfig::new(folder);
    config.replay_from_run_id = Some(run_id(n));
    EventStoreLifecycle::new(Some(config), LifecycleOptions::default())
}

#[test]
fn only_a_sound_run_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &cut());
    leave_closed(folder, 2, &cut());
    tamper::remove_frame(&run_path(folder, &instance(), run_id(2)), 4);
    recover_predecessors(folder, &instance()).unwrap();
    leave(folder, 3, &cut());
    recover_predecessors(folder, &instance()).unwrap();
    tamper::frame(&run_path(folder, &instance(), run_id(3)), 4, |frame| frame.hashes[0][0] ^= 1);
    let runs = || fs::read_dir(folder.join("node-1")).unwrap().count();
    let before = runs();

    let refused = |n| match open(&mut replaying(folder, n)).unwrap_err() {
        OpenError::ReplayRun(error) => error,
        other => panic!("{other}"),
    };
    assert_matches!(
        refused(9),
        RestoreParentError::Open { source: OpenSealedError::File(FileError::NotFound { .. }), .. }
    );
    assert_matches!(refused(2), RestoreParentError::Quarantined { .. });
    assert_matches!(refused(3), RestoreParentError::Damaged { .. });
    assert_eq!(runs(), before, "no run was opened");

    let mut lifecycle = replaying(folder, 1);
    assert!(lifecycle.is_event_store_replay_configured());
    open(&mut lifecycle).unwrap();
    assert_eq!(lifecycle.parent_run_id(), Some(run_id(1)));
    let manifest = lifecycle.session().unwrap().reader().manifest().unwrap();
    assert_eq!(manifest.parent_run_id, Some(run_id(1)));
    assert_eq!(manifest.status, RunStatus::Running);
    assert!(manifest.feature_flags.contains(&"replay".to_owned()));
}
