use std::sync::Arc;

use bytes::Bytes;
use tapline::internals::format::{FrameView, KeyBlockId};
use tapline::store::{ReadFault, RunReader};
use tapline::{Hash, RunManifest, RunStatus, SnapshotAnchor};

/// A run as a crash would have left it: its frames up to a chosen one, and an anchor.
pub(crate) struct Prefix {
    pub(crate) inner: Arc<dyn RunReader>,
    /// The last entry of the last frame.
    pub(crate) watermark: u64,
    pub(crate) anchor: Option<SnapshotAnchor>,
}

/// The last entry of each frame of a run. A crash can cut the run there.
pub(crate) fn frame_ends(reader: &dyn RunReader) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut next = 1;
    while let Some((_, bytes)) = reader.frame_at_or_after(next).expect("readable") {
        let last = FrameView::parse(&bytes).expect("a sound frame").last_seq();
        ends.push(last);
        next = last + 1;
    }
    ends
}

impl RunReader for Prefix {
    fn manifest(&self) -> Result<RunManifest, ReadFault> {
        // The original may be sealed by now.
        Ok(RunManifest {
            status: RunStatus::Running,
            high_watermark: 0,
            end_ts_init: None,
            frames_root: None,
            ..self.inner.manifest()?
        })
    }

    fn root(&self) -> Result<Option<Hash>, ReadFault> {
        Ok(None)
    }

    fn watermark(&self) -> Result<u64, ReadFault> {
        Ok(self.watermark)
    }

    fn anchor(&self) -> Result<Option<SnapshotAnchor>, ReadFault> {
        Ok(self.anchor.clone())
    }

    fn frame_at_or_before(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        self.inner.frame_at_or_before(seq.min(self.watermark))
    }

    fn frame_at_or_after(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        let frame = self.inner.frame_at_or_after(seq)?;
        Ok(frame.filter(|(first_seq, _)| *first_seq <= self.watermark))
    }

    fn names(&self, from: u32) -> Result<Vec<(u32, String)>, ReadFault> {
        self.inner.names(from)
    }

    fn indexed(&self, hash: u64, from: u64) -> Result<Option<u64>, ReadFault> {
        let found = self.inner.indexed(hash, from)?;
        Ok(found.filter(|seq| *seq <= self.watermark))
    }

    fn key_block_at_or_after(
        &self,
        from: KeyBlockId,
    ) -> Result<Option<(KeyBlockId, Bytes)>, ReadFault> {
        self.inner.key_block_at_or_after(from)
    }

    fn finds_frame(&self, first_seq: u64) -> Result<bool, ReadFault> {
        self.inner.finds_frame(first_seq)
    }

    fn finds_key_block(&self, id: KeyBlockId) -> Result<bool, ReadFault> {
        self.inner.finds_key_block(id)
    }
}
