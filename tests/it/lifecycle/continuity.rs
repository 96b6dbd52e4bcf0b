//! State never goes missing at a start. A node counts its orders; each order's number is one more
//! than that of the last order, whatever happened in between, or the start refuses and says why.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tapline::read::EntryRef;
use tapline::replay::{Applied, CacheError};
use tapline::session::{
    Environment, EventStoreLifecycle, KernelEventStore, LifecycleOptions, OpenError,
};
use tapline::store::{DiskOp, DiskProbe, RedbBackend};
use tapline::{
    ContentHash, EntryDraft, EventStoreConfig, Producer, RegisteredComponents, RunSession,
    StateCache,
};

use crate::support::{PATIENCE, instance};

/// What the node knows: the number of its last order. Snapshots are files.
struct Orders {
    last: u64,
    snapshots: PathBuf,
    /// Which call of the cache fails next, counted from 1; `None` for none.
    fails_at: Option<AtomicU64>,
}

impl Orders {
    fn new(folder: &Path) -> Self {
        let snapshots = folder.join("snapshots");
        fs::create_dir_all(&snapshots).expect("a folder can be made");
        Self { last: 0, snapshots, fails_at: None }
    }

    fn failing(folder: &Path, call: u64) -> Self {
        Self { fails_at: Some(AtomicU64::new(call)), ..Self::new(folder) }
    }

    fn call(&self) -> Result<(), CacheError> {
        match &self.fails_at {
            Some(left) if left.fetch_sub(1, Ordering::Relaxed) == 1 => Err("as asked".into()),
            _ => Ok(()),
        }
    }
}

impl StateCache for Orders {
    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError> {
        self.call()?;
        Ok(Some(fs::read(self.snapshots.join(blob_ref))?))
    }

    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError> {
        self.call()?;
        self.last = u64::from_le_bytes(blob.try_into()?);
        Ok(())
    }

    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError> {
        self.call()?;
        if entry.payload_type() != "Order" {
            return Ok(Applied::Ignored);
        }
        let number = u64::from_le_bytes(entry.payload().try_into()?);
        if number != self.last + 1 {
            return Err(format!("order {number} follows order {}", self.last).into());
        }
        self.last = number;
        Ok(Applied::Applied)
    }

    fn to_blob(&self) -> Result<Vec<u8>, CacheError> {
        self.call()?;
        Ok(self.last.to_le_bytes().to_vec())
    }

    fn keep_blob(&mut self, blob: &[u8]) -> Result<String, CacheError> {
        self.call()?;
        let name = ContentHash::of(blob).to_string().replace(':', "-");
        let unfinished = self.snapshots.join("unfinished");
        fs::write(&unfinished, blob)?;
        fs::rename(&unfinished, self.snapshots.join(&name))?;
        Ok(name)
    }
}

