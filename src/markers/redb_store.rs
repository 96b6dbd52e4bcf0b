use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable,
    TableDefinition, TableError, WriteTransaction,
};

use super::log_cursor::LogCursor;
use super::{
    MarkerBackend, MarkerBatch, MarkerSource, MarkerStoreError, MarkerVerifier, MarkerVerifyReport,
};
use crate::format::{
    MARKER_FORMAT_VERSION, MarkerCodec, decode_marker_manifest, encode_marker_manifest,
};
use crate::model::{Marker, MarkerGap, MarkerGapReason, MarkerManifest, RunId, RunStatus};
use crate::store::{DiskMode, DiskProbe, RunFile, commit, make_file, open_compared};

/// First marker of a block to the block.
const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("marker_blocks");
/// Slot to stream.
const STREAMS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("streams");
/// `format` and `manifest`.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const FORMAT_ROW: &str = "format";
const MANIFEST_ROW: &str = "manifest";

/// Memory redb may hold of a sidecar's pages: some blocks, which are written once and not looked at again.
const CACHE_BYTES: usize = 8 << 20;

/// Keeps the sidecar of one run in a redb file.
pub struct RedbMarkerBackend {
    path: PathBuf,
    probe: Option<Arc<dyn DiskProbe>>,
    codec: MarkerCodec,
    sidecar: Option<(Arc<Database>, LogCursor)>,
}

impl RedbMarkerBackend {
    /// A backend for the sidecar at `path`. Nothing is touched until it is opened; then it is made beside, with the
    /// extension `new` in place of its last one, and gets its name when it is complete.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), probe: None, codec: MarkerCodec::default(), sidecar: None }
    }

    /// The same backend, with `probe` asked before what it does to the file from now on; [`DiskProbe`] says about what not.
    #[must_use]
    pub fn probed(self, probe: Arc<dyn DiskProbe>) -> Self {
        Self { probe: Some(probe), ..self }
    }

    /// Seals the sidecar that a process which died has left, with what is in it counted; it is not opened. How many markers
    /// were lost with the process nobody knows: a gap of one at the end says that some may be. One in which the verifier
    /// finds anything wrong, beside the run `run_id` with its last entry at `watermark`, is quarantined, and stays as it is.
    /// Returns its manifest.
    pub fn recover(
        &self,
        run_id: RunId,
        watermark: u64,
    ) -> Result<MarkerManifest, MarkerStoreError> {
        // A sealed file never changes, and to open it for writing would be a change.
        if let Ok(sealed) = open_sealed_markers(&self.path) {
            return Err(MarkerStoreError::Sealed { status: sealed.manifest()?.status });
        }
        let failed = |source| MarkerStoreError::opening(&self.path, source);
        let file = File::options().read(true).write(true).open(&self.path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() == 0 {
            // redb would take it for a file to be made into a database.
            return Err(MarkerStoreError::Missing { what: "content" });
        }
        let run_file = |file| self.run_file(&self.path, file);
        let database = open_compared(&file, run_file, &builder());
        let database = Arc::new(database.map_err(MarkerStoreError::redb)?);
        let source = Arc::new(RedbMarkerSource(Arc::clone(&database)));
        let manifest = source.manifest()?;
        if manifest.status.is_sealed() {
            return Err(MarkerStoreError::Sealed { status: manifest.status });
        }
        let verifier = MarkerVerifier::new(Arc::clone(&source) as Arc<dyn MarkerSource>);
        let MarkerVerifyReport { mut counts, findings, last_marker_seq, .. } =
            verifier.beside(run_id, watermark).run();
        let place = last_marker_seq.checked_add(1).filter(|_| findings.is_empty());
        let Some(place) = place else {
            let manifest = MarkerManifest { counts, status: RunStatus::Quarantined, ..manifest };
            commit(&database, |transaction| put_manifest(transaction, &manifest))?;
            return Ok(manifest);
        };
        let reason = MarkerGapReason::WriterClosed;
        let gap = Marker::Gap(MarkerGap { from: place, to: place, reason });
        counts.add(&gap);
        let manifest = MarkerManifest { counts, status: RunStatus::CrashedRecovered, ..manifest };
        commit(&database, |transaction| {
            let block = self.codec.encode_block(&[gap]);
            transaction.open_table(BLOCKS)?.insert(place, block.as_slice())?;
            put_manifest(transaction, &manifest)
        })?;
        Ok(manifest)
    }

    fn run_file(&self, path: &Path, file: File) -> Result<RunFile, DatabaseError> {
        // Its blocks are small, and a commit of them can wait.
        RunFile::new(file, path, DiskMode::Buffered, self.probe.clone())
    }

    fn initialize(
        &self,
        path: &Path,
        file: File,
        manifest: &MarkerManifest,
    ) -> Result<Database, MarkerStoreError> {
        let file = self.run_file(path, file).map_err(MarkerStoreError::redb)?;
        let database = builder().create_with_backend(file).map_err(MarkerStoreError::redb)?;
        commit(&database, |transaction| {
            transaction.open_table(BLOCKS)?;
            transaction.open_table(STREAMS)?;
            let mut meta = transaction.open_table(META)?;
            meta.insert(FORMAT_ROW, MARKER_FORMAT_VERSION.to_le_bytes().as_slice())?;
            meta.insert(MANIFEST_ROW, encode_marker_manifest(manifest).as_slice())?;
            Ok(())
        })?;
        Ok(database)
    }
}

