//! Blocks of the disk that are written before they are needed.
//!
//! A commit into blocks that the file system has yet to allocate makes it write down where they are, and a sync
//! waits for that too. A run of small commits is spared it: zeros are written ahead of it, so much that the file
//! system is asked once in many commits. redb does not look at pages that it has not written.

use std::io;

/// How far ahead. A small commit takes a page or two more of a file; so once in a hundred commits or so, one
/// waits for this to be written with it.
const AHEAD_BYTES: u64 = 256 << 10;

/// Commits in a row that have grown the file by small pages alone, before that is taken for a habit: beside
/// large pages, small ones are few.
const GROWTH_MIN: u32 = 8;

/// Where the blocks end that are known to be written.
#[derive(Debug)]
pub(super) struct FillAhead {
    len: u64,
    written_end: u64,
    growth: u32,
}

impl FillAhead {
    /// Of a file of `len` bytes, of which nobody knows where they are written.
    pub(super) fn new(len: u64) -> Self {
        Self { len, written_end: len, growth: 0 }
    }

    /// The file has another length.
    pub(super) fn resized(&mut self, len: u64) {
        self.len = len;
        self.written_end = self.written_end.min(len);
    }

    /// A large page is written.
    pub(super) fn large(&mut self, end: u64) {
        self.written_end = self.written_end.max(end);
        self.growth = 0;
    }

    /// A small page is about to be written up to `end`: writes zeros behind it where it is time to.
    pub(super) fn small(
        &mut self,
        end: u64,
        write_zeros: impl FnOnce(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if end <= self.written_end {
            return Ok(());
        }
        self.written_end = end;
        self.growth += 1;
        let bytes = AHEAD_BYTES.min(self.len.saturating_sub(end));
        if self.growth < GROWTH_MIN || bytes == 0 {
            return Ok(());
        }
        write_zeros(end, &ZEROS[..bytes as usize])?;
        self.written_end = end + bytes;
        Ok(())
    }
}

static ZEROS: [u8; AHEAD_BYTES as usize] = [0; AHEAD_BYTES as usize];

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    /// Writes a small page up to `end`, and returns what was filled behind it.
    fn small(ahead: &mut FillAhead, end: u64) -> Option<(u64, u64)> {
        let mut filled = None;
        let write = |offset, zeros: &[u8]| {
            assert!(zeros.iter().all(|byte| *byte == 0));
            filled = Some((offset, zeros.len() as u64));
            Ok(())
        };
        ahead.small(end, write).unwrap();
        filled
    }

    #[test]
    fn a_habit_of_small_growth_is_written_ahead_of() {
        let mut ahead = FillAhead::new(0);
        ahead.resized(64 << 20);
        for page in 1..8 {
            assert_eq!(small(&mut ahead, page * PAGE), None);
        }
        assert_eq!(small(&mut ahead, 8 * PAGE), Some((8 * PAGE, AHEAD_BYTES)));
        // What is filled needs no more, and what was written before never does.
        assert_eq!(small(&mut ahead, 9 * PAGE), None);
        assert_eq!(small(&mut ahead, PAGE), None);
        assert_eq!(small(&mut ahead, 8 * PAGE + AHEAD_BYTES), None);
        let next = 9 * PAGE + AHEAD_BYTES;
        assert_eq!(small(&mut ahead, next), Some((next, AHEAD_BYTES)));
    }

    #[test]
    fn nothing_is_filled_beside_large_pages_or_behind_the_end() {
        let mut ahead = FillAhead::new(0);
        ahead.resized(64 << 20);
        for page in 1..100 {
            assert_eq!(small(&mut ahead, page * PAGE), None, "page {page}");
            ahead.large(page * PAGE);
        }
        ahead.large((64 << 20) - 20 * PAGE);
        let at = |page: u64| (64 << 20) - 20 * PAGE + page * PAGE;
        for page in 1..8 {
            assert_eq!(small(&mut ahead, at(page)), None);
        }
        assert_eq!(small(&mut ahead, at(8)), Some((at(8), 12 * PAGE)));
        assert_eq!(small(&mut ahead, 64 << 20), None);
        ahead.resized(128 << 20);
        assert_eq!(small(&mut ahead, (64 << 20) + PAGE), Some(((64 << 20) + PAGE, AHEAD_BYTES)));
    }

    #[test]
    fn a_file_that_was_there_is_filled_only_where_it_grows() {
        let mut ahead = FillAhead::new(64 << 20);
        for page in 1..100 {
            assert_eq!(small(&mut ahead, page * PAGE), None);
        }
    }
}
