use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::container::{COMMIT_BYTES_MAX, Container, FileConfig, Growth, Pace};
use super::cursor::RunCursor;
use super::directory::{make_folder, run_path, sync_folder_names};
use super::live_reader::LiveReader;
use super::log::{
    Behind, LogConfig, LogFile, frames_on_disk, let_go_of_log, log_path, shared_fault,
};
use super::redb_keys::sort_blocks;
use super::redb_reader::RedbReader;
use super::redb_tables::{
    ANCHOR_ROW, LOG_ROW, MANIFEST_ROW, remove_meta, write_meta, write_new_run,
};
use super::sealed_run::left_manifest;
use super::tree_writer::{TreeFrame, TreeWriter};
use super::{
    AnchorError, AppendError, BackendFault, DiskMode, DiskOp, EventStore, FileError, OpenRunError,
    ReadFault, RunOpening, RunReader, SealError, SealedRun, Tail,
};
use crate::format::{SealedFrame, decode_anchor, encode_anchor, encode_manifest, run_root};
use crate::model::{InstanceId, RunId, RunManifest, RunStatus, SnapshotAnchor, UnixNanos};

/// Keeps each run in one redb file, `<base_dir>/<instance_id>/<run_id>.redb`.
///
/// A commit is one redb transaction and one `fdatasync`.
pub struct RedbBackend {
    base_dir: PathBuf,
    config: FileConfig,
    memory: RedbMemory,
    log: Option<LogConfig>,
    run: Option<OpenRun>,
}

/// How much memory a backend may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RedbMemory {
    /// Of redb for a run's pages, in bytes. Half of it holds what a commit has yet to write. If the
    /// largest commit does not fit into that half, redb writes it in two steps: measured 2.2 times
    /// slower. More memory than that makes it slower too, by 14 % with 64 MiB against 12: the
    /// processor's caches do not hold it.
    pub(crate) cache_bytes: usize,
    /// How many rows of the index, of 16 bytes, are sorted at a time at seal.
    pub(crate) seal_rows_max: usize,
}

impl RedbMemory {
    /// For commits of up to `bytes` bytes.
    fn for_commits(bytes: usize) -> Self {
        // Besides the frames, a commit has the pages above them, and those of index and names.
        const OTHER_BYTES: usize = 2 << 20;
        Self { cache_bytes: 2 * (bytes + OTHER_BYTES), seal_rows_max: 4 << 20 }
    }
}

struct OpenRun {
    container: Arc<Container>,
    cursor: RunCursor,
    frames: FrameWriter,
    /// The anchor as stored; empty without one.
    anchor: Vec<u8>,
}

/// Where frames go.
enum FrameWriter {
    /// To the run file, those of a commit in a transaction of its own.
    Tree(TreeWriter),
    /// To the log, and from there to the run file.
    Log { log: LogFile, record_bytes_max: usize, behind: Behind },
}

impl RedbBackend {
    /// A backend for the runs below `base_dir`. Does nothing on disk until a run is opened.
    pub fn new(base_dir: impl Into<PathBuf>) -> Self {
        Self::with_disk_mode(base_dir, DiskMode::default())
    }

    /// Like [`new`](Self::new), with a choice of how files are written.
    pub fn with_disk_mode(base_dir: impl Into<PathBuf>, disk_mode: DiskMode) -> Self {
        let memory = RedbMemory::for_commits(COMMIT_BYTES_MAX);
        let growth = Growth::ByRegion;
        let (cache_bytes, pace) = (memory.cache_bytes, Pace::default());
        let config = FileConfig { disk_mode, cache_bytes, growth, pace, probe: None };
        Self { base_dir: base_dir.into(), config, memory, log: None, run: None }
    }

    /// The same backend, which puts a write-ahead log in front of the files of runs that it makes:
    /// a frame is durable once it is there. `None`: no log.
    #[must_use]
    pub fn logged(self, log: impl Into<Option<LogConfig>>) -> Self {
        Self { log: log.into(), ..self }
    }

    /// The same backend, with memory for commits of up to `bytes` bytes of frames. Without this, it
    /// has memory for 4 MiB; larger commits take longer.
    #[must_use]
    pub fn for_commits(self, bytes: usize) -> Self {
        self.within(RedbMemory::for_commits(bytes))
    }

