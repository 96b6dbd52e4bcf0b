//! nautilus-event-store behind the few calls the comparison makes: one fresh run written through
//! its `EventStoreWriter` over its `RedbBackend`, then the sealed file read back through its
//! `EventStoreReader` and `Verifier`.
//!
//! # Settings
//!
//! All of them are the crate's defaults, taken from `WriterConfig::default()`, which its
//! `EventStoreConfig::default()` repeats for a live node:
//!
//! | setting             | default  | stated in the crate (0.58) at                                |
//! |---------------------|----------|--------------------------------------------------------------|
//! | `channel_capacity`  | 10 000   | `writer::DEFAULT_CHANNEL_CAPACITY`: entries in the bounded `std::sync::mpsc` channel to the writer thread |
//! | `max_batch_entries` | 100      | `writer::DEFAULT_MAX_BATCH_ENTRIES`: entries after which a commit is forced |
//! | `max_batch_latency` | 5 ms     | `writer::DEFAULT_MAX_BATCH_LATENCY`: time a batch may wait to fill, counted from its first entry |
//! | `halt_threshold`    | 250 ms   | `writer::DEFAULT_HALT_THRESHOLD`: a submit that waits longer for room ends the run |
//! | durability          | each commit synced; no setting | README, "Storage model": every commit is `Durability::Immediate`, and the watermark follows the acknowledgement |
//! | redb cache          | redb's own | `RedbBackend::open_run` calls `redb::Database::create` without a builder |
//!
//! [`Options`] changes `halt_threshold` alone, which decides when a stall ends the run and not how
//! fast the run is.
//!
//! # Differences to a live node
//!
//! A node submits through `BusCaptureAdapter`, which looks up an encoder by the message's type and
//! then makes the very call [`Producer::submit_as`] makes; the payload here is encoded already. A
//! node also puts a `RunStarted` entry first. Here it is left out, so that the caller's k-th entry
//! has seq k. `RunEnded` cannot be left out: `EventStoreWriter::close` takes it. It is the last
//! entry of the file; [`Engine::watermark`] before closing does not count it, and [`Sealed::scan`]
//! leaves it out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use nautilus_core::time::{AtomicTime, get_atomic_clock_realtime};
use nautilus_event_store::{
    EntryDraft, EventStore, EventStoreEntry, EventStoreReader, EventStoreWriter, HaltSignal,
    Headers, IndexKey, IndexKind, PayloadType, RedbBackend, RegisteredComponents, RunIdentity,
    RunManifest, RunStatus, ScanDirection, SubmitError, Topic, Verifier, WriterConfig,
    build_run_id,
};

/// The folder below the given one that the run's file is put in: the crate files runs by instance.
const INSTANCE: &str = "peer";

/// The topic and type of the entry that `close` adds.
const RUN_ENDED: (&str, &str) = ("peer.RunEnded", "RunEnded");

/// What a run is opened with other than the crate's defaults.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How long a submit may wait for room in the channel before the run halts.
    pub(crate) halt_threshold: Duration,
}

/// One run being written.
#[derive(Debug)]
pub(crate) struct Engine {
    producer: Producer,
    path: PathBuf,
}

/// Where entries are submitted from; clones go to other threads, and all of them must be gone
/// before [`Engine::close`].
#[derive(Clone, Debug)]
pub(crate) struct Producer {
    writer: Arc<EventStoreWriter>,
    halt: HaltSignal,
    clock: &'static AtomicTime,
}

/// A topic and payload type as the crate holds them: interned, so that an entry carries two
/// pointers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label {
    topic: Topic,
    payload_type: PayloadType,
}

impl Label {
    /// Interns both names. A node does this when it subscribes or registers, not for each message.
    pub(crate) fn new(topic: &str, payload_type: &str) -> Result<Self> {
        Ok(Self { topic: Topic::topic(topic)?, payload_type: PayloadType::from(payload_type) })
    }
}

impl Engine {
    /// Opens a fresh run in `dir`.
    pub(crate) fn open_with(dir: &Path, options: &Options) -> Result<Self> {
        let clock = get_atomic_clock_realtime();
        let identity = RunIdentity::default();
        let manifest = RunManifest {
            run_id: build_run_id(clock.get_time_ns()),
            parent_run_id: None,
            instance_id: INSTANCE.into(),
            binary_hash: identity.binary_hash,
            schema_version: identity.schema_version,
            crate_versions: identity.crate_versions,
            feature_flags: identity.feature_flags,
            adapter_versions: identity.adapter_versions,
            config_hash: identity.config_hash,
            registered_components: RegisteredComponents::default(),
            seed: identity.seed,
            // The comparison's messages are numbered from 0, and their numbers stand for their
            // times.
            start_ts_init: 0.into(),
            end_ts_init: None,
            high_watermark: 0,
            status: RunStatus::Running,
        };
        let mut backend = RedbBackend::new(dir);
        backend
            .open_run(manifest)
            .with_context(|| format!("opening a run in {}", dir.display()))?;
        let path = backend.current_path()?.to_owned();

        let halt = HaltSignal::new();
        let config =
            WriterConfig { halt_threshold: options.halt_threshold, ..WriterConfig::default() };
        let writer = EventStoreWriter::spawn(Box::new(backend), clock, halt.callback(), config)?;
        Ok(Self { producer: Producer { writer: Arc::new(writer), halt, clock }, path })
    }

