//! The peer as the laboratory measures it: with the laboratory's own code, in a process of its own.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, anyhow, ensure};
use perf::{
    Closed, Lane, Message, PATIENCE, PAYLOAD_TYPE, Reader, Settings, Stored, System, TOPIC, pin,
};

use crate::engine::{Engine, Label, Options, Producer, Sealed};

/// An open run.
#[derive(Debug)]
pub(crate) struct Nautilus(Engine);

/// A producer.
#[derive(Debug)]
pub(crate) struct NautilusLane {
    producer: Producer,
    label: Label,
    pushed: u64,
    /// Entries of all producers; `None` where there is only this one.
    all_pushed: Option<Arc<AtomicU64>>,
}

impl System for Nautilus {
    type Lane = NautilusLane;

    fn describe(_: &Settings) -> String {
        "nautilus-event-store 0.58, its defaults: up to 100 entries a commit, 5 ms to fill it, each \
         commit synced (Durability::Immediate); behind its channel of 10000"
            .to_owned()
    }

    fn open(dir: &Path, settings: &Settings) -> Result<(Self, Vec<NautilusLane>)> {
        let options = Options { halt_threshold: PATIENCE };
        let core = settings.cores.writer;
        // It cannot be told where its writer runs, but a thread inherits the core of the one that
        // starts it.
        let engine = std::thread::scope(|scope| {
            let opening = scope.spawn(|| {
                pin(core)?;
                Engine::open_with(dir, &options)
            });
            opening.join().map_err(|_| anyhow!("opening panicked"))?
        })?;
        let producers = settings.cores.producers.len();
        let all_pushed = (producers > 1).then(Arc::<AtomicU64>::default);
        let lane = || {
            Ok(NautilusLane {
                producer: engine.producer(),
                label: Label::new(TOPIC, PAYLOAD_TYPE)?,
                pushed: 0,
                all_pushed: all_pushed.clone(),
            })
        };
        let lanes = (0..producers).map(|_| lane()).collect::<Result<_>>()?;
        Ok((Self(engine), lanes))
    }

    fn close(self) -> Result<Closed> {
        // Everything is durable already; what closing adds is `RunEnded`.
        let entries = self.0.watermark();
        self.0.close()?;
        Ok(Closed { entries, commits: None })
    }

    fn reader(dir: &Path, _: &Settings) -> Result<Box<dyn Reader>> {
        let path = run_file(dir)?.context("there is no run file")?;
        Ok(Box::new(SealedRun(Sealed::open(&path)?)))
    }
}

/// The only redb file below `dir`.
fn run_file(dir: &Path) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            if let Some(found) = run_file(&path)? {
                return Ok(Some(found));
            }
        } else if path.extension().is_some_and(|extension| extension == "redb") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

impl Lane for NautilusLane {
    #[inline]
    fn push(&mut self, message: &Message<'_>) -> Result<()> {
        let Message { number, payload, key, .. } = *message;
        // Counted before: whoever sees the watermark reach the count has all of them behind it.
        self.pushed += 1;
        if let Some(all_pushed) = &self.all_pushed {
            all_pushed.fetch_add(1, Ordering::Relaxed);
        }
        self.producer.submit_as(self.label, number, payload, key)
    }

    /// The crate tells how much is durable of all producers' entries together, and no entry's seq.
    /// So with several producers this lane's count is known only when nothing is pending.
    #[inline]
    fn durable(&self) -> u64 {
        let watermark = self.producer.watermark();
        match &self.all_pushed {
            None => watermark,
            Some(all_pushed) if watermark >= all_pushed.load(Ordering::Relaxed) => self.pushed,
            Some(_) => 0,
        }
    }
}

struct SealedRun(Sealed);

impl Reader for SealedRun {
    fn scan(&mut self, each: &mut dyn FnMut(&Stored<'_>)) -> Result<u64> {
        self.0.scan(|entry| {
            each(&Stored {
                seq: entry.seq,
                number: entry.ts_init.as_u64(),
                topic: entry.topic.as_ref(),
                payload_type: entry.payload_type.as_ref(),
                payload: &entry.payload,
            });
        })
    }

    /// Opening a handle of its own included, which the crate's verifier does.
    fn verify(&mut self) -> Result<Option<u64>> {
        let verified = self.0.verify()?;
        ensure!(verified.findings.is_empty(), "findings in a fresh run: {:?}", verified.findings);
        Ok(Some(verified.entries - 1))
    }

    fn read(&mut self, seq: u64) -> Result<Option<u64>> {
        Ok(self.0.read(seq)?.map(|entry| {
            black_box(&entry.payload[..]);
            entry.ts_init.as_u64()
        }))
    }

    fn lookup(&mut self, key: &str) -> Result<Option<u64>> {
        self.0.lookup(key)
    }
}
