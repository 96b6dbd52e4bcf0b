//! Reads single entries. Keeps the frames and names that were read last. Otherwise each read would
//! load a frame of thousands of entries for one of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::ReadError;
use super::entry::{EntryRef, Names, open_frame, record_of};
use crate::format::{Frame, row_pages_bytes};
use crate::model::{Entry, UnixNanos};
use crate::store::RunReader;

/// How many bytes of frames are kept by default. Reads by `seq` cluster, because a cause lies
/// shortly before its effect. So many full frames hold some 90 000 entries of 256 bytes.
const KEPT_BYTES_DEFAULT: usize = 32 << 20;

/// Reads single entries.
#[derive(Debug)]
pub(super) struct PointRead {
    frames: Mutex<RecentFrames>,
    names: RwLock<Names>,
}

impl Default for PointRead {
    fn default() -> Self {
        Self::new(KEPT_BYTES_DEFAULT)
    }
}

impl PointRead {
    /// Keeps up to `bytes_max` bytes of frames.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { frames: Mutex::new(RecentFrames::new(bytes_max)), names: RwLock::default() }
    }

    /// The entry `seq`; `None` if the last frame that begins at or before it does not have it.
    pub(super) fn read(
        &self,
        source: &dyn RunReader,
        seq: u64,
    ) -> Result<Option<Entry>, ReadError> {
        let Some(frame) = self.frame(source, seq)? else {
            return Ok(None);
        };
        let (record, entry_hash) = record_of(&frame, seq)?;
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

    /// The frame with entry `seq`; `None` if the last frame that begins at or before `seq` ends
    /// before it.
    pub(super) fn frame(
        &self,
        source: &dyn RunReader,
        seq: u64,
    ) -> Result<Option<Arc<Frame>>, ReadError> {
        let recent = || self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(frame) = recent().find(seq) {
            return Ok(Some(frame));
        }
        let Some((first_seq, bytes)) = source.frame_at_or_before(seq)? else {
            return Ok(None);
        };
        // Checked before the frame is copied, which costs far more. A caller that waits for an
        // entry asks again and again for one after the last frame.
        if !open_frame(first_seq, bytes.clone())?.contains(seq) {
            return Ok(None);
        }
        let frame = Arc::new(open_frame(first_seq, source.detach(bytes))?);
        recent().keep(Arc::clone(&frame));
        Ok(Some(frame))
    }
}

/// When the entry `seq` was published; `None` if there is no such entry. Keeps nothing.
pub(crate) fn ts_publish_of(
    source: &dyn RunReader,
    seq: u64,
) -> Result<Option<UnixNanos>, ReadError> {
    let Some((first_seq, bytes)) = source.frame_at_or_before(seq)? else {
        return Ok(None);
    };
    let frame = open_frame(first_seq, bytes)?;
    if !frame.contains(seq) {
        return Ok(None);
    }
    Ok(Some(record_of(&frame, seq)?.0.ts_publish()))
}

/// The frames that were used last, up to a limit of bytes.
///
/// A committed frame never changes, so a kept frame stays right while the run grows.
#[derive(Debug)]
struct RecentFrames {
    bytes_max: usize,
    bytes: usize,
    /// From first `seq` to the frame and the time of its last use.
    frames: BTreeMap<u64, (u64, Arc<Frame>)>,
    /// From the time of the last use to the first `seq`.
    uses: BTreeMap<u64, u64>,
    /// Counts uses.
    now: u64,
}

impl RecentFrames {
    fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, frames: BTreeMap::new(), uses: BTreeMap::new(), now: 0 }
    }

    /// The frame with entry `seq`.
    fn find(&mut self, seq: u64) -> Option<Arc<Frame>> {
        let (first_seq, (used, frame)) = self.frames.range_mut(..=seq).next_back()?;
        if !frame.contains(seq) {
            return None;
        }
        // Entries of one frame are often read one after the other.
        if *used != self.now {
            self.now += 1;
            self.uses.remove(used);
            self.uses.insert(self.now, *first_seq);
            *used = self.now;
        }
        Some(Arc::clone(frame))
    }

    /// Keeps a frame. Drops the frames that were not used for longest. Does not keep a frame that
    /// is larger than the limit.
    fn keep(&mut self, frame: Arc<Frame>) {
        let first_seq = frame.first_seq();
        if held_bytes(&frame) > self.bytes_max {
            return;
        }
        self.remove(first_seq);
        self.bytes += held_bytes(&frame);
        self.now += 1;
        self.uses.insert(self.now, first_seq);
        self.frames.insert(first_seq, (self.now, frame));
        while self.bytes > self.bytes_max
            && let Some((_, oldest)) = self.uses.first_key_value()
        {
            self.remove(*oldest);
        }
    }

    fn remove(&mut self, first_seq: u64) {
        if let Some((used, frame)) = self.frames.remove(&first_seq) {
            self.uses.remove(&used);
            self.bytes -= held_bytes(&frame);
        }
    }
}

