//! Runs to join with market data, recorded by the engine.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redb::{Database, TableDefinition};
use tapline::engine::{EventStoreWriter, WriterConfig};
use tapline::internals::format::{KeyBlockId, frames_of_row};
use tapline::read::EventStoreReader;
use tapline::store::{
    BackendFault, EventStore, MemoryBackend, ReadFault, RedbBackend, RunReader, open_sealed,
};
use tapline::{
    Clock, EntryDraft, HaltSignal, Hash, InstanceId, RunId, RunManifest, SimulatedClock,
    SnapshotAnchor, UnixNanos,
};
use tempfile::TempDir;

/// A run in memory whose entries have these times.
pub(crate) fn of(times: &[u64]) -> EventStoreReader {
    EventStoreReader::new(in_memory(times))
}

/// The same run, whose names cannot be read.
pub(crate) fn without_names(times: &[u64]) -> EventStoreReader {
    EventStoreReader::new(Arc::new(Nameless(in_memory(times))))
}

/// A sealed file of as many entries as `times`, which has lost those from `first_lost` on.
pub(crate) fn cut_short(times: &[u64], first_lost: u64) -> (TempDir, EventStoreReader) {
    let folder = tempfile::tempdir().unwrap();
    let (writer, _) = record(Box::new(RedbBackend::new(folder.path())), &times[1..]);
    let run_ended =
        EntryDraft { topic: "run.ended", payload_type: "RunEnded", ..EntryDraft::default() };
    writer.close(&run_ended).unwrap();
    let path = folder.path().join(format!("{}/{}.redb", instance(), run_id()));
    lose_frames(&path, first_lost);
    let reader = open_sealed(folder.path(), &instance(), run_id()).unwrap();
    (folder, EventStoreReader::new(reader))
}

pub(crate) fn run_id() -> RunId {
    "1700000000000000001-00000001".parse().unwrap()
}

fn instance() -> InstanceId {
    "node-1".parse().unwrap()
}

fn in_memory(times: &[u64]) -> Arc<dyn RunReader> {
    record(Box::new(MemoryBackend::default()), times).1
}

/// Records entries of these times, each in a frame of its own.
fn record(mut store: Box<dyn EventStore>, times: &[u64]) -> (EventStoreWriter, Arc<dyn RunReader>) {
    store.open_run(RunManifest::new(instance(), run_id(), run_id().start())).unwrap();
    let reader = store.reader().unwrap();
    let clock = Clock::Simulated(SimulatedClock::default());
    let writer =
        EventStoreWriter::inline(store, clock, HaltSignal::new(), WriterConfig::default()).unwrap();
    let mut producer = writer.producer().unwrap();
    for time in times {
        let ts_init = UnixNanos::new(*time);
        let draft = EntryDraft { topic: "t", payload_type: "T", ts_init, ..EntryDraft::default() };
        producer.submit(&draft).unwrap();
    }
    (writer, reader)
}

fn lose_frames(path: &Path, first_lost: u64) {
    const FRAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("frames");
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut frames = transaction.open_table(FRAMES).unwrap();
    let (first_seq, row) =
        frames.pop_last().unwrap().map(|row| (row.0.value(), row.1.value().to_vec())).unwrap();
    let kept = frames_of_row(first_seq, row.into()).take_while(|frame| frame.0 < first_lost);
    let kept: Vec<u8> = kept.flat_map(|(_, frame)| frame).collect();
    frames.insert(first_seq, &*kept).unwrap();
    drop(frames);
    transaction.commit().unwrap();
}

/// A run whose names cannot be read.
struct Nameless(Arc<dyn RunReader>);

impl RunReader for Nameless {
    fn manifest(&self) -> Result<RunManifest, ReadFault> {
        self.0.manifest()
    }

    fn root(&self) -> Result<Option<Hash>, ReadFault> {
        self.0.root()
    }

    fn watermark(&self) -> Result<u64, ReadFault> {
        self.0.watermark()
    }

    fn anchor(&self) -> Result<Option<SnapshotAnchor>, ReadFault> {
        self.0.anchor()
    }

    fn frame_at_or_before(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        self.0.frame_at_or_before(seq)
    }

    fn frame_at_or_after(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        self.0.frame_at_or_after(seq)
    }

    fn names(&self, _from: u32) -> Result<Vec<(u32, String)>, ReadFault> {
        Err(BackendFault::io(std::io::Error::other("out of order")).into())
    }

    fn indexed(&self, hash: u64, from: u64) -> Result<Option<u64>, ReadFault> {
        self.0.indexed(hash, from)
    }

    fn key_block_at_or_after(
        &self,
        from: KeyBlockId,
    ) -> Result<Option<(KeyBlockId, Bytes)>, ReadFault> {
        self.0.key_block_at_or_after(from)
    }
}
