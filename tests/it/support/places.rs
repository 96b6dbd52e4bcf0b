use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapline::internals::format::{KeyBlock, KeyBlockId, KeyTier};
use tapline::internals::run_path;
use tapline::store::{
    DiskMode, EventStore, LogConfig, MemoryBackend, MemoryDisk, RedbBackend, RunReader, SealedRun,
    open_sealed_file,
};
use tapline::{InstanceId, RunId, RunManifest, RunStatus, UnixNanos};
use tempfile::TempDir;

use super::{FrameMaker, Message};

/// A place that runs can be recorded to, and where a later backend finds them.
#[derive(Debug)]
pub(crate) enum Place {
    /// Memory.
    Memory(MemoryDisk),
    /// A folder of its own.
    Disk(TempDir, DiskMode),
    /// The same, with a write-ahead log in front of each run's file.
    Logged(TempDir, DiskMode),
}

impl Place {
    pub(crate) fn memory() -> Self {
        Self::Memory(MemoryDisk::default())
    }

    pub(crate) fn disk(mode: DiskMode) -> Self {
        Self::Disk(tempfile::tempdir().expect("a temporary folder can be made"), mode)
    }

    pub(crate) fn logged(mode: DiskMode) -> Self {
        Self::Logged(tempfile::tempdir().expect("a temporary folder can be made"), mode)
    }

    /// One of each kind.
    pub(crate) fn all() -> [Self; 5] {
        [
            Self::memory(),
            Self::disk(DiskMode::Direct),
            Self::disk(DiskMode::Buffered),
            Self::logged(DiskMode::Direct),
            Self::logged(DiskMode::Buffered),
        ]
    }

    /// A backend on this place; several can be made.
    pub(crate) fn backend(&self) -> Box<dyn EventStore> {
        match self {
            Self::Memory(disk) => Box::new(MemoryBackend::new(disk.clone())),
            Self::Disk(folder, mode) => Box::new(RedbBackend::with_disk_mode(folder.path(), *mode)),
            Self::Logged(folder, mode) => {
                let files = RedbBackend::with_disk_mode(folder.path(), *mode);
                Box::new(files.logged(LogConfig::new(64 << 10)))
            }
        }
    }

    /// A backend with run `n` open, as [`manifest`] describes it.
    pub(crate) fn open(&self, n: u32) -> Box<dyn EventStore> {
        let mut store = self.backend();
        store.open_run(manifest(n)).expect("the run opens");
        store
    }

    /// The folder of a place on disk.
    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::Memory(_) => panic!("memory has no folder"),
            Self::Disk(folder, _) | Self::Logged(folder, _) => folder.path(),
        }
    }
}

/// The instance of all runs in these tests.
pub(crate) fn instance() -> InstanceId {
    "node-1".parse().expect("a valid instance id")
}

/// The id of run `n`: a later start for a larger `n`.
pub(crate) fn run_id(n: u32) -> RunId {
    let start = 1_700_000_000_000_000_000 + u64::from(n);
    format!("{start}-{n:08x}").parse().expect("a valid run id")
}

/// The manifest of run `n` before it opens.
pub(crate) fn manifest(n: u32) -> RunManifest {
    RunManifest::new(instance(), run_id(n), run_id(n).start())
}

/// A run that was recorded to a file and sealed.
#[derive(Debug)]
pub(crate) struct SealedFile {
    _folder: Place,
    pub(crate) path: PathBuf,
    pub(crate) sealed: SealedRun,
}

impl SealedFile {
    /// Records each batch as one frame, lets `before_seal` do more, and seals the run as `Ended`.
    pub(crate) fn record_with(
        batches: &[Vec<Message>],
        before_seal: impl FnOnce(&mut dyn EventStore),
    ) -> Self {
        let place = Place::disk(DiskMode::Buffered);
        let mut store = place.open(1);
        FrameMaker::new().append_all(&mut *store, batches);
        before_seal(&mut *store);
        let end = batches.iter().flatten().map(|message| UnixNanos::new(message.ts_init)).max();
        let sealed = store.seal(RunStatus::Ended, end).expect("an open run can be sealed");
        let path = run_path(place.folder(), &instance(), run_id(1));
        Self { _folder: place, path, sealed }
    }

    /// Records each batch as one frame and seals the run as `Ended`.
    pub(crate) fn record(batches: &[Vec<Message>]) -> Self {
        Self::record_with(batches, |_| {})
    }

    /// The run's read side.
    pub(crate) fn open(&self) -> Arc<dyn RunReader> {
        open_sealed_file(&self.path).expect("a sealed run opens")
    }
}

/// All rows of a run's index, as hash and `seq`, in the order in which they are stored.
pub(crate) fn key_rows(reader: &dyn RunReader) -> Vec<(u64, u64)> {
    let mut rows = Vec::new();
    let mut from = Some(KeyBlockId::start_of(KeyTier::FIRST));
    while let Some(at) = from
        && let Some((id, bytes)) = reader.key_block_at_or_after(at).expect("the index is readable")
    {
        let block = KeyBlock::parse(&bytes).expect("a key block");
        assert_eq!(block.check(id), Ok(()));
        rows.extend(block.rows().iter().map(|row| (row.hash(), row.seq())));
        from = id.next();
    }
    rows
}
