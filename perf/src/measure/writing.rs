//! Writing a run as fast as the system takes it.

use std::time::Duration;

use anyhow::{Context, Result};

use super::disk::DiskUse;
use super::payload::{Key, message, payload};
use super::producers::{both, on_their_cores, wait_durable};
use crate::instruments::{TickClock, cpu_time, memory};
use crate::spec::{Spec, Stop};
use crate::system::{Closed, Lane, System};

/// A run that was written and closed.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) entries: u64,
    /// From the first push until the last message of every producer was durable.
    pub(super) elapsed_s: f64,
    /// All producers' time until their last push returned.
    pub(super) pushing_ns: u64,
    /// Of all threads until everything was durable.
    pub(super) cpu: Option<Duration>,
    pub(super) producers_cpu: Option<Duration>,
    pub(super) disk: DiskUse,
    pub(super) closed: Closed,
    /// How long closing took.
    pub(super) close_s: f64,
    /// Resident memory at each tenth of the entries.
    pub(super) memory_mb: Vec<f64>,
}

/// How one producer got on; times by the [`TickClock`].
#[derive(Debug)]
struct Share {
    entries: u64,
    began: u64,
    /// When the last push returned.
    pushed: u64,
    /// When the last message was durable.
    durable: u64,
    cpu: Option<Duration>,
    memory_mb: Vec<f64>,
}

/// Opens the system, lets all producers push until `stop`, and closes it.
pub(super) fn write<S: System>(spec: &Spec, stop: Stop) -> Result<Written> {
    let clock = TickClock::new();
    let settings = &spec.settings;
    let (system, lanes) = S::open(&spec.dir, settings).context("cannot open the system")?;
    let pusher = Pusher {
        clock: &clock,
        payload: payload(settings),
        keys: settings.keys,
        producers: lanes.len() as u64,
        stop,
    };
    let cpu_before = cpu_time::of_process();
    let shares = on_their_cores(lanes, &settings.cores, |number, lane| pusher.run(number, lane));
    let cpu = cpu_time::between(cpu_before, cpu_time::of_process());
    let closing = clock.now();
    let closed = close(system, shares.is_err());
    let close_s = (clock.now() - closing) as f64 / 1e9;
    let (closed, shares) = both(closed, shares)?;
    let entries = shares.iter().map(|share| share.entries).sum();
    closed.holds(entries)?;
    let disk = DiskUse::below(&spec.dir).context("cannot measure the system's files")?;

    let began = shares.iter().map(|share| share.began).min().unwrap_or(0);
    let durable = shares.iter().map(|share| share.durable).max().unwrap_or(0);
    Ok(Written {
        entries,
        elapsed_s: (durable - began) as f64 / 1e9,
        pushing_ns: shares.iter().map(|share| share.pushed - share.began).sum(),
        cpu,
        producers_cpu: shares.iter().map(|share| share.cpu).sum(),
        disk,
        closed,
        close_s,
        memory_mb: shares.into_iter().next().map_or_else(Vec::new, |share| share.memory_mb),
    })
}

fn close<S: System>(system: S, failed: bool) -> Result<Closed> {
    let closed = system.close();
    if failed { closed.context("the system failed") } else { closed.context("cannot close") }
}

struct Pusher<'a> {
    clock: &'a TickClock,
    payload: Vec<u8>,
    keys: bool,
    producers: u64,
    stop: Stop,
}

/// How many messages are pushed between two looks at the clock.
const STRIDE: u64 = 64;

impl Pusher<'_> {
    fn run<L: Lane>(&self, producer: u64, mut lane: L) -> Result<Share> {
        let Stop { entries, seconds } = self.stop;
        let share = entries / self.producers + u64::from(producer < entries % self.producers);
        let mut memory_mb = Vec::with_capacity(10);
        let mut key = Key::default();
        let cpu_before = cpu_time::of_thread();
        let began = self.clock.now();
        let deadline = began.saturating_add((seconds * 1e9) as u64);
        let mut pushed = 0;
        while pushed < share && (pushed == 0 || self.clock.now() < deadline) {
            for index in pushed..share.min(pushed + STRIDE) {
                let number = index * self.producers + producer;
                let key = self.keys.then(|| key.of(number));
                lane.push(&message(&self.payload, number, key))?;
            }
            pushed = share.min(pushed + STRIDE);
            let tenths = (u128::from(pushed) * 10 / u128::from(share)) as usize;
            if producer == 0
                && tenths > memory_mb.len()
                && let Some(now_mb) = memory::now_mb()
            {
                memory_mb.resize(tenths, now_mb);
            }
        }
        let returned = self.clock.now();
        wait_durable(&lane, pushed, self.clock)?;
        let durable = self.clock.now();
        let cpu = cpu_time::between(cpu_before, cpu_time::of_thread());
        Ok(Share { entries: pushed, began, pushed: returned, durable, cpu, memory_mb })
    }
}
