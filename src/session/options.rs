use std::error::Error;
use std::path::Path;

use super::EventStoreConfig;
use crate::capture::EncoderRegistry;
use crate::markers::{ExtractorRegistry, MarkerBackend, RedbMarkerBackend};
use crate::protocol::HaltReason;
use crate::store::{EventStore, RedbBackend};

type MakeEncoders = dyn Fn() -> Result<EncoderRegistry, Box<dyn Error + Send + Sync>>;
type MakeExtractors = dyn Fn() -> Result<ExtractorRegistry, Box<dyn Error + Send + Sync>>;
type OpenBackend =
    dyn Fn(&EventStoreConfig) -> Result<Box<dyn EventStore>, Box<dyn Error + Send + Sync>>;
pub(super) type OpenMarkers = dyn Fn(&Path) -> Box<dyn MarkerBackend>;
type OnHalt = dyn Fn(&HaltReason) + Send + Sync;

/// What a node's code, not its configuration, decides. Lives as long as the process and is never written
/// anywhere.
pub struct LifecycleOptions {
    /// Makes the allow-list of what is captured, once for each run.
    pub encoder_registry: Box<MakeEncoders>,
    /// Makes the registry of what market data is marked, once for each run with
    /// [`data_markers`](EventStoreConfig::data_markers).
    pub extractor_registry: Box<MakeExtractors>,
    /// Opens the backend that a run is recorded to, once for each run. Default: redb files below
    /// `base_dir`, which are also what the boot sweep looks after.
    pub backend_opener: Box<OpenBackend>,
    /// Gives the backend of a run's data-marker sidecar, which belongs at that path. Default: a redb file.
    pub marker_opener: Box<OpenMarkers>,
    /// Called once in each run that halts, on the thread that halts it: it must not wait for the engine.
    pub on_halt: std::sync::Arc<OnHalt>,
    /// Records without a writer thread: each submit commits on the thread that submits, and is durable when it
    /// returns. For deterministic simulation; see [`EventStoreWriter::inline`](crate::engine::EventStoreWriter::inline).
    pub is_inline: bool,
}

impl Default for LifecycleOptions {
    /// Nothing is captured or marked through taps, runs are files, and a halt is only logged.
    fn default() -> Self {
        Self {
            encoder_registry: Box::new(|| Ok(EncoderRegistry::new())),
            extractor_registry: Box::new(|| Ok(ExtractorRegistry::new())),
            backend_opener: Box::new(|config| {
                Ok(Box::new(RedbBackend::with_disk_mode(&config.base_dir, config.disk_mode)))
            }),
            marker_opener: Box::new(|path| Box::new(RedbMarkerBackend::new(path))),
            on_halt: std::sync::Arc::new(|reason| tracing::error!("the run is halted: {reason}")),
            is_inline: false,
        }
    }
}
