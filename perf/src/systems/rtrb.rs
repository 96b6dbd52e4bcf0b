//! The limit of capture: a message's lines pushed into a bare ring, with one copy and nothing else.
//! A thread takes them out, looks at each and throws it away.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::instruments::pin;
use crate::spec::Settings;
use crate::system::{Closed, Lane, Message, Reader, System};

/// A cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Line([u64; 8]);

/// The thread that empties the rings.
#[derive(Debug)]
pub(super) struct BareRing {
    drain: JoinHandle<Result<u64>>,
    lines: usize,
}

#[derive(Debug)]
pub(super) struct BareRingLane {
    ring: Producer<Line>,
    /// A message's lines; only the number in the first one changes.
    record: Vec<Line>,
    /// Lines taken out.
    drained: Arc<AtomicU64>,
}

impl System for BareRing {
    type Lane = BareRingLane;

    fn describe(settings: &Settings) -> String {
        format!(
            "rtrb rings of {} lines; LIMIT: what is taken out is thrown away, nothing is durable",
            settings.ring_lines
        )
    }

    fn open(_: &Path, settings: &Settings) -> Result<(Self, Vec<BareRingLane>)> {
        let lines = settings.record_bytes() / 64;
        ensure!(lines <= settings.ring_lines, "a record does not fit into a ring");
        let mut lanes = Vec::new();
        let mut rings = Vec::new();
        for _ in &settings.cores.producers {
            let (mut ring, mut consumer) = RingBuffer::new(settings.ring_lines);
            // Touched once, so that the first round takes no page faults.
            while ring.push(Line([1; 8])).is_ok() {}
            while consumer.pop().is_ok() {}
            let drained = Arc::new(AtomicU64::new(0));
            rings.push((consumer, Arc::clone(&drained)));
            lanes.push(BareRingLane { ring, record: vec![Line([7; 8]); lines], drained });
        }
        let core = settings.cores.writer;
        let drain = std::thread::Builder::new()
            .name("drain".to_owned())
            .spawn(move || {
                pin(core)?;
                Ok(drain(rings))
            })
            .context("cannot start the thread that empties the rings")?;
        Ok((Self { drain, lines }, lanes))
    }

    fn close(self) -> Result<Closed> {
        let lines = self.drain.join().map_err(|_| anyhow!("the draining thread panicked"))??;
        Ok(Closed { entries: lines / self.lines as u64, commits: None })
    }

    fn reader(_: &Path, _: &Settings) -> Result<Box<dyn Reader>> {
        bail!("the bare ring stores no messages")
    }
}

/// Empties the rings until their producers are gone; returns how many lines there were.
fn drain(mut rings: Vec<(Consumer<Line>, Arc<AtomicU64>)>) -> u64 {
    let mut all = 0;
    while !rings.is_empty() {
        let before = all;
        rings.retain_mut(|(ring, drained)| {
            // Before the slots: what was pushed before it was dropped is seen.
            let abandoned = ring.is_abandoned();
            let slots = ring.slots();
            if slots > 0
                && let Ok(chunk) = ring.read_chunk(slots)
            {
                let (first, second) = chunk.as_slices();
                let sum = first.iter().chain(second).fold(0, |sum, line| sum ^ line.0[0]);
                black_box(sum);
                chunk.commit_all();
                all += slots as u64;
                drained.fetch_add(slots as u64, Ordering::Release);
            }
            slots > 0 || !abandoned
        });
        if all == before {
            std::thread::yield_now();
        }
    }
    all
}

impl Lane for BareRingLane {
    #[inline]
    fn push(&mut self, message: &Message<'_>) -> Result<()> {
        self.record[0].0[0] = message.number;
        while self.ring.push_entire_slice(&self.record).is_err() {
            ensure!(!self.ring.is_abandoned(), "the draining thread has ended");
            std::hint::spin_loop();
        }
        Ok(())
    }

    #[inline]
    fn durable(&self) -> u64 {
        self.drained.load(Ordering::Acquire) / self.record.len() as u64
    }
}
