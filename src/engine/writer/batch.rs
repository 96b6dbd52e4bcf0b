use crate::format::{
    FrameBuilder, FrameLimits, Line, RecordStamp, RowFill, SealedFrame, row_bytes_max,
};
use crate::model::Hash;

/// What one commit may hold.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct BatchLimits {
    /// The most entries.
    pub(in crate::engine) entries_max: usize,
    /// The most bytes of frames. A record that is larger gets a batch of its own.
    pub(in crate::engine) bytes_max: usize,
}

/// The frames of one commit, in buffers that are allocated once. Cut so that they fill the rows of
/// a run file.
#[derive(Debug)]
pub(in crate::engine) struct Batch {
    limits: BatchLimits,
    /// The first `used` are in use. All but the last of these are sealed.
    frames: Vec<FrameBuilder>,
    used: usize,
    /// Of the sealed frames.
    sealed_bytes: usize,
    sealed_entries: usize,
    /// It takes nothing more until it begins anew.
    is_sealed: bool,
    /// The root of the last sealed frame, of this batch or one before.
    root: Hash,
    row: RowFill,
}

impl Batch {
    /// A batch that begins with `first_seq`, in a run that has `names` names so far, behind a frame
    /// with this root.
    pub(in crate::engine) fn new(
        limits: BatchLimits,
        first_seq: u64,
        names: u32,
        root: Hash,
    ) -> Self {
        let BatchLimits { entries_max, bytes_max } = limits;
        let row_bytes = row_bytes_max(0);
        // One more, because the first may only fill up a row.
        let frames = bytes_max.div_ceil(row_bytes) + 1;
        let limits_each = FrameLimits { entries_max, bytes_max: row_bytes.min(bytes_max) };
        Self {
            limits,
            frames: (0..frames).map(|_| FrameBuilder::new(limits_each, first_seq, names)).collect(),
            used: 1,
            sealed_bytes: 0,
            sealed_entries: 0,
            is_sealed: false,
            root,
            row: RowFill::default(),
        }
    }

    fn frame(&self) -> &FrameBuilder {
        &self.frames[self.used - 1]
    }

    fn frame_mut(&mut self) -> &mut FrameBuilder {
        &mut self.frames[self.used - 1]
    }

    /// The `seq` that the next entry gets.
    pub(super) fn next_seq(&self) -> u64 {
        self.frame().next_seq()
    }

    /// True if there is no entry in it.
    pub(super) fn is_empty(&self) -> bool {
        self.used == 1 && self.frame().is_empty()
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// The bytes of its sealed frames.
    pub(super) fn sealed_bytes(&self) -> usize {
        self.sealed_bytes
    }

    /// True if a record of `lines` lines fits within the limits. An empty batch takes any record, a
    /// sealed one takes none.
    #[inline]
    pub(super) fn fits(&self, lines: usize) -> bool {
        !self.is_sealed && (self.is_empty() || self.has_room(lines))
    }

    #[inline]
    fn has_room(&self, lines: usize) -> bool {
        let frame = self.frame();
        let bytes = self.sealed_bytes + frame.bytes_with(lines);
        bytes <= self.limits.bytes_max
            && self.sealed_entries + frame.count() < self.limits.entries_max
            && (self.used < self.frames.len() || frame.fits(lines, 0))
    }

    /// Adds a name and returns its number, see [`FrameBuilder::push_name`].
    pub(super) fn push_name(&mut self, name: &str) -> u32 {
        self.frame_mut().push_name(name)
    }

    /// Adds a record and returns its `seq`, see [`FrameBuilder::push`]. It must
    /// [fit](Self::fits).
    #[inline]
    pub(super) fn push(&mut self, head: &[Line], tail: &[Line], stamp: &RecordStamp) -> u64 {
        let lines = head.len() + tail.len();
        if !self.frame().fits(lines, 0) {
            self.begin_frame();
        }
        if self.frame().is_empty() {
            let bytes_max = self.row.frame_bytes_max(self.frame().bytes_with(lines));
            self.frame_mut().set_bytes_max(bytes_max);
        }
        self.frame_mut().push(head, tail, stamp)
    }

    /// Seals the frame under construction and begins the next.
    fn begin_frame(&mut self) {
        self.seal_frame();
        let (before, next) = self.frames.split_at_mut(self.used);
        next[0].follow(&before[self.used - 1]);
        self.used += 1;
    }

    fn seal_frame(&mut self) {
        let frame = &mut self.frames[self.used - 1];
        let sealed = frame.seal(&self.root);
        self.root = sealed.root();
        self.row.add(sealed.bytes().len());
        self.sealed_bytes += sealed.bytes().len();
        self.sealed_entries += frame.count();
    }

    /// Completes the batch: it takes no more entries. An empty one stays as it is.
    pub(super) fn seal(&mut self) {
        if !self.is_empty() && !self.is_sealed {
            self.seal_frame();
            self.is_sealed = true;
        }
    }

    /// The frames of a sealed batch; none before it is sealed.
    pub(super) fn sealed(&self) -> Vec<SealedFrame<'_>> {
        let used = if self.is_sealed { self.used } else { 0 };
        self.frames[..used].iter().filter_map(FrameBuilder::sealed).collect()
    }

