use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use redb::{
    Database, Key, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable,
    TableDefinition, TableError, Value, WriteTransaction,
};

use super::log_cursor::LogCursor;
use super::{
    MarkerBackend, MarkerBatch, MarkerReader, MarkerSource, MarkerStoreError, MarkerVerifier,
    MarkerVerifyReport,
};
use crate::format::{
    MARKER_FORMAT_VERSION, MarkerCodec, decode_marker_manifest, encode_marker_manifest,
};
use crate::model::{Marker, MarkerGap, MarkerGapReason, MarkerManifest, RunId, RunStatus};
use crate::store::container::{
    Container, FileConfig, Growth, Pace, Snapshots, check_not_empty, open_sealed, open_unclosed,
};
use crate::store::{DiskMode, FileError};

/// From the first marker of a block to the block.
const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("marker_blocks");
/// From slot to stream.
const STREAMS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("streams");
/// `format` and `manifest`.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const FORMAT_ROW: &str = "format";
const MANIFEST_ROW: &str = "manifest";

/// How much memory redb may use for a sidecar's pages. Blocks are written once and not read again,
/// so a few are enough.
const CACHE_BYTES: usize = 8 << 20;

/// Keeps the sidecar of one run in a redb file.
pub struct RedbMarkerBackend {
    path: PathBuf,
    config: FileConfig,
    codec: MarkerCodec,
    sidecar: Option<(Container, LogCursor)>,
}

impl RedbMarkerBackend {
    /// A backend for the sidecar at `path`. Does nothing on disk until it is opened. Then it makes
    /// a temporary file with the extension `new`, and renames it when it is complete.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        // Its blocks are small, and their commits are not urgent.
        let (disk_mode, growth) = (DiskMode::Buffered, Growth::Doubling);
        let config = FileConfig {
            disk_mode,
            cache_bytes: CACHE_BYTES,
            growth,
            pace: Pace::default(),
            probe: None,
        };
        Self { path: path.into(), config, codec: MarkerCodec::default(), sidecar: None }
    }

    /// The same backend, which from now on calls `probe` before it works on the file.
    /// [`DiskProbe`](crate::store::DiskProbe) lists the exceptions.
    #[cfg(feature = "internals")]
    #[doc(hidden)]
    #[must_use]
    pub fn probed(self, probe: Arc<dyn crate::store::DiskProbe>) -> Self {
        Self { config: FileConfig { probe: Some(probe), ..self.config }, ..self }
    }

    /// Seals the sidecar of a process that died, and counts its content. Does not open it for
    /// writing. Nobody knows how many markers were lost with the process, so a gap of one marker at
    /// the end says that some may be.
    ///
    /// Verifies the sidecar first, beside run `run_id`, whose last entry is `watermark`. If the
    /// verifier finds anything wrong, the sidecar is quarantined and its content stays as it is.
    /// Returns the manifest.
    pub fn recover(
        &self,
        run_id: RunId,
        watermark: u64,
    ) -> Result<MarkerManifest, MarkerStoreError> {
        let (sidecar, manifest) = Container::reopen(&self.path, &self.config, left_manifest)?;
        let source = Arc::new(RedbMarkerSource::Live(sidecar.snapshots()));
        let verifier = MarkerVerifier::new(source);
        let MarkerVerifyReport { mut counts, findings, last_marker_seq, .. } =
            verifier.beside(run_id, watermark).run();
        let place = last_marker_seq.checked_add(1).filter(|_| findings.is_empty());
        let Some(place) = place else {
            let manifest = MarkerManifest { counts, status: RunStatus::Quarantined, ..manifest };
            sidecar.commit(|transaction| put_manifest(transaction, &manifest))?;
            return Ok(manifest);
        };
        let reason = MarkerGapReason::WriterClosed;
        let gap = Marker::Gap(MarkerGap { from: place, to: place, reason });
        counts.add(&gap);
        let manifest = MarkerManifest { counts, status: RunStatus::CrashedRecovered, ..manifest };
        sidecar.commit(|transaction| {
            let block = self.codec.encode_block(&[gap]);
            transaction.open_table(BLOCKS)?.insert(place, block.as_slice())?;
            put_manifest(transaction, &manifest)
        })?;
        Ok(manifest)
    }
}

