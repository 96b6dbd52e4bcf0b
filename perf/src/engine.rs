use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;
use tapline::store::{DiskMode, EventStore, MemoryBackend, MemoryDisk, RedbBackend, run_path};
use tapline::writer::{EventStoreWriter, WaitStrategy, WriterConfig};
use tapline::{Clock, EntryDraft, HaltSignal, InstanceId, Producer, RunId, RunManifest, UnixNanos};
use tempfile::TempDir;

use crate::cores::{CoreChoice, Placement};

/// How long the disk may stall before the run halts, and how long to wait for durability. A
/// measurement should report a stall, not die of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The engine that is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct EngineArgs {
    /// Bytes of payload in each entry
    #[arg(long, default_value_t = 256, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) payload: u32,
    /// Producers, each on a thread of its own
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) producers: u16,
    /// Where run files are written, and deleted again [default: target/perf]
    #[arg(long, conflicts_with = "memory")]
    dir: Option<PathBuf>,
    /// How run files are written
    #[arg(long, value_enum, default_value_t = DiskArg::Direct, conflicts_with = "memory")]
    disk_mode: DiskArg,
    /// Keep entries in memory instead of files
    #[arg(long)]
    memory: bool,
    /// The most bytes in one commit
    #[arg(long, default_value_t = WriterConfig::default().batch_bytes_max, value_name = "BYTES")]
    batch_bytes: usize,
    /// Lines of 64 bytes in each producer's ring
    #[arg(long, default_value_t = WriterConfig::default().ring_lines, value_name = "LINES")]
    ring_lines: usize,
    /// Let the writer spin when idle, instead of yielding and sleeping
    #[arg(long)]
    spin: bool,
    /// The writer's core, or `none` [default: the last, where there are two or more]
    #[arg(long, value_name = "CORE")]
    writer_core: Option<CoreChoice>,
    /// The first producer's core, or `none`; further producers take the next ones, except the
    /// writer's [default: the first, where there are two or more]
    #[arg(long, value_name = "CORE")]
    producer_core: Option<CoreChoice>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DiskArg {
    Direct,
    Buffered,
}

/// Opens runs of the engine, one after the other, in a folder that goes away with this value.
#[derive(Debug)]
pub(crate) struct EngineSetup {
    pub(crate) settings: EngineSettings,
    dir: TempDir,
}

/// The settings runs are opened with.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EngineSettings {
    pub(crate) payload_bytes: usize,
    pub(crate) cores: Placement,
    /// `None` for the memory backend.
    pub(crate) disk_mode: Option<DiskMode>,
    pub(crate) writer: WriterConfig,
}

impl EngineSetup {
    pub(crate) fn new(args: &EngineArgs) -> Result<Self> {
        let cores = Placement::new(args.producers.into(), args.producer_core, args.writer_core)?;
        let parent = args.dir.clone().unwrap_or_else(|| Path::new("target").join("perf"));
        let dir = fs::create_dir_all(&parent)
            .and_then(|()| tempfile::Builder::new().prefix("run-").tempdir_in(&parent))
            .with_context(|| {
                format!("cannot make a folder for run files in {}", parent.display())
            })?;
        let default = WriterConfig::default();
        let writer = WriterConfig {
            halt_threshold: PATIENCE,
            close_timeout: PATIENCE,
            ring_lines: args.ring_lines,
            batch_bytes_max: args.batch_bytes,
            writer_core: cores.writer,
            wait: if args.spin { WaitStrategy::Spin } else { default.wait },
            ..default
        };
        let disk_mode = match (args.memory, args.disk_mode) {
            (true, _) => None,
            (false, DiskArg::Direct) => Some(DiskMode::Direct),
            (false, DiskArg::Buffered) => Some(DiskMode::Buffered),
        };
        let settings =
            EngineSettings { payload_bytes: args.payload as usize, cores, disk_mode, writer };
        Ok(Self { settings, dir })
    }

