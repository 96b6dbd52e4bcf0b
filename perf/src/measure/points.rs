//! How long it takes to read one entry, by its place or by its key.

use std::fmt::Debug;

use anyhow::{Context, Result, ensure};

use super::payload::Key;
use super::writing::write;
use crate::instruments::{Latencies, TickClock, pin};
use crate::outcome::{Figure, Outcome};
use crate::spec::{Spec, Stop};
use crate::system::System;

pub(super) fn run<S: System>(
    spec: &Spec,
    stop: Stop,
    reads: u64,
    outcome: &mut Outcome,
) -> Result<()> {
    ensure!(spec.settings.cores.producers.len() == 1, "point reads are of one producer's run");
    let entries = write::<S>(spec, stop)?.entries;
    pin(spec.settings.cores.producers[0])?;
    let mut reader = S::reader(&spec.dir)?;
    let clock = TickClock::new();
    let mut key = Key::default();
    let [mut by_seq, mut by_key, mut lookups] = std::array::from_fn(|_| Latencies::new());
    // One producer: entry n is message n - 1. The first pass is not kept: it warms the caches.
    for warm in [false, true] {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        for _ in 0..reads {
            let number = random.next() % entries;
            let began = clock.now();
            let found = reader.read(number + 1)?;
            let ended = clock.now();
            expect(found, number)?;
            if warm {
                by_seq.record(ended - began);
            }
        }
        for _ in 0..if spec.settings.keys { reads } else { 0 } {
            let number = random.next() % entries;
            let key = key.of(number);
            let began = clock.now();
            let seq = reader.lookup(key)?;
            let looked_up = clock.now();
            let found = reader.read(seq.context("a key is not there")?)?;
            let ended = clock.now();
            expect(found, number)?;
            if warm {
                lookups.record(looked_up - began);
                by_key.record(ended - began);
            }
        }
    }
    outcome.entries = entries;
    outcome.keep("by_seq", by_seq, &[(Figure::SeqP50, 0.5), (Figure::SeqP99, 0.99)]);
    outcome.keep("by_key", by_key, &[(Figure::KeyP50, 0.5), (Figure::KeyP99, 0.99)]);
    outcome.keep("lookup", lookups, &[(Figure::LookupP50, 0.5)]);
    outcome.set(Figure::TimerNs, clock.overhead_ns());
    Ok(())
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
