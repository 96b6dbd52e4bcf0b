use std::sync::Arc;

use super::EventStoreConfig;
use crate::engine::{MarkerOutlet, Shared, marker_channel};
use crate::format::stream_mark_lines;
use crate::markers::{
    DataMarkerConfig, MarkerBackend, MarkerScope, MarkerStoreError, MarkerTap, SidecarThread,
};
use crate::model::{MarkerCounts, MarkerManifest, RunId, RunStatus, error_chain};

/// The data-marker sidecar of the run that is being recorded.
pub(super) struct Sidecar {
    thread: SidecarThread,
    scope: Arc<MarkerScope>,
}

impl Sidecar {
    /// Makes the sidecar of a run on `backend`, and the channel to it for a writer that is about to
    /// start. If that fails, or takes longer than the run may take to start, the run goes on
    /// without a sidecar.
    pub(super) fn open(
        backend: Box<dyn MarkerBackend>,
        run_id: RunId,
        config: &EventStoreConfig,
        markers: &DataMarkerConfig,
        scope: MarkerScope,
    ) -> Option<(Self, MarkerOutlet)> {
        let manifest = MarkerManifest {
            run_id,
            enabled_classes: markers.classes.clone(),
            high_fidelity: markers.high_fidelity.clone(),
            counts: MarkerCounts::default(),
            status: RunStatus::Running,
        };
        // Marks with high fidelity take two lines. The ring must hold the longest announcement,
        // because one that never fits would block everything after it.
        let announcement_lines = stream_mark_lines(config.writer.name_bytes_max);
        let (outlet, inlet) =
            marker_channel((2 * markers.channel_capacity).max(announcement_lines));
        // The run itself has to open in what is left of that time.
        let (open, close) = (config.run_started_timeout / 4, config.writer.close_timeout);
        match SidecarThread::open(backend, manifest, inlet, markers, open, close) {
            Ok(thread) => Some((Self { thread, scope: Arc::new(scope) }, outlet)),
            Err(error) => warn(&error),
        }
    }

    /// Starts to record the marks that the writer of this engine sends.
    pub(super) fn record(&self, engine: Arc<Shared>) {
        self.thread.record(engine);
    }

    pub(super) fn tap(&self) -> MarkerTap {
        MarkerTap::new(Arc::clone(&self.scope))
    }

    /// Seals the sidecar of a run that was closed in order.
    pub(super) fn seal(self) -> Option<MarkerManifest> {
        self.thread.seal(RunStatus::Ended).map_or_else(|error| warn(&error), Some)
    }
}

fn warn<T>(error: &MarkerStoreError) -> Option<T> {
    tracing::warn!("the run has no sound data markers: {}", error_chain(error));
    None
}
