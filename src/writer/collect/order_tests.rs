//! One total order that respects happens-before, on real threads: a token wanders between producers,
//! and whoever has it submits the next number before passing it on. So every message is caused by
//! the one before, which usually another producer submitted, and the log must count up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::format::name_record;
use crate::model::{Clock, EntryDraft, InstanceId, RunId, RunManifest, UnixNanos};
use crate::protocol::{HaltSignal, LaneInbox, LaneState, RunGate, Watermark};
use crate::ring::Producer;
use crate::store::{EventStore, MemoryBackend, MemoryDisk, RunReader};
use crate::sync::{Arc, AsymmetricBarrier};

use crate::writer::committer::Committer;
use crate::writer::test_log::{payloads, stress};
use crate::writer::{Connection, Mode, WriterConfig};

/// How the writer takes records out of the rings.
#[derive(Clone, Copy)]
enum Drain {
    /// As in production.
    HorizonMerge,
    /// Ring by ring, each as far as it is filled.
    RoundRobin,
    /// As in production, with a pause between the looks into two rings, in which others push.
    SlowHorizonMerge,
    /// The same with no horizon: by stamp, whatever is in view.
    SlowMergeWithoutHorizon,
}

impl Collector {
    fn drain_once(&mut self, drain: Drain, core: &mut WriterCore, inbox: &LaneInbox<Lane>) {
        match drain {
            Drain::HorizonMerge => {
                let horizon = self.horizon();
                self.collect(horizon, core, |lanes| inbox.admit(lanes));
            }
            Drain::SlowHorizonMerge => {
                let horizon = self.horizon();
                self.slow_collect(horizon, core, inbox);
            }
            Drain::SlowMergeWithoutHorizon => self.slow_collect(u64::MAX, core, inbox),
            Drain::RoundRobin => {
                inbox.admit(&mut self.lanes);
                for lane in &mut self.lanes {
                    lane.look();
                    while lane.take(u64::MAX, u64::MAX, core, None) == TurnEnd::FrameFull {
                        core.commit().expect("memory does not fail");
                    }
                }
            }
        }
        core.commit().expect("memory does not fail");
        self.mark_committing();
        self.publish_durable(core.halt());
    }

    fn slow_collect(&mut self, horizon: u64, core: &mut WriterCore, inbox: &LaneInbox<Lane>) {
        inbox.admit(&mut self.lanes);
        for lane in &mut self.lanes {
            lane.look();
            std::thread::sleep(std::time::Duration::from_micros(20));
        }
        while self.merge_in_view(horizon, core) == Collected::FrameFull {
            core.commit().expect("memory does not fail");
        }
    }
}

/// Lets the token make `hand_overs` steps over `producers` threads, and returns the log.
fn wander(drain: Drain, clock: &OrderClock, producers: u64, hand_overs: u64) -> Vec<u64> {
    let token = AtomicU64::new(0);
    record(drain, clock, |connection| {
        std::thread::scope(|scope| {
            for me in 0..producers {
                let producer = Producer::connect(connection.clone()).expect("the run is open");
                let token = &token;
                scope.spawn(move || pass_on(producer, me, producers, hand_overs, token));
            }
        });
    })
}

/// Runs `submit_all` against a writer that drains in the given way, and returns the log.
fn record(drain: Drain, clock: &OrderClock, submit_all: impl FnOnce(&Connection)) -> Vec<u64> {
    let mut store = MemoryBackend::new(MemoryDisk::default());
    let instance: InstanceId = "order".parse().expect("a valid id");
    let start = UnixNanos::new(1);
    store.open_run(RunManifest::new(instance, RunId::generate(start), start)).expect("a new run");
    let reader = store.reader().expect("a run is open");
    let config = WriterConfig::default();
    let halt = HaltSignal::new();
    let watermark = Watermark::new(0);
    let tail = store.tail().expect("a run is open");
    let committer = Committer::new(Box::new(store));
    let mut core = WriterCore::new(committer, tail, watermark.clone(), halt.clone(), &config, None)
        .expect("an empty run");
    let inbox = Arc::new(LaneInbox::new());
    let connection = Connection {
        mode: Mode::Threaded { inbox: Arc::clone(&inbox), writer: std::thread::current() },
        config: Arc::new(config),
        gate: RunGate::new(AsymmetricBarrier::new()),
        halt,
        watermark,
        latest_entry: None,
        order_clock: clock.clone(),
        clock: Clock::default(),
    };
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut collector = Collector::new(clock.clone(), None);
            loop {
                // Read before the round: what was pushed before it was set is then taken.
                let last = ended.load(Ordering::Acquire);
                collector.drain_once(drain, &mut core, &inbox);
                if last && collector.all_empty() {
                    return;
                }
                std::thread::yield_now();
            }
        });
        submit_all(&connection);
        ended.store(true, Ordering::Release);
        writer.join().expect("draining does not panic");
    });
    numbers(&*reader)
}

/// Holds every number that is this producer's turn: the order of turns is mixed, so that runs of
/// one producer's messages and hand-overs between any two both occur.
fn pass_on(mut producer: Producer, me: u64, producers: u64, hand_overs: u64, token: &AtomicU64) {
    loop {
        // Acquire and Release make the hand-over a cause.
        let number = token.load(Ordering::Acquire);
        if number >= hand_overs {
            return;
        }
        if turn_of(number, producers) != me {
            // Spinning alone would starve the thread whose turn it is on a small machine.
            for _ in 0..20 {
                std::hint::spin_loop();
            }
            std::thread::yield_now();
            continue;
        }
        submit(&mut producer, number);
        token.store(number + 1, Ordering::Release);
    }
}