impl MarkerReader {
    /// A reader of the sealed sidecar at `path`. Does not change the file.
    pub fn open_sealed(path: &Path) -> Result<Self, MarkerStoreError> {
        Ok(Self::new(open_sealed_markers(path)?))
    }

    /// A reader of the sidecar at `path`, sealed or not. Does not change the file. What a crash
    /// left behind is read up to its last commit. A sidecar that is being written is refused as in
    /// use.
    pub fn open(path: &Path) -> Result<Self, MarkerStoreError> {
        Ok(Self::new(open_markers(path)?))
    }
}

impl MarkerBackend for RedbMarkerBackend {
    /// The file must not exist yet.
    fn open(&mut self, manifest: MarkerManifest) -> Result<(), MarkerStoreError> {
        let exists = fs::exists(&self.path).map_err(|error| FileError::io(&self.path, error))?;
        if exists || self.sidecar.is_some() {
            return Err(FileError::Exists { path: self.path.clone() }.into());
        }
        let cursor = LogCursor::fresh(manifest);
        let sidecar = Container::create(&self.path, &self.config, |transaction| {
            write_new_sidecar(transaction, &cursor.manifest)
        })?;
        self.sidecar = Some((sidecar, cursor));
        Ok(())
    }

    fn append(&mut self, batch: &MarkerBatch) -> Result<(), MarkerStoreError> {
        let (sidecar, cursor) = self.sidecar.as_mut().ok_or(MarkerStoreError::NotOpen)?;
        let span = cursor.check(batch)?;
        sidecar.commit(|transaction| {
            let mut streams = transaction.open_table(STREAMS)?;
            for stream in &batch.streams {
                streams.insert(stream.slot, self.codec.encode_stream(stream).as_slice())?;
            }
            if let Some((from, _)) = span {
                let block = self.codec.encode_block(&batch.markers);
                transaction.open_table(BLOCKS)?.insert(from, block.as_slice())?;
            }
            drop(streams);
            put_manifest(transaction, &cursor.manifest_with(batch))
        })?;
        cursor.appended(batch, span);
        Ok(())
    }

    fn seal(&mut self, status: RunStatus) -> Result<MarkerManifest, MarkerStoreError> {
        let (sidecar, cursor) = self.sidecar.as_mut().ok_or(MarkerStoreError::NotOpen)?;
        let manifest = cursor.sealed_manifest(status)?;
        sidecar.commit(|transaction| put_manifest(transaction, &manifest))?;
        cursor.manifest = manifest.clone();
        Ok(manifest)
    }

    fn source(&self) -> Option<Arc<dyn MarkerSource>> {
        let (sidecar, _) = self.sidecar.as_ref()?;
        Some(Arc::new(RedbMarkerSource::Live(sidecar.snapshots())))
    }
}

/// Opens the sealed sidecar at `path` for reading. Does not change the file.
pub fn open_sealed_markers(path: &Path) -> Result<Arc<dyn MarkerSource>, MarkerStoreError> {
    let transaction = open_sealed(path, CACHE_BYTES)?;
    if !read_manifest(&transaction)?.status.is_sealed() {
        return Err(FileError::NotSealed { path: path.to_owned() }.into());
    }
    Ok(Arc::new(RedbMarkerSource::Sealed(transaction)))
}

/// Opens the sidecar at `path` for reading, sealed or not. Does not change the file. One that a
/// crash left behind is read up to its last commit, which takes a repair in memory; one that is
/// being written is [`FileError::InUse`].
pub fn open_markers(path: &Path) -> Result<Arc<dyn MarkerSource>, MarkerStoreError> {
    check_not_empty(path)?;
    match open_sealed_markers(path) {
        Err(MarkerStoreError::File(FileError::NotSealed { .. })) => {}
        opened => return opened,
    }
    let database = open_unclosed(path, CACHE_BYTES)?;
    let transaction = database.begin_read().map_err(MarkerStoreError::redb)?;
    read_manifest(&transaction)?;
    Ok(Arc::new(RedbMarkerSource::Left { transaction, _unclosed: database }))
}