    /// The same backend, which makes do with `memory`.
    #[must_use]
    pub(crate) fn within(self, memory: RedbMemory) -> Self {
        let config = FileConfig { cache_bytes: memory.cache_bytes, ..self.config };
        Self { config, memory, ..self }
    }

    /// The same backend, which from now on calls `probe` before it works on run files that it makes
    /// or reopens. [`DiskProbe`](super::DiskProbe) lists the exceptions.
    #[cfg(feature = "internals")]
    #[doc(hidden)]
    #[must_use]
    pub fn probed(self, probe: Arc<dyn super::DiskProbe>) -> Self {
        Self { config: FileConfig { probe: Some(probe), ..self.config }, ..self }
    }

    /// Reopens the run `run_id` of `instance_id`, which was never sealed because its process died.
    /// Repairs its file up to the last commit and returns the manifest found. Then the run is open,
    /// as after [`open_run`](EventStore::open_run). But where `open_run` would make a missing run,
    /// this fails.
    ///
    /// On Linux the file is read from the disk, not from the system's page cache. All pages in use
    /// are compared with their checksums first, even if the file was closed in order. A damaged
    /// file stays as it is.
    ///
    /// A file that holds another run, or another version of the format, is left as it is, if that
    /// can be seen without a change. A file that was not closed has to be repaired before it can be
    /// read.
    ///
    /// If the manifest can be read and the end cannot, the run takes no entry. It can only be
    /// sealed as quarantined.
    ///
    /// If the run is [`Sealed`](OpenRunError::Sealed) but its file was not closed, this only closes
    /// the file. Then it opens as a sealed run.
    pub fn reopen(
        &mut self,
        instance_id: &InstanceId,
        run_id: RunId,
    ) -> Result<RunManifest, OpenRunError> {
        self.check_none_open()?;
        let path = run_path(&self.base_dir, instance_id, run_id);
        let (container, manifest) = self.open_left(&path, instance_id, run_id)?;
        let run = match End::read(&container) {
            Ok(end) => self.at_end(&path, end, container, manifest.clone())?,
            Err(_damage) => OpenRun::without_end(container, manifest.clone()),
        };
        self.run = Some(run);
        Ok(manifest)
    }

    /// Closes the run if it is sealed. Fails if it is still open.
    fn check_none_open(&mut self) -> Result<(), OpenRunError> {
        if let Some(run) = &self.run
            && !run.cursor.manifest.status.is_sealed()
        {
            return Err(OpenRunError::RunOpen { open: run.cursor.manifest.run_id });
        }
        self.run = None;
        Ok(())
    }

