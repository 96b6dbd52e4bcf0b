//! A node to copy from: two threads that trade, a ledger that follows the log and is snapshotted, an end on
//! Ctrl-C, and a start that continues where the last one ended or was killed.
//!
//! `cargo run --release --example live_node`, again and again; end it with Ctrl-C, or with `kill -9`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tapline::bus::MessageBus;
use tapline::capture::{BusCaptureAdapter, Encoder, EncoderRegistry};
use tapline::lifecycle::{
    Environment, EventStoreConfig, EventStoreLifecycle, KernelEventStore, LifecycleOptions,
};
use tapline::read::{EntryRef, EventStoreReader};
use tapline::replay::{Applied, CacheError, CacheFollower, StateCache};
use tapline::{ContentHash, InstanceId, RegisteredComponents, UnixNanos};

const SNAPSHOT_EVERY: Duration = Duration::from_secs(2);
const FOLLOW_EVERY: Duration = Duration::from_millis(50);

/// What the venue tells the node.
struct Filled {
    account: String,
    quantity: i64,
}

/// The node's state: nothing but what follows from the entries of its runs, in their order.
struct Ledger {
    positions: BTreeMap<String, i64>,
    snapshots: PathBuf,
}

impl StateCache for Ledger {
    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError> {
        if entry.payload_type() != "Filled" {
            return Ok(Applied::Ignored);
        }
        let (account, quantity): (String, i64) = serde_json::from_slice(entry.payload())?;
        *self.positions.entry(account).or_default() += quantity;
        Ok(Applied::Applied)
    }

    fn to_blob(&self) -> Result<Vec<u8>, CacheError> {
        Ok(serde_json::to_vec(&self.positions)?)
    }

    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError> {
        self.positions = serde_json::from_slice(blob)?;
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

/// Which messages are captured, and how.
fn encoders() -> Result<EncoderRegistry, Box<dyn Error + Send + Sync>> {
    let mut registry = EncoderRegistry::new();
    registry.register(Encoder::new("Filled", |filled: &Filled, record| {
        let payload = serde_json::to_vec(&(&filled.account, filled.quantity));
        record.write_payload(&payload.expect("text and a number always encode"));
        Ok(())
    }))?;
    Ok(registry)
}

/// A thread with a bus and a tap of its own; here it makes up what a venue would send.
fn trade(account: &'static str, tap: BusCaptureAdapter, stop: Arc<AtomicBool>) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let bus = Rc::new(MessageBus::new());
        let mut sent = 0;
        bus.subscribe("fills.*", |_filled| { /* tapline has it before a strategy sees it */ });
        bus.set_tap(Box::new(tap));
        while !stop.load(Ordering::Relaxed) {
            let filled = Filled { account: account.to_owned(), quantity: 1 + sent % 3 };
            if let Err(refused) = bus.publish("fills.sim", &filled) {
                eprintln!("{account} stops: {refused}");
                break;
            }
            sent += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
        sent.unsigned_abs()
    })
}

/// The state before this start: that of the last run, however it ended.
fn restore(
    lifecycle: &mut EventStoreLifecycle,
    instance: &InstanceId,
    ledger: &mut Ledger,
) -> Result<(), Box<dyn Error>> {
    if let Some(swept) = lifecycle.boot(instance)?
        && let Some(run) = swept.passed_over.first()
    {
        // What happened last may be in it, and will be in no state any more once another run is open.
        let why = &swept.skipped;
        return Err(format!("see to run {run}, or move it away: it cannot be read: {why:?}").into());
    }
    if let Some(restored) = lifecycle.restore_parent_cache(instance, ledger)? {
        println!("continues from {}", restored.parent_run_id);
    }
    println!("positions: {:?}", ledger.positions);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let instance: InstanceId = "live-node".parse()?;
    let config = EventStoreConfig::new("./runs");
    let stop = Arc::new(AtomicBool::new(false));
    let (on_halt, on_interrupt) = (Arc::clone(&stop), Arc::clone(&stop));
    ctrlc::set_handler(move || on_interrupt.store(true, Ordering::Relaxed))?;
    let options = LifecycleOptions {
        encoder_registry: Box::new(encoders),
        on_halt: Arc::new(move |reason| {
            eprintln!("stop trading: {reason}");
            on_halt.store(true, Ordering::Relaxed);
        }),
        ..LifecycleOptions::default()
    };
    let mut lifecycle = EventStoreLifecycle::new(Some(config.clone()), options);

    let snapshots = config.base_dir.join(instance.as_str()).join("snapshots");
    fs::create_dir_all(&snapshots)?;
    // The names of the three folders, also where they were there: whoever made them may have been killed before.
    for folder in snapshots.ancestors().skip(1).take(3) {
        fs::File::open(folder)?.sync_all()?;
    }
    let mut ledger = Ledger { positions: BTreeMap::new(), snapshots };
    restore(&mut lifecycle, &instance, &mut ledger)?;
    lifecycle.open(&instance, RegisteredComponents::default(), &Environment::Live)?;

    let (Some(session), Some(anchorer)) = (lifecycle.session(), lifecycle.snapshot_anchorer())
    else {
        unreachable!("it was opened with a configuration");
    };
    println!("recording {}, end with Ctrl-C", session.path().display());
    let mut follower = CacheFollower::new(ledger, EventStoreReader::new(session.reader()), 0);
    let snapshot = |follower: &mut CacheFollower<Ledger>| -> Result<(), Box<dyn Error>> {
        follower.catch_up()?;
        let anchor = follower.snapshot()?;
        anchorer.record_at(anchor.high_watermark, &anchor.blob_ref, anchor.content_hash)?;
        Ok(())
    };
    // Before anything is traded: from here on this run can be restored from without those before it.
    snapshot(&mut follower)?;

    let mut threads = Vec::new();
    for account in ["alpha", "beta"] {
        let tap = lifecycle.adapter()?.expect("it was opened with a configuration");
        threads.push(trade(account, tap, Arc::clone(&stop)));
    }
    let mut taken = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(FOLLOW_EVERY);
        follower.catch_up()?;
        if taken.elapsed() >= SNAPSHOT_EVERY {
            snapshot(&mut follower)?;
            taken = Instant::now();
        }
    }
    let sent: u64 = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    if !lifecycle.is_halted() {
        session.writer().flush(Duration::from_secs(5))?;
        snapshot(&mut follower)?;
    }
    let ledger = follower.into_cache();
    println!("{sent} fills; positions: {:?}", ledger.positions);
    if let Some(report) = lifecycle.seal(UnixNanos::now())? {
        println!("{} entries, root {}", report.watermark, report.root);
    }
    Ok(())
}
