//! tapline, through its public interface.

pub(super) mod program;
mod reader;
pub(super) mod recovery;

use std::path::Path;

use anyhow::{Context, Result};
use tapline::engine::{CorePin, EventStoreWriter, WaitStrategy, WriterConfig};
use tapline::store::{DiskMode, EventStore, LogConfig, MemoryBackend, MemoryDisk, RedbBackend};
use tapline::{
    Clock, Durability, EntryDraft, HaltSignal, IndexKind, InstanceId, Producer, RunId, RunManifest,
    UnixNanos,
};

use crate::spec::{Disk, PATIENCE, Settings};
use crate::system::{Closed, Lane, Message, Reader, System};

const INSTANCE: &str = "perf";
const KEY_KIND: IndexKind = IndexKind::CLIENT_ORDER_ID;

/// The domain time that a message's number is stored as. Numbers begin with 0, which as a time
/// would mean that the message has none.
fn ts_init_of(number: u64) -> UnixNanos {
    UnixNanos::new(number + 1)
}

/// The number that is stored as this domain time.
fn number_of(ts_init: UnixNanos) -> u64 {
    ts_init.as_u64() - 1
}

/// An open run.
#[derive(Debug)]
pub(super) struct Tapline {
    writer: EventStoreWriter,
}

/// A producer, and what tells how far its messages are durable.
#[derive(Debug)]
pub(super) struct TaplineLane {
    producer: Producer,
    durability: Durability,
}

impl System for Tapline {
    type Lane = TaplineLane;

    fn describe(settings: &Settings) -> String {
        let disk = match settings.disk {
            Disk::Direct => "large writes past the page cache",
            Disk::Logged => "a write-ahead log of 16 MiB; large writes past the page cache",
            Disk::Buffered => "writes through the page cache",
            Disk::Memory => "kept in memory, NOT DURABLE",
        };
        let Settings { batch_bytes, ring_lines, spin, .. } = settings;
        let wait = if *spin { "spins" } else { "spins, yields, parks" };
        let keeps = settings.keep_bytes.map_or_else(String::new, |keep_bytes| {
            format!("; the reader keeps {} MiB of frames", keep_bytes >> 20)
        });
        format!(
            "a commit is what is pending, up to {batch_bytes} B, one sync each; {disk}; \
             rings of {ring_lines} lines; idle writer {wait}; committer on the writer's core{keeps}"
        )
    }

    fn open(dir: &Path, settings: &Settings) -> Result<(Self, Vec<TaplineLane>)> {
        let instance: InstanceId = INSTANCE.parse().context("the instance's name")?;
        let start = UnixNanos::now();
        let manifest = RunManifest::new(instance, RunId::generate(start), start);
        let files = |mode| RedbBackend::with_disk_mode(dir, mode).for_commits(settings.batch_bytes);
        let mut store: Box<dyn EventStore> = match settings.disk {
            Disk::Memory => Box::new(MemoryBackend::new(MemoryDisk::default())),
            Disk::Direct => Box::new(files(DiskMode::Direct)),
            Disk::Logged => Box::new(files(DiskMode::Direct).logged(LogConfig::new(16 << 20))),
            Disk::Buffered => Box::new(files(DiskMode::Buffered)),
        };
        store.open_run(manifest).context("cannot open a run")?;
        let writer = EventStoreWriter::spawn(
            store,
            Clock::Realtime,
            HaltSignal::new(),
            writer_config(settings),
        )
        .context("cannot start the writer")?;
        let lanes = settings.cores.producers.iter().map(|_| {
            let producer = writer.producer().context("cannot make a producer")?;
            let durability = producer.durability();
            Ok(TaplineLane { producer, durability })
        });
        let lanes = lanes.collect::<Result<_>>()?;
        Ok((Self { writer }, lanes))
    }

    fn close(self) -> Result<Closed> {
        let run_ended =
            EntryDraft { topic: "run", payload_type: "RunEnded", ..EntryDraft::default() };
        let report = self.writer.close(&run_ended).context("cannot close the run")?;
        Ok(Closed { entries: report.watermark - 1, commits: None })
    }

    fn reader(dir: &Path, settings: &Settings) -> Result<Box<dyn Reader>> {
        Ok(Box::new(reader::RunReader::open(dir, settings.keep_bytes)?))
    }
}

fn writer_config(settings: &Settings) -> WriterConfig {
    let default = WriterConfig::default();
    WriterConfig {
        halt_threshold: PATIENCE,
        close_timeout: PATIENCE,
        ring_lines: settings.ring_lines,
        batch_bytes_max: settings.batch_bytes,
        writer_core: settings.cores.writer.map_or(CorePin::None, CorePin::Core),
        wait: if settings.spin { WaitStrategy::Spin } else { default.wait },
        ..default
    }
}

impl Lane for TaplineLane {
    #[inline]
    fn push(&mut self, message: &Message<'_>) -> Result<()> {
        let Message { topic, payload_type, number, payload, key } = *message;
        let keys = key.map(|key| [(KEY_KIND, key)]);
        let draft = EntryDraft {
            topic,
            payload_type,
            ts_init: ts_init_of(number),
            payload,
            keys: keys.as_ref().map_or(&[], |keys| keys.as_slice()),
            ..EntryDraft::default()
        };
        self.producer.submit(&draft)?;
        Ok(())
    }

    #[inline]
    fn durable(&self) -> u64 {
        self.durability.durable_ordinal()
    }
}
