//! What is recorded in a sidecar, and what is found there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastrand::Rng;
use tapline::internals::error_chain;
use tapline::markers::{
    MarkerBatch, MarkerReader, MarkerSource, MarkerVerifier, open_sealed_markers,
};
use tapline::{
    DataCursorSnapshot, DataMarkerClass, Hash, HiFiMarker, Marker, MarkerCounts, MarkerGap,
    MarkerGapReason, MarkerManifest, RunStatus, StreamCursor, StreamDictEntry, UnixNanos,
};

use crate::support::manifest;
use crate::workload::Expected;

/// How many of the recorded markers there are, from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SidecarState {
    streams: usize,
    markers: usize,
    /// True if its own node sealed it.
    pub(crate) is_sealed: bool,
}

impl SidecarState {
    /// True if this sidecar has less content than `other`.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.streams <= other.streams && self.markers <= other.markers && !self.is_sealed
    }

    /// For a sidecar in memory that is being recorded.
    pub(crate) fn of_recorded(source: Arc<dyn MarkerSource>) -> Self {
        let reader = MarkerReader::new(source);
        let status = reader.manifest().expect("memory is readable").status;
        Self {
            streams: reader.streams().expect("memory is readable").len(),
            markers: reader.scan().count(),
            is_sealed: status.is_sealed(),
        }
    }

    /// For the sidecar beside the sealed run at `run`, if there is one. Checks that it verifies,
    /// and that its content is the beginning of what was recorded.
    pub(crate) fn of_sealed(
        run: &Path,
        watermark: u64,
        expected: &Expected,
    ) -> Result<Option<Self>, String> {
        let path = sidecar_path(run);
        if !path.exists() {
            return Ok(None);
        }
        let source = open_sealed_markers(&path).map_err(|error| error_chain(&error))?;
        let verifier = MarkerVerifier::new(Arc::clone(&source));
        let report = verifier.beside(expected.manifest.run_id, watermark).run();
        if !report.is_clean() {
            return Err(format!("the sidecar has {:?}", report.findings));
        }
        let reader = MarkerReader::new(source);
        let streams = reader.streams().map_err(|error| error_chain(&error))?;
        let markers: Result<Vec<_>, _> =
            reader.scan().map(|stored| stored.map(|stored| stored.marker)).collect();
        let mut markers = markers.map_err(|error| error_chain(&error))?;
        let status = reader.manifest().map_err(|error| error_chain(&error))?.status;
        // Recovery has added a gap: some markers may be missing.
        let is_told = |marker: &mut Marker| {
            matches!(marker, Marker::Gap(MarkerGap { reason: MarkerGapReason::WriterClosed, .. }))
        };
        if status == RunStatus::CrashedRecovered && markers.pop_if(is_told).is_none() {
            return Err("recovery has not said that markers may be missing".to_owned());
        }
        if !expected.streams.starts_with(&streams) || !expected.markers.starts_with(&markers) {
            return Err("the sidecar has what was not recorded".to_owned());
        }
        let is_sealed = match status {
            RunStatus::Ended => true,
            RunStatus::CrashedRecovered => false,
            status => return Err(format!("the sidecar is {status}")),
        };
        Ok(Some(Self { streams: streams.len(), markers: markers.len(), is_sealed }))
    }
}

pub(crate) fn sidecar_path(run: &Path) -> PathBuf {
    run.with_extension("markers.redb")
}

/// The manifest of the sidecar before it is opened.
pub(crate) fn marker_manifest() -> MarkerManifest {
    MarkerManifest {
        run_id: manifest(1).run_id,
        enabled_classes: vec![DataMarkerClass::Trade],
        // More than are ever used.
        high_fidelity: (0..1000).map(|slot| stream(slot).identifier).collect(),
        counts: MarkerCounts::default(),
        status: RunStatus::Running,
    }
}

/// Makes batches. Each continues where the one before ended.
#[derive(Debug, Default)]
pub(crate) struct MarkerMaker {
    /// How many data of each stream were seen.
    seen: Vec<u64>,
    marker_seq: u64,
}

impl MarkerMaker {
    /// Markers that come after entry `event_seq_before`.
    pub(crate) fn batch(&mut self, event_seq_before: u64, lot: &mut Rng) -> MarkerBatch {
        let mut batch = MarkerBatch::default();
        for _ in 0..lot.usize(1..30) {
            if self.seen.is_empty() || lot.u8(..) < 10 {
                batch.streams.push(stream(self.seen.len() as u32));
                self.seen.push(0);
            }
            batch.markers.push(self.marker(event_seq_before, lot));
        }
        batch
    }

    fn marker(&mut self, event_seq_before: u64, lot: &mut Rng) -> Marker {
        self.marker_seq += 1;
        let marker_seq = self.marker_seq;
        if lot.u8(..) < 10 {
            let to = marker_seq + lot.u64(..5);
            self.marker_seq = to;
            let reason = MarkerGapReason::Overflow;
            return Marker::Gap(MarkerGap { from: marker_seq, to, reason });
        }
        let slot = lot.usize(..self.seen.len());
        self.seen[slot] += lot.u64(1..100);
        let (slot, count) = (slot as u32, self.seen[slot]);
        let ts_init = UnixNanos::new(1_000 * marker_seq);
        if lot.bool() {
            let record_fingerprint = Hash::of(&marker_seq.to_le_bytes());
            return Marker::HiFi(HiFiMarker {
                marker_seq,
                event_seq_before,
                slot,
                ts_event: ts_init,
                ts_init,
                same_ts_ordinal: 0,
                record_fingerprint,
            });
        }
        let advanced = vec![StreamCursor { slot, ts_init_hi: ts_init, count }];
        Marker::Cursor(DataCursorSnapshot { marker_seq, event_seq_before, ts_init, advanced })
    }
}

fn stream(slot: u32) -> StreamDictEntry {
    let identifier = format!("ES{slot}.CME");
    StreamDictEntry { slot, data_cls: DataMarkerClass::Trade, identifier }
}
