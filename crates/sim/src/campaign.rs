//! Seeds, one after the other, on as many threads as there are processors.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::crash::Scratch;

/// What was done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) seeds: u64,
    /// How many different disks power cuts left behind.
    pub(crate) cuts: u64,
    /// How many boots were themselves cut off.
    pub(crate) boots_cut: u64,
    /// How many disk operations failed.
    pub(crate) faults: u64,
    /// How many of these failures were reported at once. The others hit the closing of a file.
    pub(crate) faults_told: u64,
    pub(crate) operations_under_fault: u64,
    /// How many bits flipped.
    pub(crate) flips: u64,
    /// How many of these flips were reported. The others are in bytes that nothing refers to any
    /// more.
    pub(crate) flips_told: u64,
    pub(crate) steps: u64,
    pub(crate) reboots: u64,
    /// Of all histories together. Equal seeds and steps give equal fingerprints.
    pub(crate) fingerprint: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.cuts += other.cuts;
        self.boots_cut += other.boots_cut;
        self.faults += other.faults;
        self.faults_told += other.faults_told;
        self.operations_under_fault += other.operations_under_fault;
        self.flips += other.flips;
        self.flips_told += other.flips_told;
        self.steps += other.steps;
        self.reboots += other.reboots;
        self.fingerprint ^= other.fingerprint;
    }
}

/// How far a campaign goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) first_seed: u64,
    pub(crate) seeds: u64,
    /// No seed is begun after this time.
    pub(crate) time: Duration,
}

/// Runs `work` for each seed. Returns what was done, and the first failures with their seeds.
pub(crate) fn run(
    extent: Extent,
    work: impl Fn(u64, &Scratch, &mut Counts) -> Result<(), String> + Sync,
) -> (Counts, Vec<(u64, String)>) {
    let began = Instant::now();
    let (next, has_failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let total = Mutex::new((Counts::default(), Vec::new()));
    let worker = || {
        let scratch = Scratch::new();
        while !has_failed.load(Ordering::Relaxed) && began.elapsed() < extent.time {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= extent.seeds {
                return;
            }
            let seed = extent.first_seed + number;
            let mut counts = Counts { seeds: 1, ..Counts::default() };
            let outcome = work(seed, &scratch, &mut counts);
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            total.0.add(&counts);
            if let Err(error) = outcome {
                has_failed.store(true, Ordering::Relaxed);
                total.1.push((seed, error));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(worker);
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}
