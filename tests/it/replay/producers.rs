//! Several threads record at once, while a cache follows and takes snapshots. The run is cut after
//! each of its frames. Every restore must give the state of exactly that place in the order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use tapline::SnapshotAnchor;
use tapline::engine::WriterConfig;
use tapline::read::EventStoreReader;
use tapline::replay::{CacheFollower, restore_snapshot_and_replay_tail};
use tapline::store::RunReader;

use crate::support::ledger::{Accounts, BOOKING, Ledger, Vault, booking};
use crate::support::prefix::{Prefix, frame_ends};
use crate::support::{Engine, Message, entries};

/// Records each stream from a thread of its own. Meanwhile a cache follows, and takes a snapshot
/// each `snapshot_every`th time it has caught up. Returns the anchors, each with its state.
fn record_and_follow(
    engine: &Engine,
    streams: &[Vec<Message>],
    snapshot_every: usize,
) -> (Vec<(SnapshotAnchor, Accounts)>, Vault) {
    let mut follower = CacheFollower::new(Ledger::default(), reader(&engine.reader), 0);
    let mut snapshots = Vec::new();
    let recording = AtomicUsize::new(streams.len());
    std::thread::scope(|scope| {
        for stream in streams {
            let mut producer = engine.writer.producer().expect("open");
            let recording = &recording;
            scope.spawn(move || {
                for message in stream {
                    message.with_draft(|draft| producer.submit(draft)).expect("accepted");
                }
                recording.fetch_sub(1, Ordering::Release);
            });
        }
        for round in 1.. {
            let last_round = recording.load(Ordering::Acquire) == 0;
            follower.catch_up().expect("readable");
            if round % snapshot_every == 0 {
                let anchor = follower.snapshot().expect("memory");
                snapshots.push((anchor, follower.cache().accounts.clone()));
            }
            if last_round {
                break;
            }
        }
    });
    (snapshots, follower.into_cache().vault)
}

fn reader(source: &Arc<dyn RunReader>) -> EventStoreReader {
    EventStoreReader::new(Arc::clone(source))
}

/// The state at each entry, from 0, computed from the log without replay.
fn states(source: &Arc<dyn RunReader>) -> Vec<Accounts> {
    let mut accounts = Accounts::default();
    let mut states = vec![accounts.clone()];
    for entry in entries(source) {
        if entry.payload_type == BOOKING {
            accounts.book_payload(entry.seq, &entry.payload).expect("a booking");
        }
        states.push(accounts.clone());
    }
    states
}

/// The state restored where the run ends with `watermark` and has this anchor.
fn restored(
    inner: &Arc<dyn RunReader>,
    watermark: u64,
    anchor: Option<&SnapshotAnchor>,
    vault: &Vault,
) -> Accounts {
    let prefix = Prefix { inner: Arc::clone(inner), watermark, anchor: anchor.cloned() };
    let mut ledger = Ledger::with_vault(vault);
    restore_snapshot_and_replay_tail(&mut ledger, &EventStoreReader::new(Arc::new(prefix)))
        .expect("a sound run");
    ledger.accounts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_snapshot_has_one_place_in_order(
        amounts in vec(vec(0_u64..100, 1..60), 2..5),
        snapshot_every in 1_usize..4,
    ) {
        let streams: Vec<Vec<Message>> = (0..).zip(&amounts).map(|(producer, amounts)| {
            amounts.iter().map(|amount| booking(&format!("P-{producer}"), *amount)).collect()
        }).collect();
        let engine = Engine::start(WriterConfig::default());
        let source = Arc::clone(&engine.reader);
        let (snapshots, vault) = record_and_follow(&engine, &streams, snapshot_every);
        engine.close();

        let states = states(&source);
        for (anchor, state) in &snapshots {
            prop_assert_eq!(state, &states[anchor.high_watermark as usize]);
        }
        for end in frame_ends(&*source) {
            let usable = snapshots.iter().filter(|(anchor, _)| anchor.high_watermark <= end);
            let anchors: Vec<_> = usable.map(|(anchor, _)| anchor).collect();
            // The first, the last, and none: any of these anchors may be recorded when the run is
            // cut.
            for anchor in [None, anchors.first(), anchors.last()] {
                let state = restored(&source, end, anchor.copied(), &vault);
                prop_assert_eq!(&state, &states[end as usize], "cut behind {}", end);
            }
        }
    }
}