    /// A handle to submit from, for a thread of its own.
    pub(crate) fn producer(&self) -> Producer {
        self.producer.clone()
    }

    /// The largest seq that is durable, 0 before the first: one atomic load.
    pub(crate) fn watermark(&self) -> u64 {
        self.producer.watermark()
    }

    /// Commits what is queued, seals the run, joins the writer thread, and returns the run's file.
    ///
    /// What is still queued goes into ONE commit together with `RunEnded`, however much it is: to
    /// time commits of the configured size, wait for the watermark first.
    pub(crate) fn close(self) -> Result<PathBuf> {
        let Producer { writer, halt, clock } = self.producer;
        let writer = Arc::try_unwrap(writer).map_err(|writer| {
            anyhow!("{} producers still hold the run", Arc::strong_count(&writer) - 1)
        })?;
        let (topic, payload_type) = RUN_ENDED;
        let run_ended = EntryDraft::without_indices(
            Headers::empty(),
            Topic::topic(topic)?,
            PayloadType::from(payload_type),
            Bytes::new(),
            clock.get_time_ns(),
        );
        writer.close(run_ended).with_context(|| match halt.reason() {
            Some(reason) => format!("closing the run, which halted: {reason:?}"),
            None => "closing the run".into(),
        })?;
        Ok(self.path)
    }
}

impl Producer {
    /// Submits one entry, and waits for room when the channel is full. It returns when the entry is
    /// queued, not when it is durable, and is not told the entry's seq: with one producer that is
    /// the count of its submits, as none is dropped.
    ///
    /// Waiting is 100 µs of sleep between two tries. After `halt_threshold` of it the run halts:
    /// this submit and all later ones fail.
    ///
    /// The names are interned before, as a node has them. The payload is copied once, the key
    /// allocated once; the key's index is the one for client order ids.
    pub(crate) fn submit_as(
        &self,
        Label { topic, payload_type }: Label,
        ts_init: u64,
        payload: &[u8],
        index_key: Option<&str>,
    ) -> Result<()> {
        let index_keys = match index_key {
            Some(key) => vec![IndexKey::new(IndexKind::ClientOrderId, key.to_owned())],
            None => Vec::new(),
        };
        let draft = EntryDraft {
            headers: Headers::empty(),
            topic,
            payload_type,
            payload: Bytes::copy_from_slice(payload),
            ts_init: ts_init.into(),
            index_keys,
        };
        self.writer.submit(draft).map_err(|error| self.refused(error))
    }

    /// The largest seq that is durable, 0 before the first: one atomic load.
    pub(crate) fn watermark(&self) -> u64 {
        self.writer.high_watermark()
    }

    /// A refused submit with why the run halted, which the error alone says for the first one only.
    #[cold]
    fn refused(&self, error: SubmitError) -> anyhow::Error {
        let error = anyhow::Error::new(error);
        match self.halt.reason() {
            Some(reason) => error.context(format!("the run halted: {reason:?}")),
            None => error,
        }
    }
}

/// One sealed run, opened for reading.
#[derive(Debug)]
pub(crate) struct Sealed {
    reader: EventStoreReader<RedbBackend>,
    entries: u64,
    path: PathBuf,
}

/// What the crate's verifier found.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    /// Entries it read, `RunEnded` included.
    pub(crate) entries: u64,
    /// Its findings, in its words; none when the run is clean.
    pub(crate) findings: Vec<String>,
}

impl Sealed {
    /// Opens the file [`Engine::close`] gave. The crate decodes every entry to do so, in search of
    /// the last timestamp: the time this takes grows with the run.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let backend = RedbBackend::open_sealed_file(path)
            .with_context(|| format!("opening the sealed run {}", path.display()))?;
        let reader = EventStoreReader::new(backend);
        let entries = reader.high_watermark()?.checked_sub(1).context("a run without RunEnded")?;
        Ok(Self { reader, entries, path: path.to_owned() })
    }

    /// Hands each submitted entry to `visit`, in order. The crate's scan fetches 1024
    /// entries at a time (`DEFAULT_SCAN_CHUNK_SIZE`), owned, and checks each one's hash.
    pub(crate) fn scan(&self, mut visit: impl FnMut(&EventStoreEntry)) -> Result<u64> {
        let mut scanned = 0;
        if self.entries == 0 {
            return Ok(scanned);
        }
        for entry in self.reader.scan_range(1, self.entries, ScanDirection::Forward) {
            visit(&entry?);
            scanned += 1;
        }
        Ok(scanned)
    }

    /// One entry, its hash checked; `None` past the end.
    pub(crate) fn read(&self, seq: u64) -> Result<Option<EventStoreEntry>> {
        Ok(self.reader.scan_seq(seq)?)
    }

    /// The seq of the first entry submitted under `key`.
    pub(crate) fn lookup(&self, key: &str) -> Result<Option<u64>> {
        Ok(self.reader.lookup(IndexKind::ClientOrderId, key)?)
    }

    /// Runs the crate's own verifier over the file, through a handle of its own: opening included,
    /// as with its `verify` program, but in this process.
    pub(crate) fn verify(&self) -> Result<Verified> {
        let report = Verifier::open_redb_file(&self.path)?.verify()?;
        ensure!(report.status == RunStatus::Ended, "the run is {:?}, not Ended", report.status);
        Ok(Verified {
            entries: report.entries_scanned,
            findings: report.findings.iter().map(|finding| format!("{finding:?}")).collect(),
        })
    }
}