fn submit(producer: &mut Producer, number: u64) {
    let payload = number.to_le_bytes();
    let draft = EntryDraft {
        topic: "token",
        payload_type: "Token",
        payload: &payload,
        ..EntryDraft::default()
    };
    producer.submit(&draft).expect("the run is open");
}

fn turn_of(number: u64, producers: u64) -> u64 {
    (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % producers
}

fn numbers(reader: &dyn RunReader) -> Vec<u64> {
    let numbers = payloads(reader).into_iter();
    numbers.map(|number| u64::from_le_bytes(number.try_into().expect("eight bytes"))).collect()
}

/// Effects that come before their cause.
fn violations(log: &[u64]) -> usize {
    log.windows(2).filter(|pair| pair[1] < pair[0]).count()
}

fn assert_in_order(drain: Drain, clock: &OrderClock, producers: u64, hand_overs: u64) {
    let hand_overs = stress(hand_overs);
    let log = wander(drain, clock, producers, hand_overs);
    assert_eq!(log.len() as u64, hand_overs, "nothing is lost or doubled");
    assert_eq!(violations(&log), 0, "{producers} producers by {clock:?}");
}

#[test]
fn an_effect_never_precedes_its_cause_by_the_clock_in_use() {
    let clock = OrderClock::detect();
    for (producers, hand_overs) in [(2, 500_000), (3, 300_000), (5, 150_000), (8, 150_000)] {
        assert_in_order(Drain::HorizonMerge, &clock, producers, hand_overs);
    }
    assert_in_order(Drain::SlowHorizonMerge, &clock, 4, 100_000);
}

#[test]
fn an_effect_never_precedes_its_cause_by_the_shared_counter() {
    for (producers, hand_overs) in [(2, 100_000), (8, 50_000)] {
        assert_in_order(Drain::HorizonMerge, &OrderClock::counter(), producers, hand_overs);
    }
}

/// A thread may have several producers. What it pushes through one and then through another is cause
/// and effect all the same.
#[test]
fn one_thread_with_two_producers_keeps_its_order() {
    let messages = stress(500_000);
    let log = record(Drain::HorizonMerge, &OrderClock::detect(), |connection| {
        let mut pair: Vec<_> =
            (0..2).map(|_| Producer::connect(connection.clone()).expect("open")).collect();
        for number in 0..messages {
            submit(&mut pair[turn_of(number, 2) as usize], number);
        }
    });
    assert_eq!((log.len() as u64, violations(&log)), (messages, 0));
}

/// The test of the test: drains that break the order are found out.
#[test]
fn a_round_robin_drain_breaks_the_order() {
    assert!(is_caught(Drain::RoundRobin));
}

/// The horizon is needed, not only the merge: rings are looked into one after the other, and an
/// effect can come into view after the ring of its cause was looked into.
#[test]
fn a_merge_without_a_horizon_breaks_the_order() {
    assert!(is_caught(Drain::SlowMergeWithoutHorizon));
}

fn is_caught(drain: Drain) -> bool {
    // Whether an unlucky interleaving occurs is up to the scheduler: a few tries.
    (0..20).any(|_| violations(&wander(drain, &OrderClock::detect(), 4, 50_000)) > 0)
}

/// Collects from rings with records of these stamps; which of the rings are empty then.
fn emptied(rings: &[&[u64]], horizon: u64) -> Vec<bool> {
    let mut store = MemoryBackend::new(MemoryDisk::default());
    let instance: InstanceId = "order".parse().expect("a valid id");
    let start = UnixNanos::new(1);
    store.open_run(RunManifest::new(instance, RunId::generate(start), start)).expect("a new run");
    let tail = store.tail().expect("a run is open");
    let committer = Committer::new(Box::new(store));
    let (watermark, halt) = (Watermark::new(0), HaltSignal::new());
    let config = WriterConfig::default();
    let mut core =
        WriterCore::new(committer, tail, watermark, halt, &config, None).expect("an empty run");
    let mut collector = Collector::new(OrderClock::counter(), None);
    for stamps in rings {
        let (mut push, take) = rtrb::RingBuffer::new(64);
        for stamp in *stamps {
            push.push_entire_slice(&name_record("a name", *stamp)).expect("room");
        }
        collector.lanes.push(Lane::new(take, Arc::new(LaneState::new())));
    }
    assert_eq!(collector.collect(horizon, &mut core, |_| {}), Collected::All);
    collector.lanes.iter().map(Lane::is_empty).collect()
}

#[test]
fn what_is_stamped_at_the_horizon_is_left_for_the_next_round() {
    assert_eq!(emptied(&[&[3, 5]], 5), [false]);
    assert_eq!(emptied(&[&[3, 5]], 6), [true]);
    assert_eq!(emptied(&[&[5], &[3]], 5), [false, true]);
}

/// Two cores may read one stamp.
#[test]
fn records_of_one_stamp_in_two_rings_are_all_taken() {
    assert_eq!(emptied(&[&[7], &[7, 8]], 9), [true, true]);
}
