//! From boot to seal: what was left behind is swept up, what is opened is in order, and who has no
//! business in an instance's folder is kept out.

mod kernel;
mod locking;
mod opening;
mod sweeping;

use std::path::Path;

use tapline::lifecycle::{
    Environment, EventStoreConfig, EventStoreLifecycle, KernelEventStore, LifecycleOptions,
    OpenError, RUN_ENDED_TOPIC, RUN_ENDED_TYPE,
};
use tapline::store::{DiskMode, EventStore, RedbBackend};
use tapline::{RegisteredComponents, RunId};

use crate::support::message::messages;
use crate::support::{FrameMaker, Message, instance, manifest, run_id};

/// Leaves run `n` behind with these frames, as a crash between two commits does.
fn leave(folder: &Path, n: u32, batches: &[Vec<Message>]) -> RunId {
    let mut store = RedbBackend::with_disk_mode(folder, DiskMode::Buffered);
    store.open_run(manifest(n)).expect("a new run");
    FrameMaker::new().append_all(&mut store, batches);
    run_id(n)
}

/// Ten entries in three frames, as of a run that was cut off.
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
