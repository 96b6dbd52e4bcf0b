use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::ReadError;
use super::entry_ref::EntryRef;
use super::loaded_frame::LoadedFrame;
use super::names::Names;
use super::recent_frames::RecentFrames;
use crate::model::Entry;
use crate::store::RunReader;

/// Reads single entries. Keeps the frames and names that were read last: without, each read would
/// take a whole frame from the store for one entry out of thousands.
#[derive(Debug)]
pub(super) struct PointRead {
    frames: Mutex<RecentFrames>,
    names: RwLock<Names>,
}

/// Frames that are kept where nobody says how many, in bytes. Reads by `seq` cluster: a cause lies
/// shortly before its effect. Eight frames of the default size hold some 90 000 entries of 256 bytes.
const KEPT_BYTES_DEFAULT: usize = 32 << 20;

impl Default for PointRead {
    fn default() -> Self {
        Self::new(KEPT_BYTES_DEFAULT)
    }
}

impl PointRead {
    /// Keeps up to `bytes_max` of frames.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { frames: Mutex::new(RecentFrames::new(bytes_max)), names: RwLock::default() }
    }

    /// The entry `seq`; `None` where the last frame that begins at or before it does not have it.
    pub(super) fn read(
        &self,
        source: &dyn RunReader,
        seq: u64,
    ) -> Result<Option<Entry>, ReadError> {
        let Some(frame) = self.frame(source, seq)? else {
            return Ok(None);
        };
        let (record, entry_hash) = frame.record(seq, &[])?;
        let id = record.name_id_max();
        // A panic of the store under a lock leaves nothing half done.
        let mut names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        if !names.has(id) {
            drop(names);
            self.names.write().unwrap_or_else(PoisonError::into_inner).load(source, id)?;
            names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        }
        Ok(Some(EntryRef::new(record, &names, entry_hash)?.to_entry()))
    }

    /// The frame with entry `seq`; `None` where the last frame that begins at or before it ends before.
    pub(super) fn frame(
        &self,
        source: &dyn RunReader,
        seq: u64,
    ) -> Result<Option<Arc<LoadedFrame>>, ReadError> {
        let recent = || self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(frame) = recent().find(seq) {
            return Ok(Some(frame));
        }
        let Some((first_seq, bytes)) = source.frame_at_or_before(seq)? else {
            return Ok(None);
        };
        // Looked at before it is copied, which costs far more: whoever waits for an entry asks again and
        // again for one behind the last frame.
        if !LoadedFrame::open(first_seq, bytes.clone())?.has(seq) {
            return Ok(None);
        }
        let frame = Arc::new(LoadedFrame::open(first_seq, source.detach(bytes))?);
        recent().keep(Arc::clone(&frame));
        Ok(Some(frame))
    }
}
