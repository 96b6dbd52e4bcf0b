use std::collections::{BTreeMap, BTreeSet};

use super::{MarkerBatch, MarkerStoreError};
use crate::model::{Marker, MarkerCounts, MarkerManifest, RunStatus};

/// What both backends keep of the sidecar they write: what is in it, and whether it can still be written.
#[derive(Debug, Clone)]
pub(super) struct LogCursor {
    pub(super) manifest: MarkerManifest,
    counts: MarkerCounts,
    /// First and last marker of each stretch of blocks.
    stretches: BTreeMap<u64, u64>,
    slots: BTreeSet<u32>,
}

impl LogCursor {
    /// Of a new sidecar.
    pub(super) fn fresh(manifest: MarkerManifest) -> Self {
        let counts = MarkerCounts::default();
        let manifest = MarkerManifest { status: RunStatus::Running, counts, ..manifest };
        Self { manifest, counts, stretches: BTreeMap::new(), slots: BTreeSet::new() }
    }

    /// Whether the batch can be appended; if so, the first and the last number of its markers.
    pub(super) fn check(
        &self,
        batch: &MarkerBatch,
    ) -> Result<Option<(u64, u64)>, MarkerStoreError> {
        self.check_open()?;
        if let Some(again) = batch.streams.iter().find(|stream| self.slots.contains(&stream.slot)) {
            return Err(MarkerStoreError::StreamWritten { slot: again.slot });
        }
        let spans = || batch.markers.iter().map(Marker::marker_seqs);
        let (Some((from, _)), Some((_, to))) = (spans().next(), spans().next_back()) else {
            return Ok(None);
        };
        let rises = spans().all(|(from, to)| from > 0 && from <= to)
            && spans().zip(spans().skip(1)).all(|((_, to), (next, _))| to < next);
        let before = self.stretches.range(..=to).next_back();
        if rises && before.is_none_or(|(_, last)| *last < from) {
            Ok(Some((from, to)))
        } else {
            Err(MarkerStoreError::OutOfOrder { from, to })
        }
    }

    /// The batch has been appended; `span` is what [`check`](Self::check) returned.
    pub(super) fn appended(&mut self, batch: &MarkerBatch, span: Option<(u64, u64)>) {
        if let Some((from, to)) = span {
            // Of batches that follow each other, one span is kept, however many there are.
            match self.stretches.range_mut(..from).next_back() {
                Some((_, last)) if *last + 1 == from => *last = to,
                _ => drop(self.stretches.insert(from, to)),
            }
        }
        batch.markers.iter().for_each(|marker| self.counts.add(marker));
        self.slots.extend(batch.streams.iter().map(|stream| stream.slot));
        self.counts.dict = self.slots.len() as u64;
    }

    /// The manifest to be sealed with.
    pub(super) fn sealed_manifest(
        &self,
        status: RunStatus,
    ) -> Result<MarkerManifest, MarkerStoreError> {
        self.check_open()?;
        if !status.is_sealed() {
            return Err(MarkerStoreError::AsRunning);
        }
        Ok(MarkerManifest { counts: self.counts, status, ..self.manifest.clone() })
    }

    fn check_open(&self) -> Result<(), MarkerStoreError> {
        let status = self.manifest.status;
        if status.is_sealed() { Err(MarkerStoreError::Sealed { status }) } else { Ok(()) }
    }
}
