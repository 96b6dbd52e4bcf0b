//! Blocks of the disk that are written before they are needed.
//!
//! A commit into blocks that the file system has yet to allocate makes it write down where they
//! are, and a sync waits for that too. Many small commits are spared it: where the first small page
//! goes into an extent of the file, zeros go into all of it, so that the file system is asked once
//! for many commits. redb does not look at pages that it has not written.

use std::io;
use std::ops::Range;

/// Bytes of an extent. A small commit takes a page or two more of a file, so that one in thirty or
/// so waits for an extent to be written with it: longer ones make that rarer, and the wait longer.
const EXTENT_BYTES: u64 = 256 << 10;

/// Which extents of a file have been written to.
#[derive(Debug)]
pub(super) struct FillAhead {
    len: u64,
    /// A bit an extent, 64 of them in each word.
    touched: Vec<u64>,
}

impl FillAhead {
    /// Of a file of `len` bytes, of which nobody knows where they are written: none of them is
    /// filled.
    pub(super) fn new(len: u64) -> Self {
        let mut ahead = Self { len, touched: Vec::new() };
        for extent in extents(0..len) {
            ahead.touch(extent);
        }
        ahead
    }

    /// The file has another length. Truncation forgets extents; they are filled again if the file
    /// grows back.
    pub(super) fn resized(&mut self, len: u64) {
        self.len = len;
        let kept = len.div_ceil(EXTENT_BYTES) as usize;
        self.touched.truncate(kept.div_ceil(64));
        if let Some(last) = self.touched.get_mut(kept / 64) {
            *last &= (1 << (kept % 64)) - 1;
        }
    }

    /// A large page is written.
    pub(super) fn large(&mut self, page: Range<u64>) {
        for extent in extents(page) {
            self.touch(extent);
        }
    }

    /// A small page is about to be written: writes zeros to all of the extents it is in, where
    /// nothing has been written to them yet.
    pub(super) fn small(
        &mut self,
        page: Range<u64>,
        mut write_zeros: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        for extent in extents(page) {
            if self.touch(extent) {
                let start = extent * EXTENT_BYTES;
                let bytes = EXTENT_BYTES.min(self.len.saturating_sub(start));
                write_zeros(start, &ZEROS[..bytes as usize])?;
            }
        }
        Ok(())
    }

    /// Whether the extent had not been touched before.
    fn touch(&mut self, extent: u64) -> bool {
        let (word, bit) = ((extent / 64) as usize, 1 << (extent % 64));
        if self.touched.len() <= word {
            self.touched.resize(word + 1, 0);
        }
        let is_new = self.touched[word] & bit == 0;
        self.touched[word] |= bit;
        is_new
    }
}

/// The numbers of the extents that `bytes` are in.
fn extents(bytes: Range<u64>) -> Range<u64> {
    bytes.start / EXTENT_BYTES..bytes.end.div_ceil(EXTENT_BYTES)
}

static ZEROS: [u8; EXTENT_BYTES as usize] = [0; EXTENT_BYTES as usize];

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = super::super::PAGE_BYTES as u64;

    /// Writes a small page, and returns what was filled before: from where, to where.
    fn small(ahead: &mut FillAhead, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut filled = Vec::new();
        let write = |offset, zeros: &[u8]| {
            assert!(zeros.iter().all(|byte| *byte == 0));
            filled.push((offset, offset + zeros.len() as u64));
            Ok(())
        };
        ahead.small(start..end, write).unwrap();
        filled
    }

    /// The same, of the first page of an extent.
    fn first_page(ahead: &mut FillAhead, extent: u64) -> Vec<(u64, u64)> {
        let start = extent * EXTENT_BYTES;
        small(ahead, start, start + PAGE)
    }

    fn whole(extent: u64) -> Vec<(u64, u64)> {
        vec![(extent * EXTENT_BYTES, (extent + 1) * EXTENT_BYTES)]
    }

    #[test]
    fn an_extent_is_filled_once() {
        let mut ahead = FillAhead::new(0);
        ahead.resized(64 << 20);
        let (start, end) = whole(2)[0];
        assert_eq!(small(&mut ahead, start + PAGE, start + 2 * PAGE), whole(2));
        assert_eq!(first_page(&mut ahead, 2), []);
        assert_eq!(small(&mut ahead, end - PAGE, end), []);
        assert_eq!(first_page(&mut ahead, 0), whole(0));
        // One that reaches into the next.
        assert_eq!(small(&mut ahead, end - PAGE, end + PAGE), whole(3));
    }

    #[test]
    fn zeros_never_overwrite_a_large_page() {
        let mut ahead = FillAhead::new(0);
        ahead.resized(64 << 20);
        ahead.large(10 * EXTENT_BYTES + PAGE..12 * EXTENT_BYTES + PAGE);
        for extent in 10..=12 {
            assert_eq!(first_page(&mut ahead, extent), [], "extent {extent}");
        }
        assert_eq!(first_page(&mut ahead, 13), whole(13));
    }

    #[test]
    fn a_cut_extent_is_filled_again() {
        let mut ahead = FillAhead::new(0);
        let end = 100 * EXTENT_BYTES + 3 * PAGE;
        ahead.resized(end);
        assert_eq!(first_page(&mut ahead, 100), [(100 * EXTENT_BYTES, end)]);
        assert_eq!(first_page(&mut ahead, 99), whole(99));
        ahead.resized(99 * EXTENT_BYTES);
        ahead.resized(end);
        assert_eq!(first_page(&mut ahead, 99), whole(99));
        ahead.resized(0);
        ahead.resized(end);
        assert_eq!(first_page(&mut ahead, 0), whole(0));
    }

    #[test]
    fn an_old_file_is_filled_as_it_grows() {
        let mut ahead = FillAhead::new(64 * EXTENT_BYTES);
        ahead.resized(128 * EXTENT_BYTES);
        for extent in 0..64 {
            assert_eq!(first_page(&mut ahead, extent), []);
        }
        assert_eq!(first_page(&mut ahead, 64), whole(64));
    }
}
