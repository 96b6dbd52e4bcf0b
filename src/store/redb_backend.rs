use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, Database, DatabaseError, ReadableDatabase, WriteTransaction};

use super::cursor::RunCursor;
use super::directory::{make_folder, run_path, sync_folder_names};
use super::new_file::make_file;
use super::redb_keys::{KeyWriter, sort_blocks};
use super::redb_open::{check_left, left_manifest, open_error};
use super::redb_reader::RedbReader;
use super::redb_tables::{
    ANCHOR_ROW, MANIFEST_ROW, read_meta, write_frame, write_meta, write_new_run,
};
use super::region_size::shrink_regions;
use super::repair_watch::repair_watch;
use super::run_file::RunFile;
use super::{
    AnchorError, AppendError, BackendFault, DiskMode, DiskOp, DiskProbe, EventStore, OpenRunError,
    ReadFault, RunOpening, RunReader, SealError, SealedRun, Tail, forget_cached, open_compared,
};
use crate::format::{SealedFrame, decode_anchor, encode_anchor, encode_manifest, run_root};
use crate::model::{InstanceId, RunId, RunManifest, RunStatus, SnapshotAnchor, UnixNanos};

/// Keeps each run in one redb file, `<base_dir>/<instance_id>/<run_id>.redb`.
///
/// A commit is one redb transaction and one `fdatasync`.
pub struct RedbBackend {
    base_dir: PathBuf,
    disk_mode: DiskMode,
    probe: Option<Arc<dyn DiskProbe>>,
    run: Option<OpenRun>,
}

struct OpenRun {
    database: Arc<Database>,
    cursor: RunCursor,
    keys: KeyWriter,
    /// As it is stored; nothing where there is none.
    anchor: Vec<u8>,
}

/// Memory redb may hold of a run's pages. Half of it is for what a commit has yet to write, so it
/// must be at least twice the largest frame or redb writes frames in two goes: measured 2.2 times
/// slower. For frames of 1 to 4 MiB more than 16 MiB brings little.
const CACHE_BYTES: usize = 64 << 20;

impl RedbBackend {
    /// A backend for the runs below `base_dir`. Nothing is touched until a run is opened.
    pub fn new(base_dir: impl Into<PathBuf>) -> Self {
        Self::with_disk_mode(base_dir, DiskMode::default())
    }

    /// As [`new`](Self::new), with a choice of how files are written.
    pub fn with_disk_mode(base_dir: impl Into<PathBuf>, disk_mode: DiskMode) -> Self {
        Self { base_dir: base_dir.into(), disk_mode, probe: None, run: None }
    }

    /// The same backend, with `probe` asked before what it does from now on to the run files that it makes or takes
    /// up; [`DiskProbe`] says about what not.
    #[must_use]
    pub fn probed(self, probe: Arc<dyn DiskProbe>) -> Self {
        Self { probe: Some(probe), ..self }
    }

    /// Takes up the run `run_id` of `instance_id`, which was never sealed and whose process has died:
    /// repairs its file as far as its last commit, and returns the manifest found. From then on the run
    /// is open, as after [`open_run`](EventStore::open_run), which would make a run that is not there.
    ///
    /// What the system has of the file in memory is not believed: the file is read from the disk (Linux). Nor is a file that was
    /// closed: as with one that is repaired, all that is in use is compared with its checksums first, and a file that is
    /// [`Damaged`](OpenRunError::Damaged) stays as it is.
    ///
    /// A file that holds another run, or another version of the format, is left as it is, as far as that can be
    /// seen without a change: one that was not closed has to be repaired first.
    ///
    /// With a manifest that can be read and an end that cannot, the run is open only to be sealed as
    /// quarantined: it takes no entry.
    ///
    /// Of a run that is [`Sealed`](OpenRunError::Sealed) in a file that was not closed, only the file
    /// is closed; then [`open_sealed`](super::open_sealed) opens it.
    pub fn take_up(
        &mut self,
        instance_id: &InstanceId,
        run_id: RunId,
    ) -> Result<RunManifest, OpenRunError> {
        self.check_none_open()?;
        let path = run_path(&self.base_dir, instance_id, run_id);
        let (reader, manifest) = self.open_left(&path, instance_id, run_id)?;
        let run = OpenRun::left(reader, manifest);
        let manifest = run.cursor.manifest.clone();
        self.run = Some(run);
        Ok(manifest)
    }