    fn create(&self, path: &Path, manifest: RunManifest) -> Result<OpenRun, OpenRunError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let make_folder = || {
            make_folder(folder)?;
            sync_folder_names(folder, |named| self.config.ask(named, DiskOp::SyncFolder))
        };
        make_folder().map_err(|error| FileError::io(folder, error))?;
        let cursor = RunCursor::fresh(manifest);
        let run_id = cursor.manifest.run_id;
        let log = |log| LogFile::create(path, run_id, log, &self.config).map(|file| (log, file));
        let log = self.log.map(log).transpose()?;
        let container = Container::create(path, &self.config, |transaction| {
            write_new_run(transaction, &cursor.manifest)?;
            if log.is_some() { write_meta(transaction, LOG_ROW, &[]) } else { Ok(()) }
        })?;
        let container = Arc::new(container);
        let frames = match log {
            Some((config, log)) => {
                let behind = Behind::start(&container, config, self.config.pace.clone())
                    .map_err(OpenRunError::Thread)?;
                FrameWriter::Log { log, record_bytes_max: config.record_bytes_max, behind }
            }
            None => FrameWriter::Tree(TreeWriter::default()),
        };
        Ok(OpenRun { container, cursor, frames, anchor: Vec::new() })
    }

    /// The run at its end. If it has a log, the frames there are brought into its file first.
    /// Further frames go to the file alone.
    fn at_end(
        &self,
        path: &Path,
        end: End,
        container: Container,
        manifest: RunManifest,
    ) -> Result<OpenRun, OpenRunError> {
        let damaged = |source| OpenRunError::Damaged { path: path.to_owned(), source };
        if !end.has_log {
            return Ok(OpenRun::at(end, container, manifest));
        }
        let log = log_path(path);
        let mut tree = TreeWriter::default();
        let frames =
            frames_on_disk(&log, manifest.run_id, end.tail, &self.config)?.map_err(damaged)?;
        let bring_over = |transaction: &_| {
            tree.write_replayed(transaction, &frames, end.tail.names)?;
            remove_meta(transaction, LOG_ROW)
        };
        container.commit(bring_over).map_err(|source| damaged(source.into()))?;
        let_go_of_log(&log, &self.config).map_err(|error| FileError::io(&log, error))?;
        let end = End::read(&container).map_err(damaged)?;
        Ok(OpenRun::at(end, container, manifest))
    }

    /// Reopens a run that was never sealed, at its end.
    fn resume(
        &self,
        path: &Path,
        instance_id: &InstanceId,
        run_id: RunId,
    ) -> Result<OpenRun, OpenRunError> {
        let (container, manifest) = self.open_left(path, instance_id, run_id)?;
        let end = End::read(&container);
        let end = end.map_err(|source| OpenRunError::Damaged { path: path.to_owned(), source })?;
        self.at_end(path, end, container, manifest)
    }

    /// Opens the file of a run that was never sealed, and reads its manifest.
    fn open_left(
        &self,
        path: &Path,
        instance_id: &InstanceId,
        run_id: RunId,
    ) -> Result<(Container, RunManifest), OpenRunError> {
        let look = |transaction: &_| left_manifest(path, transaction, instance_id, run_id);
        Container::reopen(path, &self.config, look).map_err(|error| match error {
            OpenRunError::File(FileError::Empty { path }) => {
                OpenRunError::foreign(&path, instance_id, run_id)
            }
            error => error,
        })
    }
}

/// Where an unsealed run ends.
struct End {
    tail: Tail,
    anchor: Option<SnapshotAnchor>,
    anchor_row: Vec<u8>,
    /// True if the run may have more in its log.
    has_log: bool,
}

impl End {
    fn read(container: &Container) -> Result<Self, ReadFault> {
        let reader = live(container)?;
        let stored = reader.stored_anchor()?;
        let anchor = stored.as_deref().map(decode_anchor).transpose()?;
        let has_log = reader.has_log()?;
        Ok(Self { tail: reader.tail()?, anchor, anchor_row: stored.unwrap_or_default(), has_log })
    }
}

fn live(container: &Container) -> Result<RedbReader, ReadFault> {
    let transaction = container.snapshots().begin_read().map_err(ReadFault::redb)?;
    Ok(RedbReader::live(transaction))
}

impl OpenRun {
    fn at(end: End, container: Container, manifest: RunManifest) -> Self {
        let cursor = RunCursor::new(manifest, end.tail, end.anchor.as_ref());
        let frames = FrameWriter::Tree(TreeWriter::default());
        Self { container: Arc::new(container), cursor, frames, anchor: end.anchor_row }
    }

    /// A run whose end cannot be read. It will be quarantined.
    fn without_end(container: Container, manifest: RunManifest) -> Self {
        // The anchor is kept, whatever is wrong with the run.
        let stored = live(&container).and_then(|reader| reader.stored_anchor());
        let anchor = stored.ok().flatten().unwrap_or_default();
        let cursor = RunCursor::without_end(manifest);
        let frames = FrameWriter::Tree(TreeWriter::default());
        Self { container: Arc::new(container), cursor, frames, anchor }
    }
}