fn write_new_sidecar(
    transaction: &WriteTransaction,
    manifest: &MarkerManifest,
) -> Result<(), redb::Error> {
    transaction.open_table(BLOCKS)?;
    transaction.open_table(STREAMS)?;
    let format = MARKER_FORMAT_VERSION.to_le_bytes();
    transaction.open_table(META)?.insert(FORMAT_ROW, format.as_slice())?;
    put_manifest(transaction, manifest)
}

fn put_manifest(
    transaction: &WriteTransaction,
    manifest: &MarkerManifest,
) -> Result<(), redb::Error> {
    let row = encode_marker_manifest(manifest);
    transaction.open_table(META)?.insert(MANIFEST_ROW, row.as_slice())?;
    Ok(())
}

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

fn read_manifest(transaction: &ReadTransaction) -> Result<MarkerManifest, MarkerStoreError> {
    let version = meta(transaction, FORMAT_ROW)?;
    let version = version.try_into().map(u64::from_le_bytes);
    let found = version.map_err(|_| MarkerStoreError::Missing { what: "format version" })?;
    if found != MARKER_FORMAT_VERSION {
        return Err(MarkerStoreError::Version { found, expected: MARKER_FORMAT_VERSION });
    }
    Ok(decode_marker_manifest(&meta(transaction, MANIFEST_ROW)?)?)
}

/// The manifest of an unsealed sidecar that may be reopened.
fn left_manifest(transaction: &ReadTransaction) -> Result<MarkerManifest, MarkerStoreError> {
    let manifest = read_manifest(transaction)?;
    match manifest.status {
        RunStatus::Running => Ok(manifest),
        status => Err(MarkerStoreError::Sealed { status }),
    }
}

enum RedbMarkerSource {
    /// A file that is being written. Each read sees what is committed by then.
    Live(Snapshots),
    Sealed(ReadTransaction),
    /// A file that was not closed. Reading ends with the database.
    Left {
        transaction: ReadTransaction,
        _unclosed: Database,
    },
}

impl RedbMarkerSource {
    fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, MarkerStoreError>,
    ) -> Result<T, MarkerStoreError> {
        match self {
            Self::Live(snapshots) => read(&snapshots.begin_read().map_err(MarkerStoreError::redb)?),
            Self::Sealed(transaction) | Self::Left { transaction, .. } => read(transaction),
        }
    }

    fn table<K: Key, V: Value>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<ReadOnlyTable<K, V>, MarkerStoreError> {
        self.read(|transaction| transaction.open_table(definition).map_err(MarkerStoreError::redb))
    }
}

impl MarkerSource for RedbMarkerSource {
    fn manifest(&self) -> Result<MarkerManifest, MarkerStoreError> {
        self.read(read_manifest)
    }

    fn streams(&self) -> Result<Vec<(u32, Bytes)>, MarkerStoreError> {
        let table = self.table(STREAMS)?;
        let mut streams = Vec::new();
        for row in table.iter().map_err(MarkerStoreError::redb)? {
            let (slot, row) = row.map_err(MarkerStoreError::redb)?;
            streams.push((slot.value(), Bytes::copy_from_slice(row.value())));
        }
        Ok(streams)
    }

    fn block_at_or_after(&self, from: u64) -> Result<Option<(u64, Bytes)>, MarkerStoreError> {
        let table = self.table(BLOCKS)?;
        let mut range = table.range(from..).map_err(MarkerStoreError::redb)?;
        let Some(row) = range.next() else { return Ok(None) };
        let (first, block) = row.map_err(MarkerStoreError::redb)?;
        // A damaged tree may return a row outside the range. A walk that accepted it might never
        // end.
        if first.value() < from {
            return Err(MarkerStoreError::unordered(from));
        }
        Ok(Some((first.value(), Bytes::copy_from_slice(block.value()))))
    }
}
