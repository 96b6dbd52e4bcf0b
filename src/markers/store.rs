use std::sync::Arc;

use bytes::Bytes;

use super::MarkerStoreError;
use crate::model::{Marker, MarkerManifest, RunStatus, StreamDictEntry};

/// Markers that become durable together, in order, with the streams that they name first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkerBatch {
    /// New streams.
    pub streams: Vec<StreamDictEntry>,
    /// The markers.
    pub markers: Vec<Marker>,
}

impl MarkerBatch {
    /// True if the batch has no streams and no markers.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.markers.is_empty()
    }
}

/// The write side of a sidecar. Keeps the markers of one run.
pub trait MarkerBackend: Send {
    /// Makes a sidecar. Ignores the status and counts in `manifest`: they begin as `Running` and
    /// zero.
    fn open(&mut self, manifest: MarkerManifest) -> Result<(), MarkerStoreError>;

    /// Appends a batch and makes it durable. Batches can come in any order. The markers of a batch
    /// rise, and the ranges of two batches do not overlap. No two streams have one slot.
    fn append(&mut self, batch: &MarkerBatch) -> Result<(), MarkerStoreError>;

    /// Seals the sidecar with its counts. Returns the manifest.
    fn seal(&mut self, status: RunStatus) -> Result<MarkerManifest, MarkerStoreError>;

    /// The read side of the sidecar; `None` if none is open.
    fn source(&self) -> Option<Arc<dyn MarkerSource>>;
}

/// The read side of a sidecar: its rows as stored.
pub trait MarkerSource: Send + Sync {
    /// The manifest.
    fn manifest(&self) -> Result<MarkerManifest, MarkerStoreError>;

    /// The rows of the dictionary with their slots, by slot.
    fn streams(&self) -> Result<Vec<(u32, Bytes)>, MarkerStoreError>;

    /// The first block at or after marker `from`, with the number of its first marker.
    fn block_at_or_after(&self, from: u64) -> Result<Option<(u64, Bytes)>, MarkerStoreError>;
}
