//! Whether a system stored exactly what was pushed.

use std::fmt::Write;

use anyhow::{Result, bail, ensure};

use super::payload::{Key, expect_message, no_problems, payload};
use crate::outcome::Outcome;
use crate::spec::Spec;
use crate::system::System;

/// Reads everything back: every message of every producer once and in its order, with its bytes,
/// its place gap-free from 1, and its key, if it has one, leading to that place.
pub(super) fn everything_is_stored<S: System>(spec: &Spec, outcome: &Outcome) -> Result<()> {
    let mut reader = S::reader(&spec.dir, &spec.settings)?;
    let payload = payload(&spec.settings);
    let lanes = spec.settings.cores.producers.len() as u64;
    let mut problems = String::new();
    let mut expected_seq = 1;
    // The next message of each producer; a message's number is its index * producers + producer.
    let mut next: Vec<u64> = (0..lanes).collect();
    let mut places = Vec::new();
    let scanned = reader.scan(&mut |stored| {
        expect_message(stored, &payload, &mut problems);
        let next = &mut next[(stored.number % lanes) as usize];
        if (stored.seq != expected_seq || stored.number != *next) && problems.len() < 200 {
            let (seq, number) = (stored.seq, stored.number);
            let _ = write!(
                problems,
                "entry {seq} where {expected_seq} belongs, message {number} where {next} belongs; "
            );
        }
        expected_seq += 1;
        *next += lanes;
        places.push((stored.number, stored.seq));
    })?;
    no_problems(&problems)?;
    let entries = outcome.entries;
    ensure!(scanned == entries, "{entries} entries were pushed, {scanned} were read back");
    if let Some(verified) = reader.verify()? {
        ensure!(verified == entries, "{entries} entries were pushed, {verified} were verified");
    }
    let mut key = Key::default();
    for (number, seq) in places {
        if reader.read(seq)? != Some(number) {
            bail!("reading entry {seq} does not give message {number}");
        }
        if spec.settings.keys && reader.lookup(key.of(number))? != Some(seq) {
            bail!("the key of message {number} does not lead to entry {seq}");
        }
    }
    Ok(())
}
