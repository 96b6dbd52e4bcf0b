//! What redb searches its trees by, and damage to it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Where redb's inner pages have `separator`, in bytes from the start of the file. At most once a
/// page; pages of earlier commits count too.
pub(crate) fn separators(path: &Path, separator: &[u8]) -> Vec<u64> {
    const PAGE_BYTES: usize = 4096;
    const BRANCH: u8 = 2;
    let file = fs::read(path).expect("the file is readable");
    let pages = file.chunks(PAGE_BYTES).enumerate().filter(|(_, page)| page[0] == BRANCH);
    let place = |(page_number, page): (usize, &[u8])| {
        let found = page.windows(separator.len()).position(|bytes| bytes == separator);
        found.map(|offset| (page_number * PAGE_BYTES + offset) as u64)
    };
    pages.filter_map(place).collect()
}

/// Flips a bit of a file.
pub(crate) fn flip(path: &Path, bit: u64) {
    let mut file = File::options().read(true).write(true).open(path).expect("the file is there");
    let mut byte = [0_u8];
    file.seek(SeekFrom::Start(bit / 8)).expect("the file is as long");
    file.read_exact(&mut byte).expect("the file is as long");
    byte[0] ^= 1 << (bit % 8);
    file.seek(SeekFrom::Start(bit / 8)).expect("the file is as long");
    file.write_all(&byte).expect("the file is writable");
}
