//! How long it takes to read one entry, by its place or by its key.

use std::fmt::Debug;

use anyhow::{Context, Result, ensure};

use super::payload::Key;
use super::writing::write;
use crate::instruments::{Latencies, TickClock, memory, pin};
use crate::outcome::{Figure, Outcome};
use crate::spec::{Spec, Stop};
use crate::system::{Reader, System};

/// When a pass ends: at the first of both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) reads: u64,
    pub(super) seconds: f64,
}

pub(super) fn run<S: System>(
    spec: &Spec,
    stop: Stop,
    bound: Bound,
    outcome: &mut Outcome,
) -> Result<()> {
    ensure!(spec.settings.cores.producers.len() == 1, "point reads are of one producer's run");
    let entries = write::<S>(spec, stop)?.entries;
    pin(spec.settings.cores.producers[0])?;
    memory::reset_peak();
    let before_mb = memory::now_mb();
    let mut reader = S::reader(&spec.dir, &spec.settings)?;
    let clock = TickClock::new();
    let passes = Passes { clock: &clock, entries, bound };
    let mut seqs = Latencies::new();
    passes.warm_and_measured(|number, is_warm| {
        let began = clock.now();
        let found = reader.read(number + 1)?;
        let ended = clock.now();
        expect(found, number)?;
        if is_warm {
            seqs.record(ended - began);
        }
        Ok(())
    })?;
    outcome.keep("by_seq", seqs, &[(Figure::SeqP50, 0.5), (Figure::SeqP99, 0.99)]);
    if spec.settings.keys {
        by_key(&mut *reader, &passes, outcome)?;
    }
    outcome.entries = entries;
    outcome.set(Figure::ReaderMb, memory::rise_mb(before_mb));
    outcome.set(Figure::TimerNs, clock.overhead_ns());
    Ok(())
}

fn by_key(reader: &mut dyn Reader, passes: &Passes<'_>, outcome: &mut Outcome) -> Result<()> {
    let mut key = Key::default();
    let [mut keys, mut lookups] = std::array::from_fn(|_| Latencies::new());
    passes.warm_and_measured(|number, is_warm| {
        let key = key.of(number);
        let began = passes.clock.now();
        let seq = reader.lookup(key)?;
        let looked_up = passes.clock.now();
        let found = reader.read(seq.context("a key is not there")?)?;
        let ended = passes.clock.now();
        expect(found, number)?;
        if is_warm {
            lookups.record(looked_up - began);
            keys.record(ended - began);
        }
        Ok(())
    })?;
    outcome.keep("by_key", keys, &[(Figure::KeyP50, 0.5), (Figure::KeyP99, 0.99)]);
    outcome.keep("lookup", lookups, &[(Figure::LookupP50, 0.5)]);
    Ok(())
}

/// Reads all over a run, the same places for every system.
struct Passes<'a> {
    clock: &'a TickClock,
    entries: u64,
    bound: Bound,
}

impl Passes<'_> {
    /// Calls `read` with the numbers of messages; the first pass warms the caches, the second is to
    /// be measured. With one producer, entry n is message n - 1.
    fn warm_and_measured(&self, mut read: impl FnMut(u64, bool) -> Result<()>) -> Result<()> {
        for is_warm in [false, true] {
            let mut random = Random(0x2545_f491_4f6c_dd1d);
            let deadline = self.clock.now() + (self.bound.seconds * 1e9) as u64;
            let mut reads = 0;
            while reads < self.bound.reads && self.clock.now() < deadline {
                read(random.next() % self.entries, is_warm)?;
                reads += 1;
            }
        }
        Ok(())
    }
}

fn expect<T: PartialEq + Debug>(found: Option<T>, expected: T) -> Result<()> {
    ensure!(found.as_ref() == Some(&expected), "read {found:?} where {expected:?} belongs");
    Ok(())
}

/// Xorshift: which entries are read, the same ones for every system.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