impl FrameWriter {
    /// Makes the frames of a commit durable.
    fn append(
        &mut self,
        container: &Container,
        frames: &[SealedFrame<'_>],
    ) -> Result<(), BackendFault> {
        match self {
            Self::Tree(tree) => {
                let frames: Vec<TreeFrame<'_>> = frames.iter().map(TreeFrame::of).collect();
                container.commit(|transaction| tree.write(transaction, &frames))
            }
            Self::Log { log, record_bytes_max, behind } => {
                let bytes = frames.iter().map(|frame| frame.bytes().len()).sum();
                if bytes > *record_bytes_max {
                    return behind.commit(frames).map_err(shared_fault);
                }
                let place = log.place(bytes);
                behind.make_room(|from| log.has_room(place.end, from)).map_err(shared_fault)?;
                log.append(frames).map_err(BackendFault::io)?;
                behind.take(frames, &place);
                Ok(())
            }
        }
    }

    /// Brings everything into the run file.
    fn flush(&self) -> Result<(), BackendFault> {
        match self {
            Self::Tree(_) => Ok(()),
            Self::Log { behind, .. } => behind.pending().flush().map_err(shared_fault),
        }
    }
}

impl EventStore for RedbBackend {
    fn open_run(&mut self, manifest: RunManifest) -> Result<RunOpening, OpenRunError> {
        if let Some(run) = &self.run {
            let RunManifest { run_id, status, ref instance_id, .. } = run.cursor.manifest;
            if status.is_sealed()
                && (run_id, instance_id) == (manifest.run_id, &manifest.instance_id)
            {
                return Err(OpenRunError::Sealed { run_id, status });
            }
        }
        self.check_none_open()?;
        let path = run_path(&self.base_dir, &manifest.instance_id, manifest.run_id);
        let exists = fs::exists(&path).map_err(|error| FileError::io(&path, error))?;
        if exists {
            let run = self.resume(&path, &manifest.instance_id, manifest.run_id)?;
            let found = run.cursor.manifest.clone();
            self.run = Some(run);
            Ok(RunOpening::CrashedPredecessor(Box::new(found)))
        } else {
            self.run = Some(self.create(&path, manifest)?);
            Ok(RunOpening::Created)
        }
    }

    fn append(&mut self, frames: &[SealedFrame<'_>]) -> Result<(), AppendError> {
        let run = self.run.as_mut().ok_or(AppendError::NoOpenRun)?;
        let tail = run.cursor.check_append(frames)?;
        if !frames.is_empty() {
            run.frames.append(&run.container, frames)?;
        }
        run.cursor.tail = tail;
        Ok(())
    }

    fn record_anchor(&mut self, anchor: &SnapshotAnchor) -> Result<(), AnchorError> {
        let run = self.run.as_mut().ok_or(AnchorError::NoOpenRun)?;
        run.cursor.check_anchor(anchor)?;
        let row = encode_anchor(anchor);
        // Ahead of the anchor, which must not be past the end of the run file.
        run.frames.flush()?;
        run.container.commit(|transaction| write_meta(transaction, ANCHOR_ROW, &row))?;
        run.anchor = row;
        run.cursor.anchored(anchor);
        Ok(())
    }

    fn seal(
        &mut self,
        status: RunStatus,
        end_ts_init: Option<UnixNanos>,
    ) -> Result<SealedRun, SealError> {
        let run = self.run.as_mut().ok_or(SealError::NoOpenRun)?;
        let manifest = run.cursor.sealed_manifest(status, end_ts_init)?;
        let row = encode_manifest(&manifest);
        let rows_max = self.memory.seal_rows_max;
        run.frames.flush()?;
        run.container.commit(|transaction| {
            // A damaged run is left as recovery found it.
            if status != RunStatus::Quarantined {
                sort_blocks(transaction, rows_max)?;
            }
            remove_meta(transaction, LOG_ROW)?;
            write_meta(transaction, MANIFEST_ROW, &row)
        })?;
        run.cursor.manifest = manifest.clone();
        if let FrameWriter::Log { .. } = &run.frames {
            run.frames = FrameWriter::Tree(TreeWriter::default());
            // The run is whole without it. One that stays belongs to a sealed run, and is not read.
            let _ = let_go_of_log(&log_path(run.container.path()), &self.config);
        }
        Ok(SealedRun { manifest, root: run_root(&row, &run.anchor) })
    }

    fn tail(&self) -> Option<Tail> {
        self.run.as_ref().map(|run| run.cursor.tail)
    }

    fn reader(&self) -> Option<Arc<dyn RunReader>> {
        let run = self.run.as_ref()?;
        let pending = match &run.frames {
            FrameWriter::Tree(_) => None,
            FrameWriter::Log { behind, .. } => Some(Arc::clone(behind.pending())),
        };
        Some(Arc::new(LiveReader::new(&run.container, pending, &run.cursor.manifest)))
    }
}