    /// Lets go of a run that is sealed.
    fn check_none_open(&mut self) -> Result<(), OpenRunError> {
        if let Some(run) = &self.run
            && !run.cursor.manifest.status.is_sealed()
        {
            return Err(OpenRunError::RunOpen { open: run.cursor.manifest.run_id });
        }
        self.run = None;
        Ok(())
    }

    fn run_file(&self, path: &Path, file: File) -> Result<RunFile, DatabaseError> {
        RunFile::new(file, path, self.disk_mode, self.probe.clone())
    }

    fn create(&self, path: &Path, manifest: RunManifest) -> Result<OpenRun, OpenRunError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let failed = |path: &Path, source| OpenRunError::Io { path: path.to_owned(), source };
        make_folder(folder).map_err(|error| failed(folder, error))?;
        sync_folder_names(folder, |named| self.ask(named, DiskOp::SyncFolder))
            .map_err(|error| failed(folder, error))?;
        let database = make_file(path, self.probe.as_deref(), failed, |unborn, file| {
            self.initialize(unborn, file, &manifest)
        })?;
        Ok(OpenRun::new(database, RunCursor::fresh(manifest), Vec::new()))
    }

    fn initialize(
        &self,
        path: &Path,
        file: File,
        manifest: &RunManifest,
    ) -> Result<Database, OpenRunError> {
        let at = |source| OpenRunError::Io { path: path.to_owned(), source };
        let handle = file.try_clone().map_err(at)?;
        // Made and closed, for its header to be complete.
        let failed = |error| open_error(path, error);
        let file = self.run_file(path, file).map_err(failed)?;
        drop(builder().create_with_backend(file).map_err(failed)?);
        let file = self.run_file(path, handle).map_err(failed)?;
        shrink_regions(&file).map_err(at)?;
        let database = builder().create_with_backend(file).map_err(failed)?;
        commit(&database, |transaction| write_new_run(transaction, manifest))
            .map_err(|fault| fault.at(path))?;
        Ok(database)
    }

    /// Takes up a run that was never sealed, at its end.
    fn resume(
        &self,
        path: &Path,
        instance_id: &InstanceId,
        run_id: RunId,
    ) -> Result<OpenRun, OpenRunError> {
        let (reader, manifest) = self.open_left(path, instance_id, run_id)?;
        OpenRun::at_its_end(reader, manifest)
            .map_err(|source| OpenRunError::Damaged { path: path.to_owned(), source })
    }

    /// Opens the file of a run that was never sealed, and reads its manifest. Opening repairs a file that was
    /// not closed.
    fn open_left(
        &self,
        path: &Path,
        instance_id: &InstanceId,
        run_id: RunId,
    ) -> Result<(LiveReader, RunManifest), OpenRunError> {
        check_left(path, instance_id, run_id)?;
        let at = |source| OpenRunError::Io { path: path.to_owned(), source };
        let file = File::options().read(true).write(true).open(path).map_err(at)?;
        if file.metadata().map_err(at)?.len() == 0 {
            // redb would take it for a file to be made into a database.
            let (path, instance_id) = (path.to_owned(), instance_id.clone());
            return Err(OpenRunError::Foreign { path, run_id, instance_id });
        }
        forget_cached(&file, |op| self.ask(path, op)).map_err(at)?;
        let run_file = |file| self.run_file(path, file);
        let database =
            open_compared(&file, run_file, builder().set_repair_callback(repair_watch(path)))
                .map_err(|error| open_error(path, error))?;
        let manifest = left_manifest(path, &database, instance_id, run_id)?;
        Ok((RedbReader(Arc::new(database)), manifest))
    }

    fn ask(&self, path: &Path, op: DiskOp<'_>) -> io::Result<()> {
        self.probe.as_ref().map_or(Ok(()), |probe| probe.before(path, op))
    }
}

