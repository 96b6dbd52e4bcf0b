//! A row of the run file: frames one behind the other, as many as its pages have room for.

use bytes::Bytes;

use super::frame_view::frame_len;
use super::{FrameView, LINE_BYTES};
use crate::model::Hash;

/// The pages that a row takes at least when it is full, in bytes. A reader fetches a row for one
/// entry: of rows from 64 KiB to 4 MiB, these are the quickest to fetch, and they cost a saturated
/// run least beside larger ones (`docs/performance.md`).
const ROW_PAGES_BYTES: usize = 64 << 10;

/// The most bytes that redb adds to a value in its pages.
const REDB_BYTES: usize = 64;

/// The pages of a row of `bytes` bytes: redb gives a value a power of two of them.
pub fn row_pages_bytes(bytes: usize) -> usize {
    const PAGE_BYTES: usize = 4 << 10;
    (bytes + REDB_BYTES).next_power_of_two().max(PAGE_BYTES)
}

/// How long a row may become that has `bytes` bytes so far: its pages are filled, and those of a
/// full row at least.
pub fn row_bytes_max(bytes: usize) -> usize {
    row_pages_bytes(bytes).max(ROW_PAGES_BYTES) - REDB_BYTES
}

/// A frame of one entry takes this at least.
const FRAME_BYTES_MIN: usize = 2 * LINE_BYTES + 2 * Hash::BYTES;

/// How far the last row of a run is filled. Frames are cut by it, so that rows have no gaps.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowFill {
    bytes: usize,
}

impl RowFill {
    /// True if a frame of `bytes` bytes goes into the same row.
    pub fn takes(self, bytes: usize) -> bool {
        self.bytes > 0 && self.bytes + bytes <= row_bytes_max(self.bytes)
    }

    /// Puts a frame of `bytes` bytes into the row, or into a new one. True if it is a new one.
    pub fn add(&mut self, bytes: usize) -> bool {
        let is_new = !self.takes(bytes);
        self.bytes = if is_new { bytes } else { self.bytes + bytes };
        is_new
    }

    /// True if hardly any frame goes into the same row.
    pub fn is_full(self) -> bool {
        !self.takes(FRAME_BYTES_MIN)
    }

    /// The most bytes of the next frame, which takes `bytes` with its first record. It fills the
    /// row, or begins one. Of a new row, a record takes an eighth at most, so that what is left at
    /// its end is little.
    pub fn frame_bytes_max(self, bytes: usize) -> usize {
        if self.takes(bytes) {
            row_bytes_max(self.bytes) - self.bytes
        } else {
            row_bytes_max(bytes.saturating_mul(8))
        }
    }
}

/// The frames of a row that is stored under `first_seq`, each with its first `seq`: that of the
/// frame before plus its entries. If one does not begin like a frame, the rest of the row is given
/// as one.
pub fn frames_of_row(first_seq: u64, row: Bytes) -> impl Iterator<Item = (u64, Bytes)> {
    let (mut first_seq, mut rest) = (first_seq, row);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (bytes, count) =
            frame_len(&rest).filter(|(len, _)| *len <= rest.len()).unwrap_or((rest.len(), 0));
        let frame = (first_seq, rest.split_to(bytes));
        first_seq = first_seq.saturating_add(count);
        Some(frame)
    })
}

