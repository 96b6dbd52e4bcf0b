use super::{AnchorError, AppendError, SealError, Tail};
use crate::format::SealedFrame;
use crate::model::{Hash, RunManifest, RunStatus, SnapshotAnchor, UnixNanos};

/// The most bytes of an anchor's `blob_ref`. It is stored as one value, and redb panics over a
/// value that does not fit into a region of the run file (64 MiB). This limit is far below that,
/// and ample for a path or a key.
const BLOB_REF_BYTES_MAX: usize = 64 << 10;

/// Where an open run stands, and what may come next. Every backend keeps these rules.
#[derive(Debug, Clone)]
pub(super) struct RunCursor {
    pub(super) manifest: RunManifest,
    pub(super) tail: Tail,
    anchor_at: u64,
    /// True if the end of the run can be read.
    has_end: bool,
}

impl RunCursor {
    pub(super) fn new(manifest: RunManifest, tail: Tail, anchor: Option<&SnapshotAnchor>) -> Self {
        let anchor_at = anchor.map_or(0, |anchor| anchor.high_watermark);
        Self { manifest, tail, anchor_at, has_end: true }
    }

    /// For a run whose end cannot be read. It can only be sealed as quarantined.
    pub(super) fn without_end(manifest: RunManifest) -> Self {
        Self { has_end: false, ..Self::fresh(manifest) }
    }

    /// For a run without entries. What only a seal writes is unset, whatever `manifest` claims: a
    /// run must not be born sealed.
    pub(super) fn fresh(manifest: RunManifest) -> Self {
        let manifest = RunManifest {
            status: RunStatus::Running,
            high_watermark: 0,
            end_ts_init: None,
            frames_root: None,
            ..manifest
        };
        let tail = Tail { watermark: 0, root: Hash::ZERO, names: 0 };
        Self::new(manifest, tail, None)
    }

    /// Where the run ends with these frames, if they continue it.
    pub(super) fn check_append(&self, frames: &[SealedFrame<'_>]) -> Result<Tail, AppendError> {
        frames.iter().try_fold(self.tail, |tail, frame| self.check_frame(tail, frame))
    }

    /// Where the run ends with this frame, if it continues the one that ends at `tail`.
    fn check_frame(&self, tail: Tail, frame: &SealedFrame<'_>) -> Result<Tail, AppendError> {
        let (got, watermark) = (frame.first_seq(), tail.watermark);
        if self.manifest.status.is_sealed() {
            Err(AppendError::Closed)
        } else if frame.is_empty() {
            // The next frame would begin with the same `seq`, and so take its place.
            Err(AppendError::Empty)
        } else if !self.has_end {
            Err(AppendError::BrokenChain { watermark })
        } else if got != watermark + 1 {
            Err(AppendError::OutOfOrder { got, watermark })
        } else if frame.previous_root() != tail.root || frame.names_before() != tail.names {
            Err(AppendError::BrokenChain { watermark })
        } else {
            Ok(Tail { watermark: frame.last_seq(), root: frame.root(), names: frame.names_end() })
        }
    }

    pub(super) fn check_anchor(&self, anchor: &SnapshotAnchor) -> Result<(), AnchorError> {
        let (at, watermark, recorded) =
            (anchor.high_watermark, self.tail.watermark, self.anchor_at);
        let (bytes, max) = (anchor.blob_ref.len(), BLOB_REF_BYTES_MAX);
        if self.manifest.status.is_sealed() {
            Err(AnchorError::Closed)
        } else if bytes > max {
            Err(AnchorError::BlobRefLength { bytes, max })
        } else if at > watermark || !self.has_end {
            Err(AnchorError::PastWatermark { anchor: at, watermark })
        } else if at < recorded {
            Err(AnchorError::MovedBack { anchor: at, recorded })
        } else {
            Ok(())
        }
    }

    pub(super) fn anchored(&mut self, anchor: &SnapshotAnchor) {
        self.anchor_at = anchor.high_watermark;
    }

    /// The manifest that seals the run.
    pub(super) fn sealed_manifest(
        &self,
        status: RunStatus,
        end_ts_init: Option<UnixNanos>,
    ) -> Result<RunManifest, SealError> {
        if self.manifest.status.is_sealed() {
            return Err(SealError::Sealed { status: self.manifest.status });
        }
        if !status.is_sealed() {
            return Err(SealError::AsRunning);
        }
        if !self.has_end && status != RunStatus::Quarantined {
            return Err(SealError::WithoutEnd { status });
        }
        let has_entries = self.tail.watermark > 0;
        Ok(RunManifest {
            end_ts_init: end_ts_init.filter(|_| has_entries),
            high_watermark: self.tail.watermark,
            frames_root: has_entries.then_some(self.tail.root),
            status,
            ..self.manifest.clone()
        })
    }
}
