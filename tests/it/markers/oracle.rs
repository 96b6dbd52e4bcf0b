//! Threads that take turns. Their order is known, and the sidecar has to show it. Half of the time
//! the writer stands still, so that it has much to order at once.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;

use tapline::capture::BusCaptureAdapter;
use tapline::markers::DataMarkerConfig;
use tapline::{Captured, Fingerprint, Marker, RunStatus};

use super::node::{Decision, Node, Recorded, Trade, decision, fingerprint, roomy};
use crate::support::{Gate, PATIENCE};

const INSTRUMENTS: [&str; 3] = ["ES", "NQ", "CL"];
/// Steps of all producers together.
const STEPS: usize = 100_000;

/// How many steps the writer runs, and then how many it stands still.
const STEPS_A_PHASE: usize = 2_000;

/// What happened, in order.
enum Step {
    Entry(u64),
    Data { instrument: &'static str, ts_init: u64 },
}

/// Numbers that look random, the same for each seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64, Steele et al. 2014.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

/// What passes from thread to thread with the turn: all steps so far; `None` once there are enough.
type Turn = Option<Vec<Step>>;

/// Lets `producers` threads mix entries and data. Each takes a few steps, then passes the turn to
/// another.
fn record(producers: usize, markers: DataMarkerConfig) -> (Recorded, Vec<Step>) {
    let gate = Gate::default();
    let node = Node::gated(markers, &gate);
    let (to, mine): (Vec<_>, Vec<_>) = (0..producers).map(|_| channel::<Turn>()).unzip();
    let (done, steps) = channel();
    to[0].send(Some(Vec::new())).unwrap();
    std::thread::scope(|scope| {
        for (mine, seed) in mine.into_iter().zip(0..) {
            let mut adapter = node.adapter();
            let (to, done, gate) = (to.clone(), done.clone(), &gate);
            scope.spawn(move || {
                let mut numbers = Numbers(seed);
                while let Some(mut steps) = mine.recv_timeout(PATIENCE).unwrap() {
                    for _ in 0..=numbers.below(8) {
                        match steps.len() % (2 * STEPS_A_PHASE) {
                            0 => gate.shut(),
                            STEPS_A_PHASE => gate.open(),
                            _ => {}
                        }
                        let step = step(&mut adapter, steps.len() as u64, &mut numbers);
                        steps.push(step);
                    }
                    if steps.len() < STEPS {
                        let next = numbers.below(to.len() as u64) as usize;
                        to[next].send(Some(steps)).unwrap();
                    } else {
                        gate.open();
                        done.send(steps).unwrap();
                        for to in &to {
                            to.send(None).unwrap();
                        }
                    }
                }
            });
        }
    });
    (node.seal(), steps.recv().unwrap())
}

/// Captures an entry or a piece of data. It is the `number`th of all.
fn step(adapter: &mut BusCaptureAdapter, number: u64, numbers: &mut Numbers) -> Step {
    if numbers.below(4) == 0 {
        adapter.capture("decisions", &Decision(number)).unwrap();
        return Step::Entry(number);
    }
    let instrument = INSTRUMENTS[numbers.below(3) as usize];
    // Times repeat, and sometimes fall back.
    let ts_init = 1_000_000 + number / 3 - numbers.below(50);
    let trade = Trade { instrument, ts_init, price: number };
    assert_eq!(adapter.capture("data", &trade).unwrap(), Captured::NotListed);
    Step::Data { instrument, ts_init }
}

/// What had been seen of each instrument: how many data, and their largest time.
type Seen = BTreeMap<&'static str, (u64, u64)>;

fn as_list(seen: &Seen) -> Vec<(String, u64, u64)> {
    seen.iter().map(|(instrument, (count, hi))| ((*instrument).to_owned(), *count, *hi)).collect()
}

fn check(producers: usize) {
    let (recorded, steps) = record(producers, roomy());
    let manifest = recorded.verified();
    assert_eq!((manifest.status, manifest.counts.gaps), (RunStatus::Ended, 0));
    assert_eq!(manifest.counts.dict, 3);

    // What each snapshot must say: there is one between two entries if there was data.
    let mut expected: BTreeMap<u64, Vec<(String, u64, u64)>> = BTreeMap::new();
    let mut seen = Seen::new();
    // RunStarted is entry 1.
    let mut seq = 1;
    let mut boundaries = Vec::new();
    for step in &steps {
        match step {
            Step::Entry(number) => {
                seq += 1;
                assert_eq!(decision(&recorded.entries[seq as usize - 1]), Some(*number));
                boundaries.push((seq, as_list(&seen)));
            }
            Step::Data { instrument, ts_init } => {
                let (count, hi) = seen.entry(instrument).or_default();
                *count += 1;
                *hi = (*hi).max(*ts_init);
                expected.insert(seq, as_list(&seen));
            }
        }
    }

    // Every marker, in one walk.
    let streams = recorded.markers.streams().unwrap();
    let mut folded: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for (next, stored) in (1..).zip(recorded.markers.scan()) {
        let Marker::Cursor(snapshot) = stored.unwrap().marker else { panic!("cursors only") };
        assert_eq!(snapshot.marker_seq, next);
        for cursor in &snapshot.advanced {
            let identifier = &streams[cursor.slot as usize].identifier;
            folded.insert(identifier.clone(), (cursor.count, cursor.ts_init_hi.as_u64()));
        }
        let list = folded.iter().map(|(id, (count, hi))| (id.clone(), *count, *hi)).collect();
        // The interval may split the data between two entries. The last snapshot has all of it.
        found.insert(snapshot.event_seq_before, list);
    }
    assert_eq!(found, expected);

    // Also through the reader at some entries: the first, the last, and some in between.
    let some = boundaries.len() / 10;
    let asked = boundaries.iter().step_by(some.max(1)).chain(boundaries.last());
    for (seq, seen) in asked {
        assert_eq!(recorded.seen_before(*seq), *seen, "before entry {seq}");
    }
}

#[test]
fn one_producer() {
    check(1);
}

#[test]
fn two_producers() {
    check(2);
}

#[test]
fn four_producers() {
    check(4);
}

#[test]
fn eight_producers() {
    check(8);
}

/// Each piece of data of a chosen instrument has its own place, times, ordinal and fingerprint.
#[test]
fn high_fidelity_markers_tell_each_record() {
    let markers = DataMarkerConfig { high_fidelity: vec!["NQ".to_owned()], ..roomy() };
    let (recorded, steps) = record(1, markers);
    let mut expected = Vec::new();
    let (mut seq, mut last_ts, mut ordinal) = (1, 0, 0);
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Entry(_) => seq += 1,
            Step::Data { instrument: "NQ", ts_init } => {
                ordinal = if *ts_init == last_ts { ordinal + 1 } else { 0 };
                last_ts = *ts_init;
                let mut hasher = Fingerprint::default();
                let trade = Trade { instrument: "NQ", ts_init: *ts_init, price: number as u64 };
                fingerprint(&trade, &mut hasher);
                expected.push((seq, *ts_init - 1, *ts_init, ordinal, hasher.finish()));
            }
            Step::Data { .. } => {}
        }
    }
    let manifest = recorded.verified();
    assert_eq!(manifest.counts.hifi, expected.len() as u64);
    assert!(expected.iter().any(|(_, _, _, ordinal, _)| *ordinal > 0), "times repeat");
    let found: Vec<_> = recorded
        .markers
        .hifi(0..=u64::MAX)
        .map(|marker| {
            let marker = marker.unwrap();
            let times = (marker.ts_event.as_u64(), marker.ts_init.as_u64());
            let ordinal = marker.same_ts_ordinal;
            (marker.event_seq_before, times.0, times.1, ordinal, marker.record_fingerprint)
        })
        .collect();
    assert_eq!(found, expected);
    let middle = recorded.markers.hifi(100..=200).count();
    assert_eq!(middle, expected.iter().filter(|(seq, ..)| (100..=200).contains(seq)).count());
}
