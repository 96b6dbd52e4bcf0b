//! A small node: it books what it publishes, and comes back with what it had.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use tapline::engine::CloseError;
use tapline::session::{EventStoreLifecycle, KernelEventStore, SessionBuilder};
use tapline::store::RedbBackend;
use tapline::{
    Encoder, EncoderRegistry, Environment, EventStoreConfig, LifecycleOptions, MessageBus,
    RegisteredComponents, RunSession, StateCache, UnixNanos,
};
use tempfile::TempDir;

use crate::support::ledger::{Accounts, BOOKING, Ledger, Vault, accounts_at};
use crate::support::steps::{SteppedCache, SteppedStore, Steps};
use crate::support::{PATIENCE, instance};

/// What the node publishes.
pub(super) struct Booking {
    pub(super) account: &'static str,
    pub(super) amount: u64,
}

impl Booking {
    /// The `n`th, as [`bookings`](crate::support::ledger::bookings) has them.
    fn nth(n: u64) -> Self {
        Self { account: if n.is_multiple_of(2) { "even" } else { "odd" }, amount: n }
    }
}

pub(super) fn encoders() -> EncoderRegistry {
    let mut registry = EncoderRegistry::new();
    let encoder = Encoder::new(BOOKING, |booking: &Booking, record| {
        serde_json::to_writer(record, &(booking.account, booking.amount))?;
        Ok(())
    });
    registry.register(encoder).expect("the registry is empty");
    registry
}

/// How a node opens its runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// `RunSession::builder`.
    Session,
    /// `EventStoreLifecycle::restore_and_open`.
    Lifecycle,
    /// The kernel's seam: what `restore_and_open` does, call by call.
    Kernel,
}

/// Options whose every call, and every operation of the store, is a step.
fn set_options(options: &mut LifecycleOptions, steps: &Steps) {
    let (of_encoders, of_store) = (steps.clone(), steps.clone());
    options.encoder_registry = Box::new(move || {
        of_encoders.take("encoder_registry")?;
        Ok(encoders())
    });
    options.backend_opener = Box::new(move |config, _manifest| {
        of_store.take("backend_opener")?;
        let store = RedbBackend::with_disk_mode(&config.base_dir, config.disk_mode);
        let store = store.probed(Arc::new(of_store.clone()));
        Ok(Box::new(SteppedStore(Box::new(store), of_store.clone())))
    });
    options.on_halt = Arc::new(|_reason| ());
}

pub(super) fn builder(folder: &Path, steps: &Steps) -> SessionBuilder {
    RunSession::builder(EventStoreConfig::new(folder), instance())
        .options(|options| set_options(options, steps))
}

pub(super) fn lifecycle(folder: &Path, steps: &Steps) -> EventStoreLifecycle {
    let mut options = LifecycleOptions::default();
    set_options(&mut options, steps);
    EventStoreLifecycle::new(Some(EventStoreConfig::new(folder)), options)
}

/// A node that is up.
pub(super) struct Node {
    run: Run,
    pub(super) ledger: Ledger,
}

enum Run {
    Session(Box<RunSession>),
    Lifecycle(Box<EventStoreLifecycle>),
}

/// Starts a node with an empty ledger.
pub(super) fn start(
    door: Door,
    folder: &Path,
    vault: &Vault,
    steps: &Steps,
) -> Result<Node, Box<dyn Error>> {
    let mut cache = SteppedCache(Ledger::with_vault(vault), steps.clone());
    let run = match door {
        Door::Session => {
            Run::Session(Box::new(builder(folder, steps).restore_and_open(&mut cache)?.0))
        }
        Door::Lifecycle | Door::Kernel => {
            let mut lifecycle = lifecycle(folder, steps);
            start_on(&mut lifecycle, door, &mut cache)?;
            Run::Lifecycle(Box::new(lifecycle))
        }
    };
    Ok(Node { run, ledger: cache.0 })
}

/// Starts a node on `lifecycle`.
pub(super) fn start_on(
    lifecycle: &mut EventStoreLifecycle,
    door: Door,
    cache: &mut dyn StateCache,
) -> Result<(), Box<dyn Error>> {
    let (components, environment) = (RegisteredComponents::default(), Environment::Live);
    if door == Door::Lifecycle {
        lifecycle.restore_and_open(&instance(), components, &environment, cache)?;
        return Ok(());
    }
    lifecycle.restore_parent_cache(&instance(), cache)?;
    lifecycle.open(&instance(), components, &environment)?;
    let session = lifecycle.session().ok_or("no run is open")?;
    session.follow(cache).record_snapshot(&session.snapshot_anchorer())?;
    Ok(())
}