type LiveReader = RedbReader<Arc<Database>>;

impl OpenRun {
    fn new(database: Database, cursor: RunCursor, anchor: Vec<u8>) -> Self {
        Self { database: Arc::new(database), cursor, keys: KeyWriter::default(), anchor }
    }

    fn at_its_end(reader: LiveReader, manifest: RunManifest) -> Result<Self, ReadFault> {
        let stored = stored_anchor(&reader.0)?;
        let anchor = stored.as_deref().map(decode_anchor).transpose()?;
        let cursor = RunCursor::new(manifest, reader.tail()?, anchor.as_ref());
        let RedbReader(database) = reader;
        let (keys, anchor) = (KeyWriter::default(), stored.unwrap_or_default());
        Ok(Self { database, cursor, keys, anchor })
    }

    /// At its end, or, where that cannot be read, to be quarantined.
    fn left(reader: LiveReader, manifest: RunManifest) -> Self {
        let database = Arc::clone(&reader.0);
        Self::at_its_end(reader, manifest.clone()).unwrap_or_else(|_damage| {
            // It stays where it is, whatever is wrong with the run.
            let anchor = stored_anchor(&database).ok().flatten().unwrap_or_default();
            let (cursor, keys) = (RunCursor::without_end(manifest), KeyWriter::default());
            Self { database, cursor, keys, anchor }
        })
    }

    fn commit(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), BackendFault> {
        commit(&self.database, write)
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
        let exists =
            fs::exists(&path).map_err(|source| OpenRunError::Io { path: path.clone(), source })?;
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

    fn append(&mut self, frame: &SealedFrame<'_>) -> Result<(), AppendError> {
        let run = self.run.as_mut().ok_or(AppendError::NoOpenRun)?;
        run.cursor.check_append(frame)?;
        let transaction = run.database.begin_write().map_err(BackendFault::redb)?;
        write_frame(&transaction, frame, &mut run.keys).map_err(BackendFault::redb)?;
        transaction.commit().map_err(BackendFault::redb)?;
        run.cursor.appended(frame);
        Ok(())
    }

    fn record_anchor(&mut self, anchor: &SnapshotAnchor) -> Result<(), AnchorError> {
        let run = self.run.as_mut().ok_or(AnchorError::NoOpenRun)?;
        run.cursor.check_anchor(anchor)?;
        let row = encode_anchor(anchor);
        run.commit(|transaction| write_meta(transaction, ANCHOR_ROW, &row))?;
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
        run.commit(|transaction| {
            // What recovery found damaged is left as it is.
            if status != RunStatus::Quarantined {
                sort_blocks(transaction)?;
            }
            write_meta(transaction, MANIFEST_ROW, &row)
        })?;
        run.cursor.manifest = manifest.clone();
        Ok(SealedRun { manifest, root: run_root(&row, &run.anchor) })
    }

    fn tail(&self) -> Option<Tail> {
        self.run.as_ref().map(|run| run.cursor.tail)
    }

    fn reader(&self) -> Option<Arc<dyn RunReader>> {
        let run = self.run.as_ref()?;
        Some(Arc::new(RedbReader(Arc::clone(&run.database))))
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// The anchor as it is stored, which is what the run's root covers.
fn stored_anchor(database: &Database) -> Result<Option<Vec<u8>>, ReadFault> {
    let transaction = database.begin_read().map_err(BackendFault::redb)?;
    read_meta(&transaction, ANCHOR_ROW)
}

/// Writes in one transaction: all of it, or nothing.
pub(crate) fn commit(
    database: &Database,
    write: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), BackendFault> {
    let transaction = database.begin_write().map_err(BackendFault::redb)?;
    write(&transaction).map_err(BackendFault::redb)?;
    transaction.commit().map_err(BackendFault::redb)
}
