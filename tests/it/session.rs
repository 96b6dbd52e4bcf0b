//! From boot to seal: leftovers are recovered, a new run is in order, and nobody else gets into an
//! instance's folder.

mod clock;
mod continuity;
mod front_door;
mod identity;
mod kernel;
mod killed;
mod left_alone;
mod left_closed;
mod left_readable;
mod locking;
mod node;
mod opening;
mod restoring;
mod sweeping;

use std::fs;
use std::path::Path;

use tapline::internals::{RUN_ENDED_TOPIC, run_path};
use tapline::runs::RUN_ENDED_TYPE;
use tapline::session::{
    Environment, EventStoreConfig, EventStoreLifecycle, KernelEventStore, LifecycleOptions,
    OpenError,
};
use tapline::store::{DiskMode, EventStore, RedbBackend};
use tapline::{RegisteredComponents, RunId, RunManifest};

use crate::support::message::messages;
use crate::support::{FrameMaker, Message, instance, manifest, run_id};

/// Leaves run `n` with these frames in a file that is not closed, as a crash between two commits
/// does.
fn leave(folder: &Path, n: u32, batches: &[Vec<Message>]) -> RunId {
    leave_child(folder, n, None, batches)
}

/// The same for a run that continues another.
fn leave_child(folder: &Path, n: u32, parent: Option<u32>, batches: &[Vec<Message>]) -> RunId {
    let path = run_path(folder, &instance(), run_id(n));
    let mut store = RedbBackend::with_disk_mode(folder, DiskMode::Buffered);
    let parent_run_id = parent.map(run_id);
    store.open_run(RunManifest { parent_run_id, ..manifest(n) }).expect("a new run");
    FrameMaker::new().append_all(&mut store, batches);
    let as_left = fs::read(&path).expect("the file is readable while it is open");
    drop(store);
    fs::write(&path, as_left).expect("the file is writable");
    run_id(n)
}

/// Leaves run `n` in a file that is closed, so that it can be tampered with.
fn leave_closed(folder: &Path, n: u32, batches: &[Vec<Message>]) {
    let mut store = RedbBackend::with_disk_mode(folder, DiskMode::Buffered);
    store.open_run(manifest(n)).expect("a new run");
    FrameMaker::new().append_all(&mut store, batches);
}

/// Ten entries in three frames. The run is cut off.
fn cut() -> Vec<Vec<Message>> {
    vec![messages(1, 3), messages(4, 6), messages(7, 10)]
}

/// The same with `RunEnded` last.
fn ended() -> Vec<Vec<Message>> {
    let mut batches = cut();
    batches.push(vec![Message::new(RUN_ENDED_TOPIC, RUN_ENDED_TYPE, 2_000, b"{}")]);
    batches
}

fn lifecycle(folder: &Path) -> EventStoreLifecycle {
    EventStoreLifecycle::new(Some(EventStoreConfig::new(folder)), LifecycleOptions::default())
}

fn open(lifecycle: &mut EventStoreLifecycle) -> Result<RunId, OpenError> {
    lifecycle.open(&instance(), RegisteredComponents::default(), &Environment::Live)?;
    Ok(lifecycle.run_id().expect("a run is open"))
}
