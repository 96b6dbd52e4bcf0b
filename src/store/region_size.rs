//! How fast a run file grows. redb grows a file twofold until it has a region of 4 GiB, and gives back
//! only what is free behind the last page in use, so that a sealed run could be 2.6 times as long as
//! what is in it. With small regions it grows by no more than one region at a time; redb cuts off and
//! grows again a part of a new region a few times while it fills, four more syncs in 64 MiB.

use std::io;
use std::ops::Range;

use redb::StorageBackend;

/// The space in a region, in pages of 4 KiB: 64 MiB. A value in redb has to fit into a region, which
/// bounds the largest frame; what a sealed file can be too long is at most a region.
const REGION_PAGES: u32 = 16 << 10;

/// The fields of redb's header up to the one for the region size, see "Database header" in redb's
/// `docs/design.md`. All integers are little-endian; none of them is covered by a checksum.
const MAGIC: [u8; 9] = [b'r', b'e', b'd', b'b', 0x1A, 0x0A, 0xA9, 0x0D, 0x0A];
const PAGE_SIZE: Range<usize> = 12..16;
const REGION_MAX_DATA_PAGES: Range<usize> = 20..24;
const FULL_REGIONS: Range<usize> = 24..28;
const TRAILING_PAGES: Range<usize> = 28..32;

/// Gives a redb file that was just made, and closed, regions of [`REGION_PAGES`]. redb reads their
/// size from the header and offers no setting for it.
///
/// A header that is not as expected is left as it is: the file will be longer, nothing else.
pub(super) fn shrink_regions(file: &impl StorageBackend) -> io::Result<()> {
    let mut header = [0; 32];
    file.read(0, &mut header)?;
    let field = |range: Range<usize>| {
        u32::from_le_bytes(header[range].try_into().expect("fields of four bytes"))
    };
    let is_known = header.starts_with(&MAGIC) && field(PAGE_SIZE) == 4096;
    let is_small = field(FULL_REGIONS) == 0 && field(TRAILING_PAGES) < REGION_PAGES;
    if is_known && is_small && field(REGION_MAX_DATA_PAGES) > REGION_PAGES {
        file.write(REGION_MAX_DATA_PAGES.start as u64, &REGION_PAGES.to_le_bytes())?;
    }
    Ok(())
}