/// Lets one operation on the disk fail.
#[derive(Debug, Default)]
struct FailingDisk {
    /// Operations until then; 0 for never.
    left: AtomicU64,
    fails: Fails,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Fails {
    #[default]
    WithAnError,
    ByTheEndOfTheProcess,
}

impl DiskProbe for FailingDisk {
    fn before(&self, _path: &Path, _op: DiskOp<'_>) -> std::io::Result<()> {
        let left = self.left.load(Ordering::Relaxed);
        if left > 0 {
            self.left.store(left - 1, Ordering::Relaxed);
        }
        if left != 1 {
            return Ok(());
        }
        match self.fails {
            Fails::WithAnError => Err(std::io::Error::other("as asked")),
            Fails::ByTheEndOfTheProcess => std::process::abort(),
        }
    }
}

fn disk(fails: Fails, at: u64) -> Arc<FailingDisk> {
    Arc::new(FailingDisk { left: AtomicU64::new(at), fails })
}

/// The ways to start a node.
#[derive(Debug, Clone, Copy)]
enum Door {
    Session,
    /// One call of the lifecycle.
    Lifecycle,
    /// As a kernel calls it: restore, then open.
    Kernel,
}

const DOORS: [Door; 3] = [Door::Session, Door::Lifecycle, Door::Kernel];

enum Node {
    Session(Box<RunSession>),
    Lifecycle(Box<EventStoreLifecycle>),
}

impl Door {
    fn start(
        self,
        folder: &Path,
        disk: &Arc<FailingDisk>,
        orders: &mut Orders,
    ) -> Result<Node, OpenError> {
        let disk = Arc::clone(disk);
        let set = move |options: &mut LifecycleOptions| {
            options.on_halt = Arc::new(|_reason| ());
            options.backend_opener = Box::new(move |config| {
                let store = RedbBackend::with_disk_mode(&config.base_dir, config.disk_mode);
                Ok(Box::new(store.probed(disk.clone())))
            });
        };
        let config = EventStoreConfig::new(folder);
        if let Self::Session = self {
            let builder = RunSession::builder(config, instance()).options(set);
            let (session, _restored) = builder.restore_and_open(orders)?;
            return Ok(Node::Session(Box::new(session)));
        }
        let mut options = LifecycleOptions::default();
        set(&mut options);
        let mut lifecycle = EventStoreLifecycle::new(Some(config), options);
        let (components, live) = (RegisteredComponents::default(), Environment::Live);
        if let Self::Lifecycle = self {
            lifecycle.restore_and_open(&instance(), components, &live, orders)?;
        } else {
            lifecycle.restore_parent_cache(&instance(), orders)?;
            lifecycle.open(&instance(), components, &live)?;
        }
        Ok(Node::Lifecycle(Box::new(lifecycle)))
    }
}

impl Node {
    fn session(&self) -> &RunSession {
        match self {
            Self::Session(session) => session,
            Self::Lifecycle(lifecycle) => lifecycle.session().expect("it was opened"),
        }
    }

    /// Sends as many orders, each durable; the number of the last.
    fn trade(&self, last: u64, orders: u64) -> u64 {
        let mut producer = self.session().producers().producer().expect("open");
        for number in last + 1..=last + orders {
            send(self.session(), &mut producer, number);
        }
        last + orders
    }

    fn end(self) {
        match self {
            Self::Session(session) => drop(session.seal().expect("nothing fails")),
            Self::Lifecycle(mut lifecycle) => {
                lifecycle.seal(2_000.into()).expect("nothing fails");
            }
        }
    }
}

fn send(session: &RunSession, producer: &mut Producer, number: u64) {
    let payload = number.to_le_bytes();
    let draft = EntryDraft {
        topic: "orders",
        payload_type: "Order",
        payload: &payload,
        ..EntryDraft::default()
    };
    let ticket = producer.submit(&draft).expect("open");
    session.wait_durable(ticket, PATIENCE).expect("nothing fails");
}

/// Starts without faults and expects orders to go on behind `last`.
fn goes_on(door: Door, folder: &Path, last: u64) -> Node {
    let mut orders = Orders::new(folder);
    let started = door.start(folder, &disk(Fails::WithAnError, 0), &mut orders);
    let node = started.unwrap_or_else(|error| panic!("{door:?}: {error:?}"));
    assert_eq!(orders.last, last, "{door:?}");
    node
}

/// Starts with the `n`th operation failing, for each n until a start needs no more. After each, a
/// start without faults goes on where the node was. How many failed.
fn every_operation_fails(door: Door) -> u64 {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = folder.path();
    let node = goes_on(door, folder, 0);
    let mut last = node.trade(0, 3);
    node.end();
    for n in 1.. {
        let (disk, mut orders) = (disk(Fails::WithAnError, n), Orders::new(folder));
        let started = door.start(folder, &disk, &mut orders);
        let failed = disk.left.load(Ordering::Relaxed) == 0;
        if let Ok(node) = started {
            assert_eq!(orders.last, last, "{door:?}, operation {n}");
            drop(node);
        } else {
            assert!(failed, "{door:?}, operation {n}: it failed by itself");
        }
        if !failed {
            return n - 1;
        }
        let node = goes_on(door, folder, last);
        last = node.trade(last, 2);
        // In order, and as if the process had died.
        if n.is_multiple_of(2) { node.end() } else { drop(node) }
    }
    unreachable!("a start has an end")
}

#[test]
fn a_start_whose_disk_fails_loses_nothing() {
    for door in DOORS {
        let failed = every_operation_fails(door);
        assert!(failed >= 24, "{door:?}: {failed} operations");
    }
}

#[test]
fn a_start_whose_cache_fails_loses_nothing() {
    for door in [Door::Session, Door::Lifecycle] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = folder.path();
        let node = goes_on(door, folder, 0);
        let mut last = node.trade(0, 3);
        node.end();
        let mut failed = 0;
        for call in 1.. {
            let mut orders = Orders::failing(folder, call);
            let started = door.start(folder, &disk(Fails::WithAnError, 0), &mut orders);
            if started.is_ok() {
                break;
            }
            failed += 1;
            let node = goes_on(door, folder, last);
            last = node.trade(last, 2);
            if call % 2 == 0 { node.end() } else { drop(node) }
        }
        // Load, take over, at least three entries, encode, keep.
        assert!(failed >= 7, "{door:?}: {failed} calls");
        drop(goes_on(door, folder, last));
    }
}

