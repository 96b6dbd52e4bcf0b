use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tapline::engine::{EventStoreWriter, SpawnError, WriterConfig};
use tapline::read::{Direction, EventStoreReader};
use tapline::store::{EventStore, MemoryBackend, MemoryDisk, RunReader};
use tapline::{Clock, Entry, EntryDraft, HaltSignal};

use super::manifest;

/// Starts a writer in one of its modes.
pub(crate) type Start = fn(
    Box<dyn EventStore>,
    Clock,
    HaltSignal,
    WriterConfig,
) -> Result<EventStoreWriter, SpawnError>;

/// With a thread, and inline.
pub(crate) const MODES: [Start; 2] = [EventStoreWriter::spawn, EventStoreWriter::inline];

/// A writer over a store in memory, with the store's read side and the run's halt signal.
pub(crate) struct Engine {
    pub(crate) writer: EventStoreWriter,
    pub(crate) reader: Arc<dyn RunReader>,
    pub(crate) halt: HaltSignal,
}

impl Engine {
    /// Over a plain memory backend.
    pub(crate) fn start(config: WriterConfig) -> Self {
        Self::start_on(Box::new(MemoryBackend::new(MemoryDisk::default())), config)
    }

    /// Over `store`, on which a new run is opened.
    pub(crate) fn start_on(store: Box<dyn EventStore>, config: WriterConfig) -> Self {
        Self::start_with_halt(store, config, HaltSignal::new())
    }

    pub(crate) fn start_with_halt(
        mut store: Box<dyn EventStore>,
        config: WriterConfig,
        halt: HaltSignal,
    ) -> Self {
        store.open_run(manifest(1)).expect("a new run");
        let reader = store.reader().expect("a run is open");
        let writer = EventStoreWriter::spawn(store, Clock::Realtime, halt.clone(), config)
            .expect("the run is open and the settings are valid");
        Self { writer, reader, halt }
    }

    /// Closes the run in order. Returns the final watermark.
    pub(crate) fn close(self) -> u64 {
        self.writer.close(&ended()).expect("nothing fails").watermark
    }
}

/// A message with only topic and payload.
pub(crate) fn draft<'a>(topic: &'a str, payload: &'a [u8]) -> EntryDraft<'a> {
    EntryDraft { topic, payload_type: "Test", payload, ..EntryDraft::default() }
}

/// The last entry.
pub(crate) fn ended() -> EntryDraft<'static> {
    EntryDraft { topic: "run.ended", payload_type: "RunEnded", ..EntryDraft::default() }
}

/// All entries of the run, in order. Checks that `seq` counts from 1 without a gap.
pub(crate) fn entries(reader: &Arc<dyn RunReader>) -> Vec<Entry> {
    let scan = EventStoreReader::new(Arc::clone(reader)).scan(1, u64::MAX, Direction::Forward);
    let entries: Vec<Entry> = scan.map(|entry| entry.expect("a sound entry")).collect();
    for (index, entry) in (1..).zip(&entries) {
        assert_eq!(entry.seq, index);
    }
    entries
}

/// How many entries each topic has. Checks that each topic's payloads count from 0, in order.
pub(crate) fn counts_by_topic(entries: &[Entry]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.topic != "run.ended") {
        let count: &mut u64 = counts.entry(entry.topic.clone()).or_default();
        assert_eq!(entry.payload, count.to_le_bytes().as_slice(), "push order of {}", entry.topic);
        *count += 1;
    }
    counts
}

/// Long enough for everything that is going to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
