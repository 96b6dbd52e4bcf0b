//! Blocks of the disk that are written before they are needed.
//!
//! A commit into blocks that the file system has yet to allocate makes it write down where they are, and a sync
//! waits for that too. A run of small commits is spared it: where the first small page goes into a stretch of the
//! file, zeros go into all of it, so that the file system is asked once for many commits. redb does not look at
//! pages that it has not written.

use std::io;
use std::ops::Range;

/// Bytes of a stretch. A small commit takes a page or two more of a file, so that one in thirty or so waits for
/// a stretch to be written with it: longer ones make that rarer, and the wait longer.
const STRETCH_BYTES: u64 = 256 << 10;

/// Which stretches of a file have been written to.
#[derive(Debug)]
pub(super) struct FillAhead {
    len: u64,
    /// A bit a stretch, 64 of them in each word.
    touched: Vec<u64>,
}

impl FillAhead {
    /// Of a file of `len` bytes, of which nobody knows where they are written: none of them is filled.
    pub(super) fn new(len: u64) -> Self {
        let mut ahead = Self { len, touched: Vec::new() };
        for stretch in stretches(0..len) {
            ahead.touch(stretch);
        }
        ahead
    }

    /// The file has another length. What is cut off is gone, also when the file grows again.
    pub(super) fn resized(&mut self, len: u64) {
        self.len = len;
        let kept = len.div_ceil(STRETCH_BYTES) as usize;
        self.touched.truncate(kept.div_ceil(64));
        if let Some(last) = self.touched.get_mut(kept / 64) {
            *last &= (1 << (kept % 64)) - 1;
        }
    }

    /// A large page is written.
    pub(super) fn large(&mut self, page: Range<u64>) {
        for stretch in stretches(page) {
            self.touch(stretch);
        }
    }

    /// A small page is about to be written: writes zeros to all of the stretches it is in, where nothing has
    /// been written to them yet.
    pub(super) fn small(
        &mut self,
        page: Range<u64>,
        mut write_zeros: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        for stretch in stretches(page) {
            if self.touch(stretch) {
                let start = stretch * STRETCH_BYTES;
                let bytes = STRETCH_BYTES.min(self.len.saturating_sub(start));
                write_zeros(start, &ZEROS[..bytes as usize])?;
            }
        }
        Ok(())
    }

    /// Whether the stretch had not been touched before.
    fn touch(&mut self, stretch: u64) -> bool {
        let (word, bit) = ((stretch / 64) as usize, 1 << (stretch % 64));
        if self.touched.len() <= word {
            self.touched.resize(word + 1, 0);
        }
        let is_new = self.touched[word] & bit == 0;
        self.touched[word] |= bit;
        is_new
    }
}

/// The numbers of the stretches that `bytes` are in.
fn stretches(bytes: Range<u64>) -> Range<u64> {
    bytes.start / STRETCH_BYTES..bytes.end.div_ceil(STRETCH_BYTES)
}

static ZEROS: [u8; STRETCH_BYTES as usize] = [0; STRETCH_BYTES as usize];

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

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

    /// The same, of the first page of a stretch.
    fn first_page(ahead: &mut FillAhead, stretch: u64) -> Vec<(u64, u64)> {
        let start = stretch * STRETCH_BYTES;
        small(ahead, start, start + PAGE)
    }

    fn whole(stretch: u64) -> Vec<(u64, u64)> {
        vec![(stretch * STRETCH_BYTES, (stretch + 1) * STRETCH_BYTES)]
    }

    #[test]
    fn a_stretch_is_filled_once_before_its_first_small_page() {
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
    fn what_a_large_page_has_touched_is_never_overwritten() {
        let mut ahead = FillAhead::new(0);
        ahead.resized(64 << 20);
        ahead.large(10 * STRETCH_BYTES + PAGE..12 * STRETCH_BYTES + PAGE);
        for stretch in 10..=12 {
            assert_eq!(first_page(&mut ahead, stretch), [], "stretch {stretch}");
        }
        assert_eq!(first_page(&mut ahead, 13), whole(13));
    }

    #[test]
    fn nothing_is_filled_behind_the_end_and_what_is_cut_off_is_filled_anew() {
        let mut ahead = FillAhead::new(0);
        let end = 100 * STRETCH_BYTES + 3 * PAGE;
        ahead.resized(end);
        assert_eq!(first_page(&mut ahead, 100), [(100 * STRETCH_BYTES, end)]);
        assert_eq!(first_page(&mut ahead, 99), whole(99));
        ahead.resized(99 * STRETCH_BYTES);
        ahead.resized(end);
        assert_eq!(first_page(&mut ahead, 99), whole(99));
        ahead.resized(0);
        ahead.resized(end);
        assert_eq!(first_page(&mut ahead, 0), whole(0));
    }

    #[test]
    fn a_file_that_was_there_is_filled_only_where_it_grows() {
        let mut ahead = FillAhead::new(64 * STRETCH_BYTES);
        ahead.resized(128 * STRETCH_BYTES);
        for stretch in 0..64 {
            assert_eq!(first_page(&mut ahead, stretch), []);
        }
        assert_eq!(first_page(&mut ahead, 64), whole(64));
    }
}
