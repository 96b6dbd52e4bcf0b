use std::error::Error;
use std::path::Path;

use super::EventStoreConfig;
use crate::capture::EncoderRegistry;
use crate::markers::{ExtractorRegistry, MarkerBackend, RedbMarkerBackend};
use crate::model::{DataMarkerClass, RunManifest};
use crate::protocol::HaltReason;
use crate::store::EventStore;

type MakeEncoders = dyn Fn() -> Result<EncoderRegistry, Box<dyn Error + Send + Sync>>;
type MakeExtractors =
    dyn Fn(&[DataMarkerClass]) -> Result<ExtractorRegistry, Box<dyn Error + Send + Sync>>;
type OpenBackend = dyn Fn(
    &EventStoreConfig,
    &RunManifest,
) -> Result<Box<dyn EventStore>, Box<dyn Error + Send + Sync>>;
pub(super) type OpenMarkers = dyn Fn(&Path) -> Box<dyn MarkerBackend>;
type OnHalt = dyn Fn(&HaltReason) + Send + Sync;

/// What a node's code decides, as opposed to its configuration. Lives as long as the process and is
/// never stored.
pub struct LifecycleOptions {
    /// Makes the list of message types to capture, once for each run.
    pub encoder_registry: Box<MakeEncoders>,
    /// Makes the list of market data to mark, once for each run with
    /// [`data_markers`](EventStoreConfig::data_markers), whose classes it is given. Data of other
    /// classes is not marked, whatever is registered.
    pub extractor_registry: Box<MakeExtractors>,
    /// Opens the backend that a run is recorded to, once for each run. It is given the manifest of
    /// the run, which will be opened on the backend. Default: redb files below `base_dir`. The boot
    /// sweep looks after those files only.
    pub backend_opener: Box<OpenBackend>,
    /// Makes the backend of a run's data-marker sidecar, which belongs at the given path. Default:
    /// a redb file.
    pub marker_opener: Box<OpenMarkers>,
    /// Called once in each run that halts, on the thread that halts it. It must not wait for the
    /// engine.
    pub on_halt: std::sync::Arc<OnHalt>,
    /// True: records without a writer thread. Each submit commits on its own thread and is durable
    /// when it returns. For deterministic simulation; see
    /// `EventStoreWriter::inline`.
    pub is_inline: bool,
}

impl Default for LifecycleOptions {
    /// Captures and marks nothing through taps, records to files, and only logs a halt.
    fn default() -> Self {
        Self {
            encoder_registry: Box::new(|| Ok(EncoderRegistry::new())),
            extractor_registry: Box::new(|_classes| Ok(ExtractorRegistry::new())),
            backend_opener: Box::new(|config, _manifest| Ok(Box::new(config.files()))),
            marker_opener: Box::new(|path| Box::new(RedbMarkerBackend::new(path))),
            on_halt: std::sync::Arc::new(|reason| tracing::error!("the run is halted: {reason}")),
            is_inline: false,
        }
    }
}
