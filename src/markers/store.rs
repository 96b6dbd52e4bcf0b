use std::sync::Arc;

use bytes::Bytes;

use super::MarkerStoreError;
use crate::model::{Marker, MarkerManifest, RunStatus, StreamDictEntry};

/// Markers that become durable together, in order, with the streams they are the first to name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkerBatch {
    /// New streams.
    pub streams: Vec<StreamDictEntry>,
    /// The markers.
    pub markers: Vec<Marker>,
}

impl MarkerBatch {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.markers.is_empty()
    }
}

/// The write side of a sidecar: where the markers of one run are kept.
pub trait MarkerBackend: Send {
    /// Makes a sidecar. Whatever `manifest` says of them, its status is `Running` and its counts
    /// are zero.
    fn open(&mut self, manifest: MarkerManifest) -> Result<(), MarkerStoreError>;

    /// Appends a batch, which is durable when this returns. Batches can come in any order; the
    /// markers in one rise, and no batch reaches into another.
    fn append(&mut self, batch: &MarkerBatch) -> Result<(), MarkerStoreError>;

    /// Seals the sidecar, with what is in it counted. Returns its manifest.
    fn seal(&mut self, status: RunStatus) -> Result<MarkerManifest, MarkerStoreError>;

    /// What reads the sidecar; `None` where none is open.
    fn source(&self) -> Option<Arc<dyn MarkerSource>>;
}

/// The read side of a sidecar: its rows, as they are stored.
pub trait MarkerSource: Send + Sync {
    /// The manifest.
    fn manifest(&self) -> Result<MarkerManifest, MarkerStoreError>;

    /// The rows of the dictionary, with the slots they are stored under, by slot.
    fn streams(&self) -> Result<Vec<(u32, Bytes)>, MarkerStoreError>;

    /// The first block at or behind the marker `from`, with the number of its first marker.
    fn block_at_or_after(&self, from: u64) -> Result<Option<(u64, Bytes)>, MarkerStoreError>;
}
