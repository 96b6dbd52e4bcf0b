//! How fast a run is scanned and verified, by one thread.

use std::hint::black_box;

use anyhow::{Result, ensure};

use super::writing::write;
use crate::instruments::{TickClock, memory, pin};
use crate::outcome::{Figure, Outcome};
use crate::spec::{Spec, Stop};
use crate::system::{Reader, System};

pub(super) fn run<S: System>(spec: &Spec, stop: Stop, outcome: &mut Outcome) -> Result<()> {
    let written = write::<S>(spec, stop)?;
    let entries = written.entries;
    pin(spec.settings.cores.producers[0])?;
    memory::reset_peak();
    let before_mb = memory::now_mb();
    let mut reader = S::reader(&spec.dir, &spec.settings)?;
    let clock = TickClock::new();
    // Once to fill the page cache, which systems that write past it have not done.
    scan(&mut *reader, entries)?;

    let began = clock.now();
    scan(&mut *reader, entries)?;
    let scanned = clock.now();
    let verified = reader.verify()?;
    let ended = clock.now();

    let per_s = |count: u64, nanos: u64| count as f64 * 1e9 / nanos as f64;
    outcome.entries = entries;
    outcome.set(Figure::ScanPerS, per_s(entries, scanned - began));
    if let Some(verified) = verified {
        ensure!(verified == entries, "{entries} entries were written, {verified} verified");
        outcome.set(Figure::VerifyPerS, per_s(entries, ended - scanned));
        let bytes = entries * spec.settings.payload_bytes as u64;
        outcome.set(Figure::VerifyGbPerS, per_s(bytes, ended - scanned) / 1e9);
    }
    outcome.set(Figure::ReaderMb, memory::rise_mb(before_mb));
    Ok(())
}

fn scan(reader: &mut dyn Reader, entries: u64) -> Result<()> {
    let mut bytes = 0;
    let scanned = reader.scan(&mut |stored| bytes += black_box(stored.payload).len())?;
    ensure!(scanned == entries, "{entries} entries were written, {scanned} scanned");
    black_box(bytes);
    Ok(())
}
