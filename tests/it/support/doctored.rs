use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tapline::format::KeyBlockId;
use tapline::store::{BackendFault, ReadFault, RunReader};
use tapline::{Hash, RunManifest, SnapshotAnchor};

/// What a [`Doctored`] reader can fail to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Manifest,
    Frames,
    Names,
    Index,
    Anchor,
}

/// A reader that fails, or lets the run grow, at a chosen moment.
pub(crate) struct Doctored {
    inner: Arc<dyn RunReader>,
    broken: Option<Part>,
    meanwhile: Mutex<Box<dyn FnMut() + Send>>,
}

impl Doctored {
    /// Cannot read `part`.
    pub(crate) fn broken(inner: Arc<dyn RunReader>, part: Part) -> Arc<Self> {
        Arc::new(Self { inner, broken: Some(part), meanwhile: Mutex::new(Box::new(|| {})) })
    }

    /// Calls `meanwhile` after each look at or before a place: when another thread might.
    pub(crate) fn growing(
        inner: Arc<dyn RunReader>,
        meanwhile: impl FnMut() + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { inner, broken: None, meanwhile: Mutex::new(Box::new(meanwhile)) })
    }

    fn inner(&self, part: Part) -> Result<&dyn RunReader, ReadFault> {
        if self.broken == Some(part) {
            return Err(BackendFault::io(io::Error::other("out of order")).into());
        }
        Ok(&*self.inner)
    }
}

impl RunReader for Doctored {
    fn manifest(&self) -> Result<RunManifest, ReadFault> {
        self.inner(Part::Manifest)?.manifest()
    }

    fn root(&self) -> Result<Option<Hash>, ReadFault> {
        self.inner(Part::Manifest)?.root()
    }

    fn watermark(&self) -> Result<u64, ReadFault> {
        self.inner(Part::Frames)?.watermark()
    }

    fn anchor(&self) -> Result<Option<SnapshotAnchor>, ReadFault> {
        self.inner(Part::Anchor)?.anchor()
    }

    fn frame_at_or_before(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        let frame = self.inner(Part::Frames)?.frame_at_or_before(seq);
        (self.meanwhile.lock().unwrap())();
        frame
    }

    fn frame_at_or_after(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        self.inner(Part::Frames)?.frame_at_or_after(seq)
    }

    fn names(&self, from: u32) -> Result<Vec<(u32, String)>, ReadFault> {
        self.inner(Part::Names)?.names(from)
    }

    fn indexed(&self, hash: u64, from: u64) -> Result<Option<u64>, ReadFault> {
        self.inner(Part::Index)?.indexed(hash, from)
    }

    fn key_block_at_or_after(
        &self,
        from: KeyBlockId,
    ) -> Result<Option<(KeyBlockId, Bytes)>, ReadFault> {
        self.inner(Part::Index)?.key_block_at_or_after(from)
    }
}
