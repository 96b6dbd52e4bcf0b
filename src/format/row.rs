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