    /// Makes room for the next batch, which begins where this one ended.
    pub(super) fn reset(&mut self) {
        let last = self.used - 1;
        if last > 0 {
            let (first, rest) = self.frames.split_at_mut(1);
            first[0].follow(&rest[last - 1]);
        } else {
            self.frames[0].reset();
        }
        self.clear();
    }

    /// Begins anew where `previous` ends. `previous` is another batch of the same run.
    pub(super) fn follow(&mut self, previous: &Self) {
        self.frames[0].follow(previous.frame());
        (self.root, self.row) = (previous.root, previous.row);
        self.clear();
    }

    fn clear(&mut self) {
        self.used = 1;
        (self.sealed_bytes, self.sealed_entries) = (0, 0);
        self.is_sealed = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    use super::*;
    use crate::model::UnixNanos;

    const LIMITS: BatchLimits = BatchLimits { entries_max: 5_000, bytes_max: 1 << 20 };

    /// A record of `lines` lines without keys.
    fn record(lines: usize) -> Vec<Line> {
        let mut record = vec![Line::ZERO; lines];
        record[0].as_mut_bytes()[40..44].copy_from_slice(&(lines as u32).to_le_bytes());
        record
    }

    fn push(batch: &mut Batch, lines: usize) -> u64 {
        let stamp = RecordStamp { ts_publish: UnixNanos::new(1), topic_id: 0, type_id: 0 };
        batch.push(&record(lines), &[], &stamp)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 40, failure_persistence: None, ..<_>::default()
        })]

        /// Frames continue each other over any batches, keep to the limits, and leave hardly
        /// anything of a row.
        #[test]
        fn frames_fill_rows(
            records in prop::collection::vec(1_usize..20, 1..4_000),
            batch_entries in 1_usize..3_000,
        ) {
            let mut batch = Batch::new(LIMITS, 1, 0, Hash::ZERO);
            let (mut root, mut next_seq, mut fill) = (Hash::ZERO, 1, RowFill::default());
            let (mut rows, mut bytes) = (0, 0);
            for (n, lines) in records.iter().enumerate() {
                prop_assert!(batch.fits(*lines));
                prop_assert_eq!(push(&mut batch, *lines), n as u64 + 1);
                let is_due = (n + 1) % batch_entries == 0 || n + 1 == records.len();
                if !is_due && batch.fits(20) {
                    continue;
                }
                batch.seal();
                prop_assert!(!batch.fits(1));
                let frames = batch.sealed();
                let total: usize = frames.iter().map(|frame| frame.bytes().len()).sum();
                prop_assert!(total == batch.sealed_bytes() && total <= LIMITS.bytes_max);
                for frame in frames {
                    prop_assert_eq!((frame.first_seq(), frame.previous_root()), (next_seq, root));
                    prop_assert!(frame.bytes().len() <= row_bytes_max(0));
                    (next_seq, root) = (frame.last_seq() + 1, frame.root());
                    rows += usize::from(fill.add(frame.bytes().len()));
                    bytes += frame.bytes().len();
                }
                batch.reset();
            }
            prop_assert_eq!(next_seq, records.len() as u64 + 1);
            // A row has no room for the next record and a frame around it.
            let left_max = 20 * 64 + 36 + 96;
            prop_assert!(rows <= bytes.div_ceil(row_bytes_max(0) - left_max));
        }
    }

    #[test]
    fn an_empty_batch_takes_any_record_and_a_full_one_none() {
        let mut batch = Batch::new(LIMITS, 1, 0, Hash::ZERO);
        assert!(batch.is_empty() && batch.fits(100_000));
        push(&mut batch, 100_000);
        assert!(!batch.fits(1), "it is over the limit");
        batch.seal();
        assert_eq!(batch.sealed().len(), 1);
        let mut next = Batch::new(LIMITS, 1, 0, Hash::ZERO);
        next.follow(&batch);
        assert_eq!((next.next_seq(), next.is_empty()), (2, true));
    }

    #[test]
    fn a_batch_has_no_more_entries_than_it_may() {
        let limits = BatchLimits { entries_max: 3, ..LIMITS };
        let mut batch = Batch::new(limits, 1, 0, Hash::ZERO);
        for _ in 0..3 {
            assert!(batch.fits(1));
            push(&mut batch, 1);
        }
        assert!(!batch.fits(1));
        batch.seal();
        batch.seal();
        assert_eq!(batch.sealed().len(), 1);
    }
}
