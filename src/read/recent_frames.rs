use std::collections::BTreeMap;
use std::sync::Arc;

use super::loaded_frame::LoadedFrame;

/// The frames that were asked for last, up to a number of bytes that they hold.
///
/// A committed frame never changes, so what is kept here stays right while the run grows.
#[derive(Debug)]
pub(super) struct RecentFrames {
    bytes_max: usize,
    bytes: usize,
    /// By first `seq`, with the time of the last use.
    frames: BTreeMap<u64, (u64, Arc<LoadedFrame>)>,
    /// Time of the last use to the first `seq`.
    uses: BTreeMap<u64, u64>,
    /// Counts uses.
    now: u64,
}

impl RecentFrames {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, frames: BTreeMap::new(), uses: BTreeMap::new(), now: 0 }
    }

    /// The frame with entry `seq`.
    pub(super) fn find(&mut self, seq: u64) -> Option<Arc<LoadedFrame>> {
        let (first_seq, (used, frame)) = self.frames.range_mut(..=seq).next_back()?;
        if !frame.has(seq) {
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

    /// Keeps a frame, in place of those that were not used for longest. One that is larger than all
    /// that may be kept is not kept.
    pub(super) fn keep(&mut self, frame: Arc<LoadedFrame>) {
        let (first_seq, _) = frame.range();
        if frame.held_bytes() > self.bytes_max {
            return;
        }
        self.forget(first_seq);
        self.bytes += frame.held_bytes();
        self.now += 1;
        self.uses.insert(self.now, first_seq);
        self.frames.insert(first_seq, (self.now, frame));
        while self.bytes > self.bytes_max
            && let Some((_, oldest)) = self.uses.first_key_value()
        {
            self.forget(*oldest);
        }
    }

    fn forget(&mut self, first_seq: u64) {
        if let Some((used, frame)) = self.frames.remove(&first_seq) {
            self.uses.remove(&used);
            self.bytes -= frame.held_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use zerocopy::IntoBytes;

    use super::*;
    use crate::format::{FrameBuilder, FrameLimits, Line, RecordStamp};
    use crate::model::{Hash, UnixNanos};

    const ENTRIES: u64 = 10;

    /// The frame of ten entries of one line each that begins at `first_seq`.
    fn frame(first_seq: u64) -> Arc<LoadedFrame> {
        let limits = FrameLimits { entries_max: 100, bytes_max: 1 << 16 };
        let stamp = RecordStamp { ts_publish: UnixNanos::new(0), topic_id: 0, type_id: 0 };
        let mut line = Line::ZERO;
        line.as_mut_bytes()[40] = 1;
        let mut builder = FrameBuilder::new(limits, first_seq, 0);
        for _ in 0..ENTRIES {
            builder.push(&[line], &[], &stamp);
        }
        let sealed = builder.seal(&Hash::from_bytes([0; 32]));
        let bytes = Bytes::copy_from_slice(sealed.bytes());
        Arc::new(LoadedFrame::open(first_seq, bytes).expect("the engine's own frame"))
    }

    /// Room for two frames.
    fn recent() -> RecentFrames {
        RecentFrames::new(frame(1).held_bytes() * 2)
    }

    fn found(frames: &mut RecentFrames, seq: u64) -> Option<u64> {
        frames.find(seq).map(|frame| frame.range().0)
    }

    #[test]
    fn a_frame_is_found_by_each_of_its_entries_and_no_other() {
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
    fn what_is_kept_never_exceeds_its_bytes() {
        let mut frames = recent();
        for first_seq in [1, 11, 11, 1, 21, 31, 31, 11] {
            frames.keep(frame(first_seq));
            assert_eq!(found(&mut frames, first_seq), Some(first_seq));
            let kept: usize = frames.frames.values().map(|(_, frame)| frame.held_bytes()).sum();
            assert_eq!(kept, frames.bytes);
            assert!(kept <= frames.bytes_max);
            assert_eq!(frames.frames.len(), frames.uses.len());
        }
    }

    #[test]
    fn a_small_frame_counts_as_the_page_it_holds() {
        assert_eq!(frame(1).held_bytes(), 4 << 10);
        let mut frames = RecentFrames::new(8 << 10);
        for first_seq in [1, 11, 21] {
            frames.keep(frame(first_seq));
        }
        assert_eq!([1, 11, 21].map(|seq| found(&mut frames, seq)), [None, Some(11), Some(21)]);
    }

    #[test]
    fn a_frame_larger_than_all_room_is_not_kept() {
        let mut frames = RecentFrames::new(frame(1).held_bytes() - 1);
        frames.keep(frame(1));
        assert_eq!(found(&mut frames, 1), None);
    }
}
