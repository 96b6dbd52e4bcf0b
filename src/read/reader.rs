use std::path::Path;
use std::sync::Arc;

use super::lookup::Keys;
use super::lookup::first_mention;
use super::point_read::PointRead;
use super::scan::{Beyond, KnownSeal, sealed_watermark};
use super::{Direction, KeyMention, ReadError, Scan, Verifier};
use crate::model::{Entry, IndexKind, InstanceId, RunId, RunManifest, SnapshotAnchor};
use crate::store::{
    OpenSealedError, ReadFault, RunReader, open_file, open_sealed, open_sealed_file,
};

/// Reads one run, sealed or live. Checks the hash of every entry that it reads.
///
/// A reader of a live run comes from the store in the same process. Each call sees what is durable
/// by then. Clones share the frames that [`read`](Self::read) keeps.
#[derive(Clone)]
pub struct EventStoreReader {
    source: Arc<dyn RunReader>,
    seal: Arc<KnownSeal>,
    point: Arc<PointRead>,
}

/// The part of a run to replay on top of its snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayPlan {
    /// The first entry to apply: the one after the anchor, or 1.
    pub from_seq: u64,
    /// The last entry to apply: the watermark. Below `from_seq` if there is nothing to apply.
    pub to_seq: u64,
}

impl EventStoreReader {
    /// A reader of the sealed run `run_id` of an instance. Does not change the file. Refuses a file
    /// that holds another run.
    pub fn open_sealed(
        base_dir: &Path,
        instance_id: &InstanceId,
        run_id: RunId,
    ) -> Result<Self, OpenSealedError> {
        open_sealed(base_dir, instance_id, run_id).map(Self::new)
    }

    /// A reader of the sealed run in the file at `path`. Does not change the file.
    pub fn open_sealed_file(path: &Path) -> Result<Self, OpenSealedError> {
        open_sealed_file(path).map(Self::new)
    }

    /// A reader over a store's read side.
    pub fn new(source: Arc<dyn RunReader>) -> Self {
        Self { source, seal: Arc::default(), point: Arc::default() }
    }

    /// Like [`new`](Self::new), but keeps up to `bytes` of frames for [`read`](Self::read) and
    /// [`lookup`](Self::lookup) instead of 32 MiB. A read from a kept frame takes about a
    /// microsecond. Any other read takes as long as reading the frame. 0 keeps none.
    pub fn keeping(source: Arc<dyn RunReader>, bytes: usize) -> Self {
        Self { source, seal: Arc::default(), point: Arc::new(PointRead::new(bytes)) }
    }

    /// A reader of the run in the file at `path`, sealed or not. Does not change the file, so it
    /// can be on a read-only disk. A run that a crash left behind is read up to its last commit;
    /// its manifest says `Running`. A run that is being recorded is refused as in use.
    pub fn open_file(path: &Path) -> Result<Self, OpenSealedError> {
        open_file(path).map(Self::new)
    }

    /// Verifies the run.
    pub fn verifier(&self) -> Verifier {
        Verifier::new(Arc::clone(&self.source))
    }

    /// The manifest.
    pub fn manifest(&self) -> Result<RunManifest, ReadError> {
        Ok(self.source.manifest()?)
    }

    /// The durable watermark: the last entry of the last frame; 0 if there is none. If a sealed run
    /// has lost its last frames, its manifest has a higher one.
    pub fn watermark(&self) -> Result<u64, ReadError> {
        Ok(self.source.watermark()?)
    }

    /// The durable watermark. Fails if a sealed run ends before the one in its manifest.
    pub(crate) fn whole_watermark(&self) -> Result<u64, ReadError> {
        // The manifest first: a live run may grow and be sealed between the two reads.
        let sealed = sealed_watermark(&*self.source)?;
        let watermark = self.watermark()?;
        match sealed {
            Some(to) if to > watermark => Err(ReadError::Gap { from: watermark + 1, to }),
            _ => Ok(watermark),
        }
    }

    /// The snapshot anchor.
    pub fn anchor(&self) -> Result<Option<SnapshotAnchor>, ReadError> {
        Ok(self.source.anchor()?)
    }

    /// Walks the entries of a range, lowest first or highest first. Holds one frame in memory.
    ///
    /// Both ends belong to the range. Entries count from 1, so a range from 0 begins with entry 1.
    /// With `u64::MAX` as `to_seq` the range is open. If `to_seq` is below `from_seq` the range is
    /// empty: the scan returns `None` at once and reads nothing.
    ///
    /// Do not keep a [`Scan`] of a live run for long, unless it has reached its end.
    pub fn scan(&self, from_seq: u64, to_seq: u64, direction: Direction) -> Scan {
        Scan::new(Arc::clone(&self.source), direction, from_seq, to_seq)
    }

    /// The entry `seq`; `None` for 0 and past the watermark. For a sealed run, this is the
    /// watermark in its manifest: a missing entry before it is a [`ReadError::Gap`].
    pub fn read(&self, seq: u64) -> Result<Option<Entry>, ReadError> {
        if seq == 0 {
            return Ok(None);
        }
        if let Some(entry) = self.point.read(&*self.source, seq)? {
            return Ok(Some(entry));
        }
        let Some(to) = Beyond::look(&*self.source, &self.seal, seq)?.last_missing() else {
            return Ok(None);
        };
        // As in a scan: a live run may have grown since the first look.
        match self.point.read(&*self.source, seq)? {
            Some(entry) => Ok(Some(entry)),
            None if to < seq => Err(ReadFault::unfindable_frame(seq).into()),
            None => Err(ReadError::Gap { from: seq, to }),
        }
    }

    /// The first `seq` that mentions `key`.
    pub fn lookup(&self, kind: IndexKind, key: impl AsRef<[u8]>) -> Result<Option<u64>, ReadError> {
        first_mention(&*self.source, &self.point, kind, key.as_ref())
    }

    /// All keys of `kind`, in the order of their first mention. This scans the run and holds a few
    /// frames in memory. To find one key, use [`lookup`](Self::lookup).
    ///
    /// A damaged or missing entry is an error in its place, as in a [`Scan`]. So is a key that
    /// cannot be looked up. The other keys of its entry are still returned.
    pub fn keys(
        &self,
        kind: IndexKind,
    ) -> impl Iterator<Item = Result<KeyMention, ReadError>> + use<> {
        Keys::new(Arc::clone(&self.source), Arc::clone(&self.point), kind)
    }

    /// What to replay on top of the snapshot, or from the beginning if there is none. Fails if a
    /// sealed run has lost its last entries.
    pub fn replay_plan(&self) -> Result<ReplayPlan, ReadError> {
        // The anchor first. A live run may record a later anchor between the two reads, past a
        // watermark that was read before.
        let anchor = self.anchor()?.map_or(0, |anchor| anchor.high_watermark);
        let watermark = self.whole_watermark()?;
        if anchor > watermark {
            return Err(ReadError::AnchorPastWatermark { anchor, watermark });
        }
        Ok(ReplayPlan { from_seq: anchor + 1, to_seq: watermark })
    }
}
