use std::path::Path;
use std::sync::Arc;

use super::{EventStoreConfig, LifecycleOptions};
use crate::capture::EncoderRegistry;
use crate::engine::{MarkerInlet, MarkerOutlet, Shared, marker_channel};
use crate::format::stream_mark_lines;
use crate::markers::{
    DataMarkerConfig, ExtractorRegistry, MarkerScope, MarkerStoreError, MarkerTap, SidecarThread,
};
use crate::model::{MarkerCounts, MarkerManifest, RunId, RunStatus, error_chain};
use crate::store::sidecar_path;

/// Whether a run's market data is marked. A run is recorded in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MarkerStatus {
    /// The configuration has no `data_markers`.
    Off,
    /// The sidecar is being written.
    Recording,
    /// The sidecar is being written but stays empty, because no extractor is registered.
    NoExtractors,
    /// There is no sidecar, or it takes no more markers.
    Failed {
        /// What went wrong.
        error: String,
    },
}

/// The data-marker sidecar of the run that is being recorded.
pub(super) enum Sidecar {
    Off,
    /// It could not be made.
    Failed {
        error: String,
    },
    Open {
        thread: SidecarThread,
        scope: Arc<MarkerScope>,
    },
}

/// What the node's code wants to have marked.
pub(super) enum Extractors {
    NotAsked,
    Failed { error: String },
    Made(ExtractorRegistry),
}

impl Extractors {
    /// Asks the node's code, if data is to be marked at all. Without extractors the run is recorded
    /// all the same.
    pub(super) fn make(config: &EventStoreConfig, options: &LifecycleOptions) -> Self {
        let Some(markers) = &config.data_markers else { return Self::NotAsked };
        match (options.extractor_registry)(&markers.classes) {
            Ok(registry) => {
                if registry.is_empty() {
                    tracing::warn!(
                        "data_markers is set, but no extractor is registered: no market data will \
                         be marked; register extractors, or remove data_markers"
                    );
                }
                Self::Made(registry)
            }
            Err(error) => {
                let error = format!("the extractors could not be made: {}", error_chain(&*error));
                tracing::warn!("no data markers are recorded: {error}");
                Self::Failed { error }
            }
        }
    }
}

impl Sidecar {
    /// Makes the sidecar of the run at `path`, and the channel to it for a writer that is about to
    /// start. If that fails, or takes longer than the run may take to start, the run goes on
    /// without a sidecar.
    pub(super) fn open(
        extractors: Extractors,
        encoders: &EncoderRegistry,
        config: &EventStoreConfig,
        options: &LifecycleOptions,
        run_id: RunId,
        path: &Path,
    ) -> (Self, Option<MarkerOutlet>) {
        let (extractors, markers) = match (extractors, &config.data_markers) {
            (Extractors::Made(extractors), Some(markers)) => (extractors, markers),
            (Extractors::Failed { error }, _) => return (Self::Failed { error }, None),
            _ => return (Self::Off, None),
        };
        let manifest = MarkerManifest {
            run_id,
            enabled_classes: markers.classes.clone(),
            high_fidelity: markers.high_fidelity.clone(),
            counts: MarkerCounts::default(),
            status: RunStatus::Running,
        };
        let scope = MarkerScope::new(extractors, |message| encoders.captures(message), markers);
        let (outlet, inlet) = channel(config, markers);
        let backend = (options.marker_opener)(&sidecar_path(path));
        // The run itself has to open in what is left of that time.
        let (open, close) = (config.run_started_timeout / 4, config.writer.close_timeout);
        match SidecarThread::open(backend, manifest, inlet, markers, open, close) {
            Ok(thread) => (Self::Open { thread, scope: Arc::new(scope) }, Some(outlet)),
            Err(error) => {
                warn(&error);
                (Self::Failed { error: error_chain(&error) }, None)
            }
        }
    }

    /// Starts to record the marks that the writer of this engine sends.
    pub(super) fn record(&self, engine: &Arc<Shared>) {
        if let Self::Open { thread, .. } = self {
            thread.record(Arc::clone(engine));
        }
    }

    pub(super) fn tap(&self) -> Option<MarkerTap> {
        match self {
            Self::Open { scope, .. } => Some(MarkerTap::new(Arc::clone(scope))),
            Self::Off | Self::Failed { .. } => None,
        }
    }

    pub(super) fn status(&self) -> MarkerStatus {
        match self {
            Self::Off => MarkerStatus::Off,
            Self::Failed { error } => MarkerStatus::Failed { error: error.clone() },
            Self::Open { thread, scope } => match thread.failure() {
                Some(error) => MarkerStatus::Failed { error },
                None if scope.is_empty() => MarkerStatus::NoExtractors,
                None => MarkerStatus::Recording,
            },
        }
    }

    /// Seals the sidecar of a run that was closed in order.
    pub(super) fn seal(self) -> Option<MarkerManifest> {
        let Self::Open { thread, .. } = self else { return None };
        thread.seal(RunStatus::Ended).inspect_err(warn).ok()
    }
}

fn channel(config: &EventStoreConfig, markers: &DataMarkerConfig) -> (MarkerOutlet, MarkerInlet) {
    // Marks with high fidelity take two lines. The ring must hold the longest announcement, because
    // one that never fits would block everything after it.
    let announcement_lines = stream_mark_lines(config.writer.name_bytes_max);
    marker_channel((2 * markers.channel_capacity).max(announcement_lines))
}

fn warn(error: &MarkerStoreError) {
    tracing::warn!("the run has no sound data markers: {}", error_chain(error));
}