#[test]
fn starts_that_fail_in_a_row_lose_nothing() {
    for door in DOORS {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = folder.path();
        let node = goes_on(door, folder, 0);
        let last = node.trade(0, 5);
        node.end();
        let mut failed = 0;
        for n in 1.. {
            let disk = disk(Fails::WithAnError, n);
            let started = door.start(folder, &disk, &mut Orders::new(folder));
            failed += u64::from(started.is_err());
            if failed == 5 {
                break;
            }
        }
        let node = goes_on(door, folder, last);
        let last = node.trade(last, 1);
        // Dies: not sealed, no snapshot of what it traded.
        drop(node);
        drop(goes_on(door, folder, last));
    }
}

/// Where the node of [`killed_node`] is, and the operation at which it dies.
const FOLDER: &str = "TAPLINE_CONTINUITY_FOLDER";
const DIES_AT: &str = "TAPLINE_CONTINUITY_DIES_AT";

/// The child of the test below, in a process of its own.
#[test]
#[ignore = "run by the test below"]
fn killed_node() {
    let (Some(folder), Ok(at)) = (std::env::var_os(FOLDER), std::env::var(DIES_AT)) else {
        return;
    };
    let (folder, at) = (PathBuf::from(folder), at.parse().expect("a number"));
    let mut orders = Orders::new(&folder);
    let disk = disk(Fails::ByTheEndOfTheProcess, at);
    let node = Door::Session.start(&folder, &disk, &mut orders).expect("nothing else fails");
    let got_through = disk.left.load(Ordering::Relaxed) > 0;
    disk.left.store(0, Ordering::Relaxed);
    let last = node.trade(orders.last, 2);
    fs::write(folder.join("sent"), last.to_string()).expect("the folder takes a file");
    if got_through {
        fs::write(folder.join("got-through"), b"").expect("the folder takes a file");
    }
    std::process::abort();
}

#[test]
fn a_start_that_is_killed_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = folder.path();
    let mut killed = 0;
    for at in 1.. {
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program)
            .args(["--exact", "lifecycle::continuity::killed_node", "--ignored"])
            .env(FOLDER, folder)
            .env(DIES_AT, at.to_string())
            .output()
            .expect("this program starts");
        assert!(!child.status.success(), "it dies, sooner or later");
        if folder.join("got-through").exists() {
            break;
        }
        killed += 1;
        let sent = fs::read_to_string(folder.join("sent"));
        let sent: u64 = sent.map_or(0, |sent| sent.parse().expect("a number"));
        let node = goes_on(Door::Session, folder, sent);
        let last = node.trade(sent, 1);
        fs::write(folder.join("sent"), last.to_string()).expect("the folder takes a file");
        if at % 2 == 0 { node.end() } else { drop(node) }
    }
    assert!(killed >= 24, "{killed} operations");
}
