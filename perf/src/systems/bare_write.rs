//! The limits of the disk: one thread that writes and syncs as many bytes as messages would take,
//! in the same natural batches as an engine, or one block a commit however many messages wait, and
//! does nothing else. No message is copied anywhere.

mod file;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, bail, ensure};

use self::file::{BLOCK, PreparedFile};
use crate::instruments::{Latencies, TickClock, pin};
use crate::spec::Settings;
use crate::system::{Closed, Lane, Message, Reader, System};

/// What tapline stores of a message besides its lines: hash and offset.
const HASH_AND_OFFSET_BYTES: usize = 36;
/// What it stores of a key in its index, before rows are merged.
const KEY_ROW_BYTES: usize = 16;

/// The limit of throughput.
pub(super) type BareWrite = Bare<false>;
/// The limit of acknowledgement.
pub(super) type BareBlock = Bare<true>;

/// The writer and what it shares with the producers.
#[derive(Debug)]
pub(super) struct Bare<const ONE_BLOCK: bool> {
    writer: JoinHandle<Result<Closed>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    lanes: Vec<Counts>,
    closing: AtomicBool,
    /// The writer has ended, for whatever reason.
    ended: AtomicBool,
}

/// Messages of one producer so far. Each count on cache lines of its own.
#[derive(Debug, Default)]
struct Counts {
    pushed: Padded,
    /// Taken up by a commit that has begun: they leave room for others, as with a ring.
    taken: Padded,
    durable: Padded,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(AtomicU64);

#[derive(Debug)]
pub(super) struct BareWriteLane {
    shared: Arc<Shared>,
    number: usize,
    pushed: u64,
    /// Taken when last looked.
    taken: u64,
    /// Messages that may be pushed and not taken.
    window: u64,
}

impl<const ONE_BLOCK: bool> System for Bare<ONE_BLOCK> {
    type Lane = BareWriteLane;

    fn describe(settings: &Settings) -> String {
        let bytes = if ONE_BLOCK {
            format!("one block of {BLOCK} B, however much is pending")
        } else {
            format!("what is pending, up to {} B, in blocks of {BLOCK} B", settings.batch_bytes)
        };
        let blocks = if ONE_BLOCK {
            "blocks written before, 16 MiB in a circle"
        } else {
            "blocks fallocated 1 GiB at a time, not written before"
        };
        format!(
            "pwrite and fdatasync of {bytes}, O_DIRECT, one behind the other; {blocks}; LIMIT: no \
             message is stored"
        )
    }

    fn open(dir: &Path, settings: &Settings) -> Result<(Self, Vec<BareWriteLane>)> {
        let key_row = if settings.keys { KEY_ROW_BYTES } else { 0 };
        let record = settings.record_bytes() + HASH_AND_OFFSET_BYTES + key_row;
        ensure!(record <= settings.batch_bytes, "a record does not fit into a commit");
        let bytes_max = if ONE_BLOCK { BLOCK } else { settings.batch_bytes };
        let path = dir.join("bare");
        let file = if ONE_BLOCK {
            PreparedFile::circle(&path)?
        } else {
            PreparedFile::create(&path, bytes_max)?
        };
        let producers = settings.cores.producers.len();
        let lanes = (0..producers).map(|_| Counts::default()).collect();
        let (closing, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        let shared = Arc::new(Shared { lanes, closing, ended });
        // As with the engine: a ring's worth can wait while a commit's worth is on its way.
        let window = (settings.batch_bytes + settings.ring_lines * 64) / record;
        let window = window.max(1) as u64;
        let lane = |number| {
            let shared = Arc::clone(&shared);
            BareWriteLane { shared, number, pushed: 0, taken: 0, window }
        };
        let lanes = (0..producers).map(lane).collect();
        let core = settings.cores.writer;
        let commit = if ONE_BLOCK {
            CommitSize::OneBlock
        } else {
            CommitSize::Pending { record, messages_max: (bytes_max / record) as u64 }
        };
        let theirs = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                let _ended = SetAtEnd(&theirs.ended);
                pin(core)?;
                Writer { shared: Arc::clone(&theirs), file, commit }.run()
            })
            .context("cannot start the writer")?;
        Ok((Self { writer, shared }, lanes))
    }

    fn close(self) -> Result<Closed> {
        self.shared.closing.store(true, Ordering::Release);
        self.writer.join().map_err(|_| anyhow!("the writer panicked"))?
    }

    fn reader(_: &Path, _: &Settings) -> Result<Box<dyn Reader>> {
        bail!("the bare write stores no messages")
    }
}

/// Tells the producers, however the writer ends.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

struct Writer {
    shared: Arc<Shared>,
    file: PreparedFile,
    commit: CommitSize,
}

/// How much a commit writes.
#[derive(Debug, Clone, Copy)]
enum CommitSize {
    /// One block, for all messages that wait.
    OneBlock,
    /// As much as the messages take.
    Pending {
        /// Bytes of one message.
        record: usize,
        /// The most messages in one commit.
        messages_max: u64,
    },
}

impl CommitSize {
    fn messages_max(self) -> u64 {
        match self {
            Self::OneBlock => u64::MAX,
            Self::Pending { messages_max, .. } => messages_max,
        }
    }

    fn bytes(self, messages: u64) -> usize {
        match self {
            Self::OneBlock => BLOCK,
            Self::Pending { record, .. } => (messages as usize * record).next_multiple_of(BLOCK),
        }
    }
}

impl Writer {
    fn run(mut self) -> Result<Closed> {
        let clock = TickClock::new();
        let mut commits = Latencies::new();
        let mut done = vec![0; self.shared.lanes.len()];
        loop {
            // Before the counts: what was pushed before closing is seen.
            let closing = self.shared.closing.load(Ordering::Acquire);
            let taken = self.take(&done);
            let count: u64 = taken.iter().zip(&done).map(|(taken, done)| taken - done).sum();
            if count == 0 {
                if closing {
                    self.file.finish()?;
                    return Ok(Closed { entries: done.iter().sum(), commits: Some(commits) });
                }
                std::thread::yield_now();
                continue;
            }
            for (lane, taken) in self.shared.lanes.iter().zip(&taken) {
                lane.taken.0.store(*taken, Ordering::Release);
            }
            let began = clock.now();
            self.file.append(self.commit.bytes(count))?;
            commits.record(clock.now() - began);
            for (lane, taken) in self.shared.lanes.iter().zip(&taken) {
                lane.durable.0.store(*taken, Ordering::Release);
            }
            done = taken;
        }
    }

    /// Counts up to which to commit next.
    fn take(&self, done: &[u64]) -> Vec<u64> {
        let mut room = self.commit.messages_max();
        let lanes = self.shared.lanes.iter().zip(done);
        let taken = lanes.map(|(lane, done)| {
            let pending = lane.pushed.0.load(Ordering::Acquire) - done;
            let taken = pending.min(room);
            room -= taken;
            done + taken
        });
        taken.collect()
    }
}

impl Lane for BareWriteLane {
    #[inline]
    fn push(&mut self, _: &Message<'_>) -> Result<()> {
        while self.pushed - self.taken >= self.window {
            self.taken = self.shared.lanes[self.number].taken.0.load(Ordering::Acquire);
            ensure!(!self.shared.ended.load(Ordering::Acquire), "the writer has ended");
            std::hint::spin_loop();
        }
        self.pushed += 1;
        self.shared.lanes[self.number].pushed.0.store(self.pushed, Ordering::Release);
        Ok(())
    }

    #[inline]
    fn durable(&self) -> u64 {
        self.shared.lanes[self.number].durable.0.load(Ordering::Acquire)
    }
}
