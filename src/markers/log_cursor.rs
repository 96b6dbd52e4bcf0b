use std::collections::{BTreeMap, BTreeSet};

use super::{MarkerBatch, MarkerStoreError};
use crate::model::{Marker, MarkerCounts, MarkerManifest, RunStatus, StreamDictEntry};

/// What is in a sidecar that is being written, and whether it can still be written. Both backends
/// use it.
#[derive(Debug, Clone)]
pub(super) struct LogCursor {
    /// With the counts so far.
    pub(super) manifest: MarkerManifest,
    /// From the first to the last marker of each range without a gap between batches.
    ranges: BTreeMap<u64, u64>,
    slots: BTreeSet<u32>,
}

impl LogCursor {
    /// For a new sidecar.
    pub(super) fn fresh(manifest: MarkerManifest) -> Self {
        let counts = MarkerCounts::default();
        let manifest = MarkerManifest { status: RunStatus::Running, counts, ..manifest };
        Self { manifest, ranges: BTreeMap::new(), slots: BTreeSet::new() }
    }

    /// Checks that the batch can be appended. Returns the first and the last number of its markers.
    pub(super) fn check(
        &self,
        batch: &MarkerBatch,
    ) -> Result<Option<(u64, u64)>, MarkerStoreError> {
        self.check_open()?;
        let mut slots = BTreeSet::new();
        for StreamDictEntry { slot, .. } in &batch.streams {
            if self.slots.contains(slot) || !slots.insert(slot) {
                return Err(MarkerStoreError::StreamWritten { slot: *slot });
            }
        }
        let spans = || batch.markers.iter().map(Marker::marker_seqs);
        let (Some((from, _)), Some((_, to))) = (spans().next(), spans().next_back()) else {
            return Ok(None);
        };
        let rises = spans().all(|(from, to)| from > 0 && from <= to)
            && spans().zip(spans().skip(1)).all(|((_, to), (next, _))| to < next);
        let before = self.ranges.range(..=to).next_back();
        if rises && before.is_none_or(|(_, last)| *last < from) {
            Ok(Some((from, to)))
        } else {
            Err(MarkerStoreError::OutOfOrder { from, to })
        }
    }

    /// Counts a batch that was appended. `span` is the result of [`check`](Self::check).
    pub(super) fn appended(&mut self, batch: &MarkerBatch, span: Option<(u64, u64)>) {
        if let Some((from, to)) = span {
            // Batches that follow each other share one range, however many they are.
            match self.ranges.range_mut(..from).next_back() {
                Some((_, last)) if *last + 1 == from => *last = to,
                _ => drop(self.ranges.insert(from, to)),
            }
        }
        self.slots.extend(batch.streams.iter().map(|stream| stream.slot));
        self.manifest = self.manifest_with(batch);
    }

    /// The manifest once this batch is appended.
    pub(super) fn manifest_with(&self, batch: &MarkerBatch) -> MarkerManifest {
        let mut counts = self.manifest.counts;
        batch.markers.iter().for_each(|marker| counts.add(marker));
        counts.dict += batch.streams.len() as u64;
        MarkerManifest { counts, ..self.manifest.clone() }
    }

    /// The manifest of the sealed sidecar.
    pub(super) fn sealed_manifest(
        &self,
        status: RunStatus,
    ) -> Result<MarkerManifest, MarkerStoreError> {
        self.check_open()?;
        if !status.is_sealed() {
            return Err(MarkerStoreError::AsRunning);
        }
        Ok(MarkerManifest { status, ..self.manifest.clone() })
    }

    fn check_open(&self) -> Result<(), MarkerStoreError> {
        let status = self.manifest.status;
        if status.is_sealed() { Err(MarkerStoreError::Sealed { status }) } else { Ok(()) }
    }
}