/// The memory that a kept frame takes. A frame borrowed from redb holds all pages of its row.
fn held_bytes(frame: &Frame) -> usize {
    row_pages_bytes(frame.len_bytes())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use zerocopy::IntoBytes;

    use super::*;
    use crate::format::{FrameBuilder, FrameLimits, Line, RecordStamp};
    use crate::model::{Hash, UnixNanos};

    const ENTRIES: u64 = 10;

    /// The frame that begins at `first_seq`. It has ten entries of one line each.
    fn frame(first_seq: u64) -> Arc<Frame> {
        let limits = FrameLimits { entries_max: 100, bytes_max: 1 << 16 };
        let stamp = RecordStamp { ts_publish: UnixNanos::new(0), topic_id: 0, type_id: 0 };
        let mut line = Line::ZERO;
        line.as_mut_bytes()[40] = 1;
        let mut builder = FrameBuilder::new(limits, first_seq, 0);
        for _ in 0..ENTRIES {
            builder.push(&[line], &[], &stamp);
        }
        let sealed = builder.seal(&Hash::ZERO);
        let bytes = Bytes::copy_from_slice(sealed.bytes());
        Arc::new(open_frame(first_seq, bytes).expect("the engine's own frame"))
    }

    /// Room for two frames.
    fn recent() -> RecentFrames {
        RecentFrames::new(held_bytes(&frame(1)) * 2)
    }

    fn found(frames: &mut RecentFrames, seq: u64) -> Option<u64> {
        frames.find(seq).map(|frame| frame.first_seq())
    }

    #[test]
    fn only_its_entries_find_a_frame() {
        let mut frames = recent();
        frames.keep(frame(11));
        frames.keep(frame(41));
        for seq in 0..60 {
            let first = [11, 41].into_iter().find(|first| (*first..first + ENTRIES).contains(&seq));
            assert_eq!(found(&mut frames, seq), first, "{seq}");
        }
    }

    #[test]
    fn the_frame_not_used_for_longest_makes_room() {
        let mut frames = recent();
        frames.keep(frame(1));
        frames.keep(frame(11));
        assert_eq!(found(&mut frames, 5), Some(1));
        frames.keep(frame(21));
        assert_eq!([1, 11, 21].map(|seq| found(&mut frames, seq)), [Some(1), None, Some(21)]);
    }

    #[test]
    fn kept_frames_never_exceed_the_limit() {
        let mut frames = recent();
        for first_seq in [1, 11, 11, 1, 21, 31, 31, 11] {
            frames.keep(frame(first_seq));
            assert_eq!(found(&mut frames, first_seq), Some(first_seq));
            let kept: usize = frames.frames.values().map(|(_, frame)| held_bytes(frame)).sum();
            assert_eq!(kept, frames.bytes);
            assert!(kept <= frames.bytes_max);
            assert_eq!(frames.frames.len(), frames.uses.len());
        }
    }

    #[test]
    fn a_small_frame_counts_as_the_page_it_holds() {
        assert_eq!(held_bytes(&frame(1)), 4 << 10);
        let mut frames = RecentFrames::new(8 << 10);
        for first_seq in [1, 11, 21] {
            frames.keep(frame(first_seq));
        }
        assert_eq!([1, 11, 21].map(|seq| found(&mut frames, seq)), [None, Some(11), Some(21)]);
    }

    #[test]
    fn a_frame_over_the_limit_is_not_kept() {
        let mut frames = RecentFrames::new(held_bytes(&frame(1)) - 1);
        frames.keep(frame(1));
        assert_eq!(found(&mut frames, 1), None);
    }
}