impl MarkerBackend for RedbMarkerBackend {
    /// The file must not be there yet.
    fn open(&mut self, manifest: MarkerManifest) -> Result<(), MarkerStoreError> {
        if self.sidecar.is_some() {
            return Err(MarkerStoreError::Exists { path: self.path.clone() });
        }
        let failed = |path: &Path, source| MarkerStoreError::Io { path: path.to_owned(), source };
        if fs::exists(&self.path).map_err(|source| failed(&self.path, source))? {
            return Err(MarkerStoreError::Exists { path: self.path.clone() });
        }
        let cursor = LogCursor::fresh(manifest);
        let database = make_file(&self.path, self.probe.as_deref(), failed, |unborn, file| {
            self.initialize(unborn, file, &cursor.manifest)
        })?;
        self.sidecar = Some((Arc::new(database), cursor));
        Ok(())
    }

    fn append(&mut self, batch: &MarkerBatch) -> Result<(), MarkerStoreError> {
        let (database, cursor) = self.sidecar.as_mut().ok_or(MarkerStoreError::NotOpen)?;
        let span = cursor.check(batch)?;
        commit(database, |transaction| {
            let mut streams = transaction.open_table(STREAMS)?;
            for stream in &batch.streams {
                streams.insert(stream.slot, self.codec.encode_stream(stream).as_slice())?;
            }
            if let Some((from, _)) = span {
                let block = self.codec.encode_block(&batch.markers);
                transaction.open_table(BLOCKS)?.insert(from, block.as_slice())?;
            }
            Ok(())
        })?;
        cursor.appended(batch, span);
        Ok(())
    }

    fn seal(&mut self, status: RunStatus) -> Result<MarkerManifest, MarkerStoreError> {
        let (database, cursor) = self.sidecar.as_mut().ok_or(MarkerStoreError::NotOpen)?;
        let manifest = cursor.sealed_manifest(status)?;
        commit(database, |transaction| put_manifest(transaction, &manifest))?;
        cursor.manifest = manifest.clone();
        Ok(manifest)
    }

    fn source(&self) -> Option<Arc<dyn MarkerSource>> {
        let (database, _) = self.sidecar.as_ref()?;
        Some(Arc::new(RedbMarkerSource(Arc::clone(database))))
    }
}

