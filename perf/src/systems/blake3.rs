//! The limit of hashing: BLAKE3 over a buffer large enough for all of its vector lanes.

use std::hint::black_box;

use anyhow::{Result, bail};

use crate::instruments::{TickClock, pin};
use crate::outcome::{Figure, Outcome};
use crate::spec::{Measure, Spec};

const BUFFER: usize = 1 << 20;

pub(super) fn measure(spec: &Spec) -> Result<Outcome> {
    let Measure::Saturated { stop } = spec.measure else {
        bail!("blake3 hashes as fast as it can, and nothing else");
    };
    pin(spec.settings.cores.writer)?;
    let buffer: Vec<u8> = (0..=u8::MAX).cycle().take(BUFFER).collect();
    let clock = TickClock::new();
    let began = clock.now();
    let mut hashed = 0;
    let elapsed = loop {
        black_box(blake3::hash(black_box(&buffer)));
        hashed += BUFFER;
        let elapsed = clock.now() - began;
        if elapsed as f64 >= stop.seconds * 1e9 {
            break elapsed;
        }
    };
    let described = "blake3::hash of 1 MiB in cache, one thread".to_owned();
    let mut outcome = Outcome::new(&spec.system, described);
    outcome.set(Figure::HashGbPerS, hashed as f64 / elapsed as f64);
    Ok(outcome)
}
