//! What is done to a store, drawn by lot from a seed, and what it has to hold after each action.

use fastrand::Rng;
use tapline::read::{Direction, EventStoreReader};
use tapline::store::{DiskMode, EventStore, MemoryBackend};
use tapline::{
    ContentHash, Entry, Hash, IndexKind, RunManifest, RunStatus, SnapshotAnchor, UnixNanos,
};

use crate::support::{FrameMaker, Message, manifest};

#[derive(Debug)]
enum Action {
    Open,
    Append(Vec<Message>),
    Anchor,
    Seal,
}

/// A run, from its opening on.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) disk_mode: DiskMode,
    actions: Vec<Action>,
}

/// What a store holds of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) watermark: u64,
    pub(crate) anchor: Option<SnapshotAnchor>,
    /// Once it is sealed.
    pub(crate) root: Option<Hash>,
}

/// A workload's run, as a store that never fails has it.
pub(crate) struct Expected {
    pub(crate) manifest: RunManifest,
    pub(crate) entries: Vec<Entry>,
    /// After so many actions; nothing before the first.
    states: Vec<Option<State>>,
}

impl Workload {
    pub(crate) fn new(seed: u64) -> Self {
        let mut lot = Rng::with_seed(seed);
        let disk_mode = if lot.bool() { DiskMode::Direct } else { DiskMode::Buffered };
        let mut actions = vec![Action::Open];
        let mut n = 0;
        for _ in 0..lot.usize(2..12) {
            if n > 0 && lot.u8(..) < 40 {
                actions.push(Action::Anchor);
            } else {
                let count = if lot.bool() { 1 } else { lot.u64(1..40) };
                actions
                    .push(Action::Append((n..n + count).map(|n| message(n, &mut lot)).collect()));
                n += count;
            }
        }
        if lot.bool() {
            actions.push(Action::Seal);
        }
        Self { disk_mode, actions }
    }

    /// Does one thing after the other, up to the first that fails; `done` hears how many are through.
    pub(crate) fn play(
        &self,
        store: &mut dyn EventStore,
        mut done: impl FnMut(usize, &dyn EventStore),
    ) -> Result<(), String> {
        let mut frames = FrameMaker::new();
        let mut end_ts_init = None;
        for (action, through) in self.actions.iter().zip(1..) {
            match action {
                Action::Open => {
                    store.open_run(manifest(1)).map_err(|error| error.to_string())?;
                }
                Action::Append(messages) => {
                    let appended = store.append(&frames.frame(messages));
                    appended.map_err(|error| error.to_string())?;
                    end_ts_init = messages.last().map(|last| UnixNanos::new(last.ts_init));
                }
                Action::Anchor => {
                    let anchor = anchor_at(store.tail().map_or(0, |tail| tail.watermark));
                    store.record_anchor(&anchor).map_err(|error| error.to_string())?;
                }
                Action::Seal => {
                    let sealed = store.seal(RunStatus::Ended, end_ts_init);
                    sealed.map_err(|error| error.to_string())?;
                }
            }
            done(through, store);
        }
        Ok(())
    }

    pub(crate) fn expected(&self) -> Expected {
        let mut store = MemoryBackend::default();
        let mut states = vec![None];
        self.play(&mut store, |_, store| states.push(Some(state_of(store))))
            .expect("memory does not fail");
        let reader = EventStoreReader::new(store.reader().expect("a run is open"));
        let entries = reader.scan(1, u64::MAX, Direction::Forward);
        let entries = entries.map(|entry| entry.expect("memory is readable")).collect();
        Expected { manifest: manifest(1), entries, states }
    }
}

impl Expected {
    /// What may be found after a crash with so many actions through: the next one was on its way, and is there
    /// whole or not at all.
    pub(crate) fn possible(&self, done: usize) -> &[Option<State>] {
        &self.states[done..self.states.len().min(done + 2)]
    }
}

fn state_of(store: &dyn EventStore) -> State {
    let reader = store.reader().expect("a run is open");
    State {
        watermark: reader.watermark().expect("memory is readable"),
        anchor: reader.anchor().expect("memory is readable"),
        root: reader.root().expect("memory is readable"),
    }
}

fn anchor_at(high_watermark: u64) -> SnapshotAnchor {
    let blob_ref = format!("snapshot-{high_watermark}");
    let content_hash = ContentHash::of(blob_ref.as_bytes());
    SnapshotAnchor { high_watermark, blob_ref, content_hash }
}

/// The `n`th message: mostly small, now and then as large as some pages.
fn message(n: u64, lot: &mut Rng) -> Message {
    let bytes = if lot.u8(..) < 4 { lot.usize(..40_000) } else { lot.usize(..600) };
    let payload: Vec<u8> = (0..bytes).map(|_| lot.u8(..)).collect();
    let topic = format!("orders.{}", lot.u8(..6));
    let message = Message::new(&topic, "OrderEvent", 1_000 + n, &payload);
    match lot.u8(..4) {
        0 => message.key(IndexKind::CLIENT_ORDER_ID, &format!("O-{}", lot.u64(..=n))),
        1 => message.ids(u128::from(n) + 1, u128::from(n / 2) + 1),
        _ => message,
    }
}