/// Opens the sealed sidecar at `path` for reading. The file is not changed.
pub fn open_sealed_markers(path: &Path) -> Result<Arc<dyn MarkerSource>, MarkerStoreError> {
    let mut builder = Builder::new();
    let database = match builder.set_cache_size(CACHE_BYTES).open_read_only(path) {
        Ok(database) => database,
        // A file that was not closed needs repair, which is a change.
        Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::RepairAborted) => {
            return Err(MarkerStoreError::NotSealed { path: path.to_owned() });
        }
        Err(DatabaseError::Storage(redb::StorageError::Io(error)))
            if error.kind() == io::ErrorKind::NotFound =>
        {
            return Err(MarkerStoreError::opening(path, error));
        }
        Err(error) => return Err(MarkerStoreError::redb(error)),
    };
    let source = RedbMarkerSource(Arc::new(database));
    if !source.manifest()?.status.is_sealed() {
        return Err(MarkerStoreError::NotSealed { path: path.to_owned() });
    }
    Ok(Arc::new(source))
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn put_manifest(
    transaction: &WriteTransaction,
    manifest: &MarkerManifest,
) -> Result<(), redb::Error> {
    let row = encode_marker_manifest(manifest);
    transaction.open_table(META)?.insert(MANIFEST_ROW, row.as_slice())?;
    Ok(())
}

struct RedbMarkerSource<D>(Arc<D>);

impl<D: ReadableDatabase> RedbMarkerSource<D> {
    fn meta(transaction: &ReadTransaction, row: &str) -> Result<Vec<u8>, MarkerStoreError> {
        let missing = MarkerStoreError::Missing { what: "manifest" };
        let table = match transaction.open_table(META) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Err(missing),
            Err(error) => return Err(MarkerStoreError::redb(error)),
        };
        let value = table.get(row).map_err(MarkerStoreError::redb)?;
        value.map(|value| value.value().to_vec()).ok_or(missing)
    }

    fn read(&self) -> Result<ReadTransaction, MarkerStoreError> {
        self.0.begin_read().map_err(MarkerStoreError::redb)
    }
}

impl<D: ReadableDatabase + Send + Sync> MarkerSource for RedbMarkerSource<D> {
    fn manifest(&self) -> Result<MarkerManifest, MarkerStoreError> {
        let transaction = self.read()?;
        let version = Self::meta(&transaction, FORMAT_ROW)?;
        let version = version.try_into().map(u64::from_le_bytes);
        let found = version.map_err(|_| MarkerStoreError::Missing { what: "format version" })?;
        if found != MARKER_FORMAT_VERSION {
            return Err(MarkerStoreError::Version { found, expected: MARKER_FORMAT_VERSION });
        }
        Ok(decode_marker_manifest(&Self::meta(&transaction, MANIFEST_ROW)?)?)
    }

    fn streams(&self) -> Result<Vec<(u32, Bytes)>, MarkerStoreError> {
        let table = self.read()?.open_table(STREAMS).map_err(MarkerStoreError::redb)?;
        let mut streams = Vec::new();
        for row in table.iter().map_err(MarkerStoreError::redb)? {
            let (slot, row) = row.map_err(MarkerStoreError::redb)?;
            streams.push((slot.value(), Bytes::copy_from_slice(row.value())));
        }
        Ok(streams)
    }

    fn block_at_or_after(&self, from: u64) -> Result<Option<(u64, Bytes)>, MarkerStoreError> {
        let table = self.read()?.open_table(BLOCKS).map_err(MarkerStoreError::redb)?;
        let mut range = table.range(from..).map_err(MarkerStoreError::redb)?;
        let Some(row) = range.next() else { return Ok(None) };
        let (first, block) = row.map_err(MarkerStoreError::redb)?;
        // A damaged tree may give a row that was not asked for, and a walk that believed it might not end.
        if first.value() < from {
            return Err(MarkerStoreError::unordered(from));
        }
        Ok(Some((first.value(), Bytes::copy_from_slice(block.value()))))
    }
}
