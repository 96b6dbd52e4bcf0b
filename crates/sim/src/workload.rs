//! What is done to a run and its sidecar, drawn by lot from a seed, and what they must hold after
//! each action.

use fastrand::Rng;
use tapline::internals::error_chain;
use tapline::markers::MarkerBatch;
use tapline::read::{Direction, EventStoreReader};
use tapline::store::{DiskMode, LogConfig};
use tapline::{
    ContentHash, Entry, Hash, IndexKind, Marker, RunManifest, RunStatus, SnapshotAnchor,
    StreamDictEntry, UnixNanos,
};

use crate::sidecar::{MarkerMaker, SidecarState, marker_manifest};
use crate::stores::{Stores, small_log};
use crate::support::{FrameMaker, Message, manifest};

#[derive(Debug)]
enum Action {
    Open,
    Append(Vec<Message>),
    Anchor,
    Seal,
    OpenSidecar,
    Mark(MarkerBatch),
    SealSidecar,
}

/// A run from its opening on.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) disk_mode: DiskMode,
    /// Of a few records, so that it is overwritten several times.
    pub(crate) log: Option<LogConfig>,
    actions: Vec<Action>,
}

/// What there is of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) watermark: u64,
    pub(crate) anchor: Option<SnapshotAnchor>,
    /// The root, once its own node has sealed it.
    pub(crate) root: Option<Hash>,
    pub(crate) sidecar: Option<SidecarState>,
}

/// A workload's run in a store that never fails.
pub(crate) struct Expected {
    pub(crate) manifest: RunManifest,
    pub(crate) entries: Vec<Entry>,
    pub(crate) streams: Vec<StreamDictEntry>,
    pub(crate) markers: Vec<Marker>,
    /// The state after each number of actions; nothing before the first.
    states: Vec<Option<State>>,
}

impl Workload {
    pub(crate) fn new(seed: u64) -> Self {
        let mut lot = Rng::with_seed(seed);
        let disk_mode = if lot.bool() { DiskMode::Direct } else { DiskMode::Buffered };
        let mut actions = vec![Action::Open];
        let has_sidecar = lot.bool();
        if has_sidecar {
            actions.push(Action::OpenSidecar);
        }
        let (mut n, mut markers) = (0, MarkerMaker::default());
        for _ in 0..lot.usize(2..12) {
            if n > 0 && lot.u8(..) < 40 {
                actions.push(Action::Anchor);
            } else if has_sidecar && lot.u8(..) < 90 {
                actions.push(Action::Mark(markers.batch(n, &mut lot)));
            } else {
                let count = if lot.bool() { 1 } else { lot.u64(1..40) };
                actions
                    .push(Action::Append((n..n + count).map(|n| message(n, &mut lot)).collect()));
                n += count;
            }
        }
        if lot.bool() {
            actions.push(Action::Seal);
            if has_sidecar {
                actions.push(Action::SealSidecar);
            }
        }
        // Not drawn from the lot: a seed tells the same story with a log and without.
        let log = (!seed.is_multiple_of(3)).then_some(small_log());
        Self { disk_mode, log, actions }
    }

    /// Does the actions one after the other, up to the first that fails. Calls `done` with the
    /// number of complete actions.
    pub(crate) fn play(
        &self,
        stores: &mut Stores,
        mut done: impl FnMut(usize, &Stores),
    ) -> Result<(), String> {
        let mut frames = FrameMaker::new();
        let mut end_ts_init = None;
        for (action, through) in self.actions.iter().zip(1..) {
            let Stores { run, sidecar } = stores;
            match action {
                Action::Open => run.open_run(manifest(1)).map(drop).map_err(told)?,
                Action::Append(messages) => {
                    run.append(&[frames.frame(messages)]).map_err(told)?;
                    end_ts_init = messages.last().map(|last| UnixNanos::new(last.ts_init));
                }
                Action::Anchor => {
                    let anchor = anchor_at(run.tail().map_or(0, |tail| tail.watermark));
                    run.record_anchor(&anchor).map_err(told)?;
                }
                Action::Seal => {
                    run.seal(RunStatus::Ended, end_ts_init).map(drop).map_err(told)?;
                }
                Action::OpenSidecar => sidecar.open(marker_manifest()).map_err(told)?,
                Action::Mark(batch) => sidecar.append(batch).map_err(told)?,
                Action::SealSidecar => sidecar.seal(RunStatus::Ended).map(drop).map_err(told)?,
            }
            done(through, stores);
        }
        Ok(())
    }

    pub(crate) fn expected(&self) -> Expected {
        let mut stores = Stores::in_memory();
        let mut states = vec![None];
        self.play(&mut stores, |_, stores| states.push(Some(state_of(stores))))
            .expect("memory does not fail");
        let reader = EventStoreReader::new(stores.run.reader().expect("a run is open"));
        let entries = reader.scan(1, u64::MAX, Direction::Forward);
        let entries = entries.map(|entry| entry.expect("memory is readable")).collect();
        let batches = || {
            self.actions.iter().filter_map(|action| match action {
                Action::Mark(batch) => Some(batch),
                _ => None,
            })
        };
        let streams = batches().flat_map(|batch| batch.streams.clone()).collect();
        let markers = batches().flat_map(|batch| batch.markers.clone()).collect();
        Expected { manifest: manifest(1), entries, streams, markers, states }
    }
}

fn told(error: impl std::error::Error) -> String {
    error_chain(&error)
}

impl Expected {
    /// What may be found after a crash with `done` complete actions. The next action was under way,
    /// and is there as a whole or not at all.
    pub(crate) fn possible(&self, done: usize) -> &[Option<State>] {
        &self.states[done..self.states.len().min(done + 2)]
    }

    /// The run alone after all actions, and before its last commit.
    pub(crate) fn last_two_logs(&self) -> [State; 2] {
        let logs = self.states.iter().rev().flatten();
        let mut logs = logs.map(|state| State { sidecar: None, ..state.clone() });
        let last = logs.next().expect("a run is opened");
        let before = logs.find(|log| *log != last);
        [last.clone(), before.unwrap_or(last)]
    }

    /// The sidecar after all actions.
    pub(crate) fn last_sidecar(&self) -> Option<SidecarState> {
        self.states.last().and_then(Option::as_ref).and_then(|state| state.sidecar)
    }
}

fn state_of(stores: &Stores) -> State {
    let reader = stores.run.reader().expect("a run is open");
    State {
        watermark: reader.watermark().expect("memory is readable"),
        anchor: reader.anchor().expect("memory is readable"),
        root: reader.root().expect("memory is readable"),
        sidecar: stores.sidecar.source().map(SidecarState::of_recorded),
    }
}

fn anchor_at(high_watermark: u64) -> SnapshotAnchor {
    let blob_ref = format!("snapshot-{high_watermark}");
    let content_hash = ContentHash::of(blob_ref.as_bytes());
    SnapshotAnchor { high_watermark, blob_ref, content_hash }
}

/// The `n`th message. It is mostly small, and sometimes as large as some pages.
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
