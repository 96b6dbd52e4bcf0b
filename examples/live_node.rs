//! A node to copy from: two threads that trade, a ledger that follows the log and is snapshotted,
//! an order that is durable before it is sent, an end on Ctrl-C, and a start that goes on with the
//! state that the last one left, however that ended.
//!
//! `cargo run --release --example live_node`, again and again; end it with Ctrl-C, or with
//! `kill -9`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tapline::read::EntryRef;
use tapline::replay::{Applied, CacheError, FollowError};
use tapline::{
    BusCaptureAdapter, CacheFollower, ContentHash, Encoder, EncoderRegistry, EventStoreConfig,
    InstanceId, MessageBus, RunSession, SnapshotAnchorer, StateCache,
};

const SNAPSHOT_EVERY: Duration = Duration::from_secs(2);
const FOLLOW_EVERY: Duration = Duration::from_millis(50);
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);

/// What the node sends to the venue. Its number must never repeat.
struct Order {
    account: &'static str,
    number: u64,
}

/// The node's state: nothing but what follows from the entries of its runs, in their order.
struct Ledger {
    /// Orders sent, by account: the number of the last one.
    orders: BTreeMap<String, u64>,
    snapshots: PathBuf,
}

impl StateCache for Ledger {
    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError> {
        if entry.payload_type() != "Order" {
            return Ok(Applied::Ignored);
        }
        let (account, number): (String, u64) = serde_json::from_slice(entry.payload())?;
        self.orders.insert(account, number);
        Ok(Applied::Applied)
    }

    fn to_blob(&self) -> Result<Vec<u8>, CacheError> {
        Ok(serde_json::to_vec(&self.orders)?)
    }

    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError> {
        self.orders = serde_json::from_slice(blob)?;
        Ok(())
    }

    fn keep_blob(&mut self, blob: &[u8]) -> Result<String, CacheError> {
        // Durable before an anchor names it: content, then name.
        let name = ContentHash::of(blob).to_string().replace(':', "-");
        let unfinished = self.snapshots.join("unfinished");
        fs::write(&unfinished, blob)?;
        fs::File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, self.snapshots.join(&name))?;
        fs::File::open(&self.snapshots)?.sync_all()?;
        Ok(name)
    }

    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError> {
        match fs::read(self.snapshots.join(blob_ref)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            blob => Ok(Some(blob?)),
        }
    }
}

impl Ledger {
    /// With a folder for its snapshots, whose name is durable like those of the folders around it.
    fn new(config: &EventStoreConfig, instance: &InstanceId) -> std::io::Result<Self> {
        let snapshots = config.base_dir.join(instance.as_str()).join("snapshots");
        fs::create_dir_all(&snapshots)?;
        for folder in snapshots.ancestors().skip(1).take(3) {
            fs::File::open(folder)?.sync_all()?;
        }
        Ok(Self { orders: BTreeMap::new(), snapshots })
    }
}

/// Which messages are captured, and how.
fn encoders() -> Result<EncoderRegistry, Box<dyn Error>> {
    let mut registry = EncoderRegistry::new();
    registry.register(Encoder::new("Order", |order: &Order, record| {
        serde_json::to_writer(record, &(order.account, order.number))?;
        Ok(())
    }))?;
    Ok(registry)
}

/// A strategy: a thread with a bus and a tap of its own. It sends an order once it is durable.
fn trade(
    account: &'static str,
    mut number: u64,
    tap: BusCaptureAdapter,
    stop: &AtomicBool,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let durability = tap.durability();
    let bus = Rc::new(MessageBus::new());
    bus.subscribe("orders.*", |_order| { /* tapline has it before anybody else sees it */ });
    bus.set_tap(Box::new(tap));
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let published = bus.publish("orders.sim", &Order { account, number })?;
        durability.wait(published.ticket()?, ACKNOWLEDGED_WITHIN)?;
        // Here it goes to the venue: whatever happens now, the next start knows of it.
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Keeps the ledger up with the log, and snapshotted, until the node stops.
fn follow(
    follower: &mut CacheFollower<Ledger>,
    anchorer: &SnapshotAnchorer,
    stop: &AtomicBool,
) -> Result<(), FollowError> {
    let mut taken = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(FOLLOW_EVERY);
        follower.catch_up()?;
        if taken.elapsed() >= SNAPSHOT_EVERY {
            follower.record_snapshot(anchorer)?;
            taken = Instant::now();
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let instance: InstanceId = "live-node".parse()?;
    let config = EventStoreConfig::new("./runs");
    let stop = Arc::new(AtomicBool::new(false));
    let (on_halt, on_interrupt) = (Arc::clone(&stop), Arc::clone(&stop));
    ctrlc::set_handler(move || on_interrupt.store(true, Ordering::Relaxed))?;

    let mut ledger = Ledger::new(&config, &instance)?;
    let (session, restored) = RunSession::builder(config, instance)
        .encoders(encoders()?)
        .on_halt(move |reason| {
            eprintln!("stop trading: {reason}");
            on_halt.store(true, Ordering::Relaxed);
        })
        .restore_and_open(&mut ledger)?;
    match restored {
        Some(restored) => println!("continues {}", restored.parent_run_id),
        None => println!("begins with nothing"),
    }
    println!("orders sent: {:?}", ledger.orders);
    println!("recording {}, end with Ctrl-C", session.path().display());

    let last = |account: &str| ledger.orders.get(account).copied().unwrap_or(0);
    let accounts = ["alpha", "beta"].map(|account| (account, last(account)));
    let mut follower = session.follow(ledger);
    let anchorer = session.snapshot_anchorer();
    let followed = std::thread::scope(|scope| {
        for (account, number) in accounts {
            let (tap, stop) = (session.adapter(), &*stop);
            scope.spawn(move || {
                if let Err(error) =
                    tap.map_err(Into::into).and_then(|tap| trade(account, number, tap, stop))
                {
                    eprintln!("{account} stops: {error:?}");
                }
            });
        }
        let followed = follow(&mut follower, &anchorer, &stop);
        stop.store(true, Ordering::Relaxed);
        followed
    });
    followed?;

    session.flush(ACKNOWLEDGED_WITHIN)?;
    follower.record_snapshot(&anchorer)?;
    println!("orders sent: {:?}", follower.cache().orders);
    let report = session.seal()?;
    println!("{} entries, root {}", report.watermark, report.root);
    Ok(())
}