    /// The folder run files are written to.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Opens a new run.
    pub(crate) fn open(&self) -> Result<Engine> {
        let instance: InstanceId = "perf".parse().context("the instance's name")?;
        let start = UnixNanos::now();
        let manifest = RunManifest::new(instance.clone(), RunId::generate(start), start);
        let (mut store, file): (Box<dyn EventStore>, _) = match self.settings.disk_mode {
            None => (Box::new(MemoryBackend::new(MemoryDisk::default())), None),
            Some(mode) => {
                let path = run_path(self.dir(), &instance, manifest.run_id);
                (Box::new(RedbBackend::with_disk_mode(self.dir(), mode)), Some(path))
            }
        };
        store.open_run(manifest).context("cannot open a run")?;
        let config = self.settings.writer.clone();
        let writer = EventStoreWriter::spawn(store, Clock::Realtime, HaltSignal::new(), config)
            .context("cannot start the writer")?;
        Ok(Engine { writer, file })
    }
}

/// An open run.
#[derive(Debug)]
pub(crate) struct Engine {
    writer: EventStoreWriter,
    file: Option<PathBuf>,
}

/// How large a run file is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileSize {
    /// Its length.
    pub(crate) len: u64,
    /// What it takes on the disk: less than its length where nothing was written yet. `None` on
    /// systems that do not tell.
    pub(crate) allocated: Option<u64>,
}

impl FileSize {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let allocated = Some(std::os::unix::fs::MetadataExt::blocks(metadata) * 512);
        #[cfg(not(unix))]
        let allocated = None;
        Self { len: metadata.len(), allocated }
    }
}

impl Engine {
    pub(crate) fn producer(&self) -> Result<Producer> {
        self.writer.producer().context("cannot make a producer")
    }

    /// Closes the run, checks that it holds `entries` entries besides the closing one, deletes its
    /// file and returns how large that was; `None` without a file.
    pub(crate) fn close(self, entries: u64) -> Result<Option<FileSize>> {
        let run_ended =
            EntryDraft { topic: "run", payload_type: "RunEnded", ..EntryDraft::default() };
        let report = self.writer.close(&run_ended).context("cannot close the run")?;
        let watermark = report.watermark;
        ensure!(watermark == entries + 1, "{entries} entries went in, {watermark} - 1 are durable");
        let Some(path) = self.file else {
            return Ok(None);
        };
        let size = fs::metadata(&path)
            .and_then(|metadata| fs::remove_file(&path).map(|()| FileSize::of(&metadata)))
            .with_context(|| format!("cannot measure and delete {}", path.display()))?;
        Ok(Some(size))
    }
}

impl EngineSettings {
    /// A payload as configured.
    pub(crate) fn payload(&self) -> Vec<u8> {
        (0..=u8::MAX).cycle().take(self.payload_bytes).collect()
    }

    /// One line for people.
    pub(crate) fn summary(&self) -> String {
        let EngineSettings { payload_bytes, cores, disk_mode, writer } = self;
        let disk = match disk_mode {
            None => "in memory",
            Some(DiskMode::Direct) => "direct disk mode",
            Some(DiskMode::Buffered) => "buffered disk mode",
        };
        let core =
            |core: Option<usize>| core.map_or("any core".to_owned(), |core| core.to_string());
        let producers: Vec<String> = cores.producers.iter().copied().map(core).collect();
        format!(
            "payload {payload_bytes} B, producers on {}, writer on {}, rings of {} lines, commits up \
             to {} B, {disk}, wait {:?}",
            producers.join(" "),
            core(cores.writer),
            writer.ring_lines,
            writer.batch_bytes_max,
            writer.wait,
        )
    }
}

/// The message that is submitted over and over; `number` becomes its domain time.
#[inline]
pub(crate) fn draft(payload: &[u8], number: u64) -> EntryDraft<'_> {
    EntryDraft {
        topic: "orders.sim.es",
        payload_type: "OrderAdded",
        ts_init: UnixNanos::new(number),
        payload,
        ..EntryDraft::default()
    }
}
