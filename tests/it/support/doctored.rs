use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tapline::internals::format::KeyBlockId;
use tapline::store::{BackendFault, ReadFault, RunReader};
use tapline::{Hash, RunManifest, SnapshotAnchor};

/// What a [`Doctored`] reader cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Manifest,
    Frames,
    Names,
    Index,
    Anchor,
}

/// The answer of the index, given the `seq` to search from.
type Answer = Box<dyn FnMut(u64) -> Option<u64> + Send>;

/// A reader that fails, misleads, or lets the run grow, at a chosen place or moment.
pub(crate) struct Doctored {
    inner: Arc<dyn RunReader>,
    broken: Option<Part>,
    /// From this `seq` on, frames cannot be read.
    broken_from: u64,
    panics: bool,
    /// A search does not find the frames that begin here, but a walk does.
    lost: Option<RangeInclusive<u64>>,
    /// The answer of the index for every key.
    answer: Option<Mutex<Answer>>,
    meanwhile: Mutex<Box<dyn FnMut() + Send>>,
}

impl Doctored {
    /// Cannot read `part`.
    pub(crate) fn broken(inner: Arc<dyn RunReader>, part: Part) -> Arc<Self> {
        Arc::new(Self { broken: Some(part), ..Self::sound(inner) })
    }

    /// Cannot read frames that begin at `seq` or later.
    pub(crate) fn broken_from(inner: Arc<dyn RunReader>, seq: u64) -> Arc<Self> {
        Arc::new(Self { broken_from: seq, ..Self::sound(inner) })
    }

    /// Finds the frames that begin at these `seq` only by a walk, as in a damaged tree.
    pub(crate) fn lost(inner: Arc<dyn RunReader>, seq: RangeInclusive<u64>) -> Arc<Self> {
        Arc::new(Self { lost: Some(seq), ..Self::sound(inner) })
    }

    /// Panics over frames that begin at `seq` or later.
    pub(crate) fn panicking_from(inner: Arc<dyn RunReader>, seq: u64) -> Arc<Self> {
        Arc::new(Self { broken_from: seq, panics: true, ..Self::sound(inner) })
    }

    /// Answers for every key with `answer`, which gets the `seq` to search from.
    pub(crate) fn misled(
        inner: Arc<dyn RunReader>,
        answer: impl FnMut(u64) -> Option<u64> + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { answer: Some(Mutex::new(Box::new(answer))), ..Self::sound(inner) })
    }

    /// Calls `meanwhile` after each look for a frame, where another thread could act.
    pub(crate) fn growing(
        inner: Arc<dyn RunReader>,
        meanwhile: impl FnMut() + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { meanwhile: Mutex::new(Box::new(meanwhile)), ..Self::sound(inner) })
    }

    fn sound(inner: Arc<dyn RunReader>) -> Self {
        let meanwhile: Mutex<Box<dyn FnMut() + Send>> = Mutex::new(Box::new(|| {}));
        Self {
            inner,
            broken: None,
            broken_from: u64::MAX,
            panics: false,
            lost: None,
            answer: None,
            meanwhile,
        }
    }

    fn inner(&self, part: Part) -> Result<&dyn RunReader, ReadFault> {
        if self.broken == Some(part) {
            return Err(out_of_order());
        }
        Ok(&*self.inner)
    }
}

fn out_of_order() -> ReadFault {
    BackendFault::io(io::Error::other("out of order")).into()
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
        let lost = self.lost.as_ref().filter(|lost| lost.contains(&seq));
        let seq = lost.map_or(seq, |lost| lost.start() - 1);
        let frame = self.inner(Part::Frames)?.frame_at_or_before(seq);
        (self.meanwhile.lock().unwrap())();
        frame
    }

    fn frame_at_or_after(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        let frame = self.inner(Part::Frames)?.frame_at_or_after(seq);
        (self.meanwhile.lock().unwrap())();
        match frame? {
            Some((first_seq, _)) if first_seq >= self.broken_from => {
                assert!(!self.panics, "out of order");
                Err(out_of_order())
            }
            frame => Ok(frame),
        }
    }

    fn names(&self, from: u32) -> Result<Vec<(u32, String)>, ReadFault> {
        self.inner(Part::Names)?.names(from)
    }

    fn indexed(&self, hash: u64, from: u64) -> Result<Option<u64>, ReadFault> {
        match &self.answer {
            Some(answer) => Ok((answer.lock().unwrap())(from)),
            None => self.inner(Part::Index)?.indexed(hash, from),
        }
    }

    fn key_block_at_or_after(
        &self,
        from: KeyBlockId,
    ) -> Result<Option<(KeyBlockId, Bytes)>, ReadFault> {
        self.inner(Part::Index)?.key_block_at_or_after(from)
    }

    fn finds_frame(&self, first_seq: u64) -> Result<bool, ReadFault> {
        self.inner(Part::Frames)?.finds_frame(first_seq)
    }

    fn finds_key_block(&self, id: KeyBlockId) -> Result<bool, ReadFault> {
        self.inner(Part::Index)?.finds_key_block(id)
    }
}
