//! Whatever is recorded, wherever snapshots are taken, and whichever frame is the last before a
//! crash: a restore gives the state that the live cache had at the last durable entry.

use proptest::collection::vec;
use proptest::prelude::*;
use tapline::read::EventStoreReader;
use tapline::replay::{CacheFollower, restore_snapshot_and_replay_tail};
use tapline::store::EventStore;

use crate::support::ledger::{Accounts, Ledger, booking};
use crate::support::{FrameMaker, Message, Place};

/// What happens to a run.
#[derive(Debug, Clone)]
enum Step {
    /// These are committed together.
    Commit(Vec<Recorded>),
    /// The cache that takes snapshots catches up.
    CatchUp,
    /// It takes a snapshot where it is, and that becomes the run's anchor.
    Snapshot,
    /// The process dies. A new one reopens the run and restores its caches.
    Crash,
}

#[derive(Debug, Clone)]
enum Recorded {
    Booking(u8, u64),
    /// Entries of an unknown type.
    Other,
}

fn recorded() -> impl Strategy<Value = Recorded> {
    prop_oneof![
        4 => (0_u8..4, 0_u64..100).prop_map(|(account, amount)| Recorded::Booking(account, amount)),
        1 => Just(Recorded::Other),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => vec(recorded(), 1..6).prop_map(Step::Commit),
        2 => Just(Step::CatchUp),
        2 => Just(Step::Snapshot),
        1 => Just(Step::Crash),
    ]
}

fn message(recorded: &Recorded) -> Message {
    match recorded {
        Recorded::Booking(account, amount) => booking(&format!("A-{account}"), *amount),
        Recorded::Other => Message::nth(1),
    }
}

/// A node: its run, a cache that is always up to date, and one that lags and takes snapshots.
struct Node {
    place: Place,
    store: Box<dyn EventStore>,
    maker: FrameMaker,
    live: CacheFollower<Ledger>,
    lagging: CacheFollower<Ledger>,
}

impl Node {
    fn start() -> Self {
        let place = Place::memory();
        let store = place.open(1);
        let follower = || CacheFollower::new(Ledger::default(), reader(&*store), 0);
        let (live, lagging) = (follower(), follower());
        Self { place, maker: FrameMaker::new(), live, lagging, store }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Commit(batch) => {
                let messages: Vec<_> = batch.iter().map(message).collect();
                self.store.append(&[self.maker.frame(&messages)]).unwrap();
                let watermark = self.store.tail().unwrap().watermark;
                assert_eq!(self.live.catch_up().unwrap(), watermark);
            }
            Step::CatchUp => {
                self.lagging.catch_up().unwrap();
            }
            Step::Snapshot => {
                let anchor = self.lagging.snapshot().unwrap();
                self.store.record_anchor(&anchor).unwrap();
            }
            Step::Crash => self.crash(),
        }
    }

    /// A new process has the disk and the vault, and nothing else.
    fn crash(&mut self) {
        let before = self.live.cache().accounts.clone();
        self.let_go();
        self.store = self.place.backend();
        self.store.open_run(crate::support::manifest(1)).unwrap();
        self.maker = FrameMaker::behind(self.store.tail().unwrap());
        let restored = self.restore();
        assert_eq!(restored.accounts, before);
        let seq = self.store.tail().unwrap().watermark;
        let follower = || CacheFollower::new(restored.clone(), reader(&*self.store), seq);
        (self.live, self.lagging) = (follower(), follower());
    }

    /// The caches of a dead process no longer read its run, and do not stop others from reopening
    /// it.
    fn let_go(&mut self) {
        let nowhere = Place::memory().open(1);
        let ledger = Ledger::with_vault(&self.lagging.cache().vault);
        let seq = self.live.applied_seq();
        let idle = || CacheFollower::new(ledger.clone(), reader(&*nowhere), seq);
        (self.live, self.lagging) = (idle(), idle());
    }

    /// What a process that starts now would restore.
    fn restore(&self) -> Ledger {
        let mut ledger = Ledger::with_vault(&self.lagging.cache().vault);
        let reader = reader(&*self.store);
        let report = restore_snapshot_and_replay_tail(&mut ledger, &reader).unwrap();
        assert_eq!(report.to_seq, self.live.applied_seq());
        assert_eq!(ledger.given, (report.from_seq..=report.to_seq).collect::<Vec<_>>());
        ledger
    }
}

fn reader(store: &dyn EventStore) -> EventStoreReader {
    EventStoreReader::new(store.reader().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_restored_cache_is_the_live_one_at_every_frame(steps in vec(step(), 1..24)) {
        let mut node = Node::start();
        let mut expected = Accounts::default();
        let mut seq = 0;
        for step in &steps {
            node.take(step);
            // The model knows neither frames nor snapshots.
            if let Step::Commit(batch) = step {
                for recorded in batch {
                    seq += 1;
                    if let Recorded::Booking(account, amount) = recorded {
                        expected.book(seq, &format!("A-{account}"), *amount);
                    }
                }
            }
            prop_assert_eq!(&node.live.cache().accounts, &expected);
            prop_assert_eq!(&node.restore().accounts, &expected);
        }
    }
}