/// The frames that `bytes` are, one behind the other: each continues the one before. `None` if they
/// are anything else.
pub fn chained_frames(bytes: Bytes) -> Option<Vec<Bytes>> {
    let mut end: Option<(u64, Hash)> = None;
    let mut frames = Vec::new();
    for (_, frame) in frames_of_row(0, bytes) {
        let view = FrameView::parse(&frame).ok()?;
        if end.is_some_and(|end| end != (view.first_seq(), view.previous_root())) {
            return None;
        }
        end = Some((view.last_seq().checked_add(1)?, view.root()));
        frames.push(frame);
    }
    Some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{FrameBuilder, FrameLimits, Line, RecordStamp};
    use crate::model::UnixNanos;

    const ROW: usize = (64 << 10) - 64;

    /// Frames of one entry each, that continue each other.
    fn frames(count: u64) -> Vec<Vec<u8>> {
        let limits = FrameLimits { entries_max: 10, bytes_max: ROW };
        let stamp = RecordStamp { ts_publish: UnixNanos::new(1), topic_id: 0, type_id: 0 };
        let mut line = Line::ZERO;
        zerocopy::IntoBytes::as_mut_bytes(&mut line)[40] = 1;
        let (mut builder, mut root) = (FrameBuilder::new(limits, 1, 0), Hash::ZERO);
        (0..count)
            .map(|_| {
                builder.push(&[line], &[], &stamp);
                let sealed = builder.seal(&root);
                root = sealed.root();
                let bytes = sealed.bytes().to_vec();
                builder.reset();
                bytes
            })
            .collect()
    }

    #[test]
    fn a_row_fills_its_pages() {
        assert_eq!([0, 1, ROW].map(row_bytes_max), [ROW; 3]);
        assert_eq!(row_bytes_max(ROW + 1), (128 << 10) - 64);
        let mut fill = RowFill::default();
        assert!(!fill.takes(1), "there is no row yet");
        assert!(fill.add(60_000));
        assert!(!fill.takes(ROW - 60_000 + 1));
        assert!(!fill.add(ROW - 60_000));
        assert!(fill.is_full());
        assert!(fill.add(1), "a new row");
        // A frame that needs larger pages has all of them filled.
        assert!(fill.add(70_000));
        assert!(fill.takes(60_000));
    }

    #[test]
    fn a_frame_fills_the_row_or_begins_one() {
        let mut fill = RowFill::default();
        assert_eq!(fill.frame_bytes_max(400), ROW);
        fill.add(60_000);
        assert_eq!(fill.frame_bytes_max(400), ROW - 60_000);
        assert_eq!(fill.frame_bytes_max(6_000), ROW);
        // Of which each takes an eighth at most.
        assert_eq!(fill.frame_bytes_max(16 << 10), (256 << 10) - 64);
    }

    #[test]
    fn a_row_comes_apart_into_its_frames() {
        let frames = frames(3);
        let found: Vec<_> = frames_of_row(1, frames.concat().into()).collect();
        let expected: Vec<_> = (1..).zip(frames.iter().map(|frame| frame.clone().into())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_begins_like_no_frame_is_one_piece_with_the_rest() {
        let frames = frames(3);
        let mut row = frames.concat();
        row[frames[0].len()] ^= 1;
        let rest = row[frames[0].len()..].to_vec();
        let found: Vec<_> = frames_of_row(1, row.into()).collect();
        assert_eq!(found, [(1, frames[0].clone().into()), (2, rest.into())]);
        let cut = frames.concat()[..frames[0].len() + 100].to_vec();
        assert_eq!(
            frames_of_row(1, cut.into()).map(|(first, _)| first).collect::<Vec<_>>(),
            [1, 2]
        );
    }

    #[test]
    fn only_frames_that_continue_each_other_are_chained() {
        let frames = frames(3);
        let chained = |order: &[usize]| {
            let bytes: Vec<u8> = order.iter().flat_map(|n| frames[*n].clone()).collect();
            chained_frames(bytes.into()).map(|frames| frames.len())
        };
        assert_eq!(chained(&[]), Some(0));
        assert_eq!(chained(&[0, 1, 2]), Some(3));
        assert_eq!(chained(&[1, 2]), Some(2));
        assert_eq!([&[0, 2][..], &[1, 0], &[1, 1]].map(chained), [None; 3]);
        let cut = frames.concat();
        assert_eq!(chained_frames(cut[..cut.len() - 1].to_vec().into()), None);
    }
}