impl Node {
    pub(super) fn session(&self) -> &RunSession {
        match &self.run {
            Run::Session(session) => session,
            Run::Lifecycle(lifecycle) => lifecycle.session().expect("it is open"),
        }
    }

    /// Publishes bookings `from` to `to`, and waits for each to be durable.
    pub(super) fn trade(&self, from: u64, to: u64) {
        trade(self.session(), from, to);
    }

    /// Books what was traded, and takes a snapshot.
    pub(super) fn snapshot(&mut self) {
        let mut ledger = std::mem::take(&mut self.ledger);
        let session = self.session();
        let anchorer = session.snapshot_anchorer();
        session.follow(&mut ledger).record_snapshot(&anchorer).expect("nothing fails");
        self.ledger = ledger;
    }

    pub(super) fn seal(self) {
        self.end().expect("nothing fails");
    }

    /// Ends the run in order, as far as that goes.
    pub(super) fn end(self) -> Result<(), CloseError> {
        match self.run {
            Run::Session(session) => session.seal().map(drop),
            Run::Lifecycle(mut lifecycle) => lifecycle.seal(UnixNanos::new(1)).map(drop),
        }
    }

    /// Leaves the run's file as a crash does: not closed.
    pub(super) fn crash(self) {
        let path = self.session().path().to_owned();
        let as_left = fs::read(&path).expect("it is readable while it is open");
        self.session().halt().fire(tapline::HaltReason::BackendError("it crashes".to_owned()));
        drop(self);
        fs::write(&path, as_left).expect("it is writable");
    }
}

pub(super) fn trade(session: &RunSession, from: u64, to: u64) {
    let bus = Rc::new(MessageBus::new());
    session.tap(&bus).expect("the run is open");
    for n in from..=to {
        let published = bus.publish("bookings", &Booking::nth(n)).expect("it is accepted");
        let ticket = published.ticket().expect("it is captured");
        session.wait_durable(ticket, PATIENCE).expect("it is durable");
    }
}

/// Asserts that a ledger has bookings 1 to `to`, each once and in order.
#[track_caller]
pub(super) fn assert_has(ledger: &Ledger, to: u64, when: &str) {
    let state = |accounts: Accounts| (accounts.by_name, accounts.all, accounts.newest);
    assert_eq!(state(ledger.accounts.clone()), state(accounts_at(to)), "{when}");
}

/// How a node's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Sealed,
    Crashed,
}

/// What a node has left that traded: its folder and snapshots, to begin with again and again.
pub(super) struct Left {
    files: BTreeMap<PathBuf, Vec<u8>>,
    pub(super) snapshots: BTreeMap<String, Vec<u8>>,
}

/// The last booking of a node that is [`Left`].
pub(super) const TRADED: u64 = 8;

impl Left {
    /// A node traded, with a snapshot and bookings behind it, and ended.
    pub(super) fn by(end: End) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let vault = Vault::default();
        let node = start(Door::Session, folder.path(), &vault, &Steps::default());
        let mut node = node.expect("nothing fails");
        node.trade(1, 5);
        node.snapshot();
        node.trade(6, TRADED);
        match end {
            End::Sealed => node.seal(),
            End::Crashed => node.crash(),
        }
        let snapshots = vault.lock().expect("no panic").clone();
        Self { files: files_in(folder.path()), snapshots }
    }

    pub(super) fn lay_out(&self) -> (TempDir, Vault) {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        self.lay_out_in(folder.path());
        (folder, Arc::new(Mutex::new(self.snapshots.clone())))
    }

    pub(super) fn lay_out_in(&self, folder: &Path) {
        for (name, content) in &self.files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it is writable");
            fs::write(path, content).expect("it is writable");
        }
    }
}

/// The files of the instance, by their path from `folder`.
pub(super) fn files_in(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for file in fs::read_dir(folder.join(instance().as_str())).expect("it is readable") {
        let path = file.expect("it is readable").path();
        let name = path.strip_prefix(folder).expect("it is in the folder").to_owned();
        if path.is_file() {
            files.insert(name, fs::read(path).expect("it is readable"));
        }
    }
    files
}
