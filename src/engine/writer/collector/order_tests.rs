//! One total order that respects happens-before, on real threads: a token wanders between
//! producers, and whoever has it submits the next number before passing it on. So every message is
//! caused by the one before, which usually another producer submitted, and the log must count up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::{Assembler, Committer, Step, Writer};
use super::*;
use crate::engine::Producer;
use crate::engine::WriterConfig;
use crate::engine::driver::Engine;
use crate::engine::large_records::large_records;
use crate::engine::shared::{Machine, Shared};
use crate::engine::test_log::{payloads, stress};
use crate::engine::writer::lane::TurnEnd;
use crate::format::name_record;
use crate::model::{Clock, EntryDraft, InstanceId, RunId, RunManifest, UnixNanos};
use crate::protocol::{HaltSignal, LaneState, OrderClock};
use crate::store::{EventStore, MemoryBackend, MemoryDisk, RunReader};
use crate::sync::{Arc, AsymmetricBarrier};

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

impl Writer {
    fn drain_once(&mut self, drain: Drain) {
        match drain {
            // What production does.
            Drain::HorizonMerge => while self.step() == Step::Worked {},
            Drain::SlowHorizonMerge => {
                let horizon = self.shared.order_clock.horizon();
                self.slow_collect(horizon);
            }
            Drain::SlowMergeWithoutHorizon => self.slow_collect(u64::MAX),
            Drain::RoundRobin => {
                self.shared.inbox.take_new(&mut self.collector.lanes);
                for lane in 0..self.collector.lanes.len() {
                    self.collector.lanes[lane].look();
                    let Self { collector, assembler, .. } = self;
                    let lane = &mut collector.lanes[lane];
                    while lane.take(u64::MAX, u64::MAX, assembler, None) == TurnEnd::BatchFull {
                        assembler.seal_batch();
                        self.committer.begin(assembler.batch_mut()).expect("memory does not fail");
                    }
                }
            }
        }
        self.commit_next().expect("memory does not fail");
    }

    fn slow_collect(&mut self, horizon: u64) {
        self.shared.inbox.take_new(&mut self.collector.lanes);
        for lane in &mut self.collector.lanes {
            lane.look();
            std::thread::sleep(std::time::Duration::from_micros(20));
        }
        while self.collector.merge_in_view(horizon, &mut self.assembler) == Collected::BatchFull {
            self.commit_next().expect("memory does not fail");
        }
    }
}

type NewClock = fn() -> OrderClock;

/// Lets the token make `hand_overs` steps over `producers` threads, and returns the log.
fn wander(drain: Drain, clock: NewClock, producers: u64, hand_overs: u64) -> Vec<u64> {
    let token = AtomicU64::new(0);
    record(drain, clock, |engine| {
        std::thread::scope(|scope| {
            for me in 0..producers {
                let producer = Producer::connect(engine.clone()).expect("the run is open");
                let token = &token;
                scope.spawn(move || pass_on(producer, me, producers, hand_overs, token));
            }
        });
    })
}

/// An engine over a new run in memory, its writer, and the read side of the run.
fn engine(clock: NewClock) -> (Engine, Writer, Arc<dyn RunReader>) {
    let mut store = MemoryBackend::new(MemoryDisk::default());
    let instance: InstanceId = "order".parse().expect("a valid id");
    let start = UnixNanos::new(1);
    store.open_run(RunManifest::new(instance, RunId::generate(start), start)).expect("a new run");
    let (reader, tail) = (store.reader().expect("open"), store.tail().expect("open"));
    // Of a simulated clock producers read `ts_publish` themselves.
    let node_clock = Clock::Simulated(crate::model::SimulatedClock::default());
    let machine = Machine { order_clock: clock(), barrier: AsymmetricBarrier::new() };
    let config = WriterConfig::default();
    let shared = Shared::new(config, node_clock, machine, HaltSignal::new(), 0, None);
    let shared = Arc::new(shared);
    let assembler = Assembler::new(&*reader, tail, &shared.config, None).expect("an empty run");
    let committer = Committer::new(Box::new(store));
    let (engine, commands) = Engine::driven_by_a_test(Arc::clone(&shared));
    (engine, Writer::new(shared, assembler, committer, commands), reader)
}

/// Runs `submit_all` against a writer that drains in the given way, and returns the log.
fn record(drain: Drain, clock: NewClock, submit_all: impl FnOnce(&Engine)) -> Vec<u64> {
    let (engine, mut writer, reader) = engine(clock);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            loop {
                // Read before the round: what was pushed before it was set is then taken.
                let last = ended.load(Ordering::Acquire);
                writer.drain_once(drain);
                if last && writer.collector.all_empty() {
                    return;
                }
                std::thread::yield_now();
            }
        });
        submit_all(&engine);
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

fn assert_in_order(drain: Drain, clock: NewClock, producers: u64, hand_overs: u64) {
    let hand_overs = stress(hand_overs);
    let log = wander(drain, clock, producers, hand_overs);
    assert_eq!(log.len() as u64, hand_overs, "nothing is lost or doubled");
    assert_eq!(violations(&log), 0, "{producers} producers");
}

#[test]
fn an_effect_never_precedes_its_cause_by_the_clock_in_use() {
    let clock = OrderClock::detect;
    for (producers, hand_overs) in [(2, 500_000), (3, 300_000), (5, 150_000), (8, 150_000)] {
        assert_in_order(Drain::HorizonMerge, clock, producers, hand_overs);
    }
    assert_in_order(Drain::SlowHorizonMerge, clock, 4, 100_000);
}

#[test]
fn an_effect_never_precedes_its_cause_by_the_shared_counter() {
    for (producers, hand_overs) in [(2, 100_000), (8, 50_000)] {
        assert_in_order(Drain::HorizonMerge, OrderClock::counter, producers, hand_overs);
    }
}

/// A thread may have several producers. What it pushes through one and then through another is
/// cause and effect all the same.
#[test]
fn one_thread_with_two_producers_keeps_its_order() {
    let messages = stress(500_000);
    let log = record(Drain::HorizonMerge, OrderClock::detect, |engine| {
        let mut pair: Vec<_> =
            (0..2).map(|_| Producer::connect(engine.clone()).expect("open")).collect();
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
    (0..20).any(|_| violations(&wander(drain, OrderClock::detect, 4, 50_000)) > 0)
}

/// Collects from rings with records of these stamps; which of the rings are empty then.
fn emptied(rings: &[&[u64]], horizon: u64) -> Vec<bool> {
    let (_engine, mut writer, _reader) = engine(OrderClock::counter);
    let Writer { collector, assembler, .. } = &mut writer;
    for (number, stamps) in (0..).zip(rings) {
        let (mut push, take) = rtrb::RingBuffer::new(64);
        for stamp in *stamps {
            push.push_entire_slice(&name_record("a name", *stamp)).expect("room");
        }
        collector.lanes.push(Lane::new(
            take,
            large_records().1,
            Arc::new(LaneState::new()),
            number,
        ));
    }
    assert_eq!(collector.collect(horizon, assembler, |_| {}), Collected::All);
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
