use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::SkippedFile;
use crate::format::stream_mark_lines;
use crate::markers::{
    DataMarkerConfig, MarkerBackend, MarkerLane, MarkerScope, MarkerStoreError, MarkerTap,
    RedbMarkerBackend,
};
use crate::model::{MarkerCounts, MarkerManifest, RunId, RunStatus};
use crate::protocol::Watermark;
use crate::store::{guarded, sidecar_path};
use crate::writer::{MarkerInlet, MarkerOutlet, marker_channel};

/// The data-marker sidecar of the run that is being recorded.
pub(super) struct Sidecar {
    lane: MarkerLane,
    scope: Arc<MarkerScope>,
}

/// A sidecar that is made, for a writer that is about to start.
pub(super) struct NewSidecar {
    backend: Box<dyn MarkerBackend>,
    inlet: MarkerInlet,
    scope: Arc<MarkerScope>,
}

impl NewSidecar {
    /// Makes the sidecar of a run on `backend`, and the way from the writer to it. Where that fails, the run goes on
    /// without.
    pub(super) fn make(
        mut backend: Box<dyn MarkerBackend>,
        run_id: RunId,
        config: &DataMarkerConfig,
        name_bytes_max: usize,
        scope: MarkerScope,
    ) -> Option<(Self, MarkerOutlet)> {
        let manifest = MarkerManifest {
            run_id,
            enabled_classes: config.classes.clone(),
            high_fidelity: config.high_fidelity.clone(),
            counts: MarkerCounts::default(),
            status: RunStatus::Running,
        };
        if let Err(error) = backend.open(manifest) {
            return warn(&error);
        }
        // Marks with high fidelity take two lines. An announcement that never fits would hold back all that comes after.
        let lines = (2 * config.channel_capacity).max(stream_mark_lines(name_bytes_max));
        let (outlet, inlet) = marker_channel(lines);
        Some((Self { backend, inlet, scope: Arc::new(scope) }, outlet))
    }

    /// Starts to record what a writer with this watermark sends.
    pub(super) fn start(
        self,
        watermark: Watermark,
        config: &DataMarkerConfig,
        patience: Duration,
    ) -> Option<Sidecar> {
        let Self { backend, inlet, scope } = self;
        match MarkerLane::start(backend, inlet, watermark, config, patience) {
            Ok(lane) => Some(Sidecar { lane, scope }),
            Err(error) => warn(&error),
        }
    }
}

impl Sidecar {
    pub(super) fn tap(&self) -> MarkerTap {
        MarkerTap::new(Arc::clone(&self.scope))
    }

    /// Seals the sidecar of a run that was closed in order.
    pub(super) fn seal(self) -> Option<MarkerManifest> {
        self.lane.seal(RunStatus::Ended).map_or_else(|error| warn(&error), Some)
    }
}

fn warn<T>(error: &MarkerStoreError) -> Option<T> {
    tracing::warn!("the run has no sound data markers: {error}");
    None
}

/// Seals what a process that died has left of the sidecar of the run at `run`. Returns what is wrong with it.
pub(super) fn recover(run: &Path) -> Option<SkippedFile> {
    let path = sidecar_path(run);
    let recovered = guarded(|| RedbMarkerBackend::new(&path).recover());
    let error = match recovered {
        Ok(Ok(MarkerManifest { status: status @ RunStatus::Quarantined, .. })) => {
            format!("it is damaged ({status}): `tapline verify` says what is wrong")
        }
        Ok(Ok(_) | Err(MarkerStoreError::Sealed { .. } | MarkerStoreError::NotFound { .. })) => {
            return None;
        }
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic,
    };
    Some(SkippedFile { path, error })
}
