use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::log_cursor::LogCursor;
use super::{MarkerBackend, MarkerBatch, MarkerSource, MarkerStoreError};
use crate::format::MarkerCodec;
use crate::model::{MarkerManifest, RunStatus};
use crate::store::FileError;

/// A [`MarkerBackend`] without a disk, for tests and simulation. One behavioural suite runs over it
/// and [`RedbMarkerBackend`](super::RedbMarkerBackend).
#[derive(Default)]
pub struct MemoryMarkerBackend {
    codec: MarkerCodec,
    sidecar: Option<Arc<Mutex<Sidecar>>>,
}

#[derive(Debug)]
struct Sidecar {
    cursor: LogCursor,
    streams: BTreeMap<u32, Bytes>,
    blocks: BTreeMap<u64, Bytes>,
}

impl MemoryMarkerBackend {
    /// A backend without a sidecar.
    pub fn new() -> Self {
        Self::default()
    }

    fn opened(&self) -> Result<MutexGuard<'_, Sidecar>, MarkerStoreError> {
        self.sidecar.as_ref().map(lock).ok_or(MarkerStoreError::NotOpen)
    }
}

fn lock(sidecar: &Arc<Mutex<Sidecar>>) -> MutexGuard<'_, Sidecar> {
    sidecar.lock().expect("no holder of this lock can panic")
}

impl MarkerBackend for MemoryMarkerBackend {
    fn open(&mut self, manifest: MarkerManifest) -> Result<(), MarkerStoreError> {
        if self.sidecar.is_some() {
            return Err(FileError::Exists { path: PathBuf::from("memory") }.into());
        }
        let cursor = LogCursor::fresh(manifest);
        let sidecar = Sidecar { cursor, streams: BTreeMap::new(), blocks: BTreeMap::new() };
        self.sidecar = Some(Arc::new(Mutex::new(sidecar)));
        Ok(())
    }

    fn append(&mut self, batch: &MarkerBatch) -> Result<(), MarkerStoreError> {
        let mut sidecar = self.opened()?;
        let span = sidecar.cursor.check(batch)?;
        let rows = batch.streams.iter();
        let rows = rows.map(|stream| (stream.slot, self.codec.encode_stream(stream).into()));
        sidecar.streams.extend(rows);
        if let Some((from, _)) = span {
            sidecar.blocks.insert(from, self.codec.encode_block(&batch.markers).into());
        }
        sidecar.cursor.appended(batch, span);
        Ok(())
    }

    fn seal(&mut self, status: RunStatus) -> Result<MarkerManifest, MarkerStoreError> {
        let mut sidecar = self.opened()?;
        let manifest = sidecar.cursor.sealed_manifest(status)?;
        sidecar.cursor.manifest = manifest.clone();
        Ok(manifest)
    }

    fn source(&self) -> Option<Arc<dyn MarkerSource>> {
        Some(Arc::new(MemorySource(Arc::clone(self.sidecar.as_ref()?))))
    }
}

struct MemorySource(Arc<Mutex<Sidecar>>);

impl MarkerSource for MemorySource {
    fn manifest(&self) -> Result<MarkerManifest, MarkerStoreError> {
        Ok(lock(&self.0).cursor.manifest.clone())
    }

    fn streams(&self) -> Result<Vec<(u32, Bytes)>, MarkerStoreError> {
        Ok(lock(&self.0).streams.iter().map(|(slot, row)| (*slot, row.clone())).collect())
    }

    fn block_at_or_after(&self, from: u64) -> Result<Option<(u64, Bytes)>, MarkerStoreError> {
        let sidecar = lock(&self.0);
        let block = sidecar.blocks.range(from..).next();
        Ok(block.map(|(first, block)| (*first, block.clone())))
    }
}
