//! redb's header, as far as redb gives no other way to it. See "Database header" in redb's
//! `docs/design.md`. All integers are little-endian, and no checksum covers the fields that are
//! used here.

use std::io;
use std::ops::Range;
#[cfg(any(feature = "internals", test))]
use std::path::Path;

use redb::StorageBackend;

use super::PAGE_BYTES;

const MAGIC: [u8; 9] = [b'r', b'e', b'd', b'b', 0x1A, 0x0A, 0xA9, 0x0D, 0x0A];
#[cfg(any(feature = "internals", test))]
const FLAGS: usize = MAGIC.len();
const PAGE_SIZE: Range<usize> = 12..16;
const REGION_MAX_DATA_PAGES: Range<usize> = 20..24;
const FULL_REGIONS: Range<usize> = 24..28;
const TRAILING_PAGES: Range<usize> = 28..32;

/// The flag that is set while the file is open for writing.
#[cfg(any(feature = "internals", test))]
const RECOVERY_REQUIRED: u8 = 0b10;

/// The space in a region, in pages: 64 MiB. A value in redb has to fit into a region, which bounds
/// the largest frame; a file that is done is too long by a region at most.
const REGION_PAGES: u32 = 16 << 10;

/// Gives a redb file that was just made, and closed, regions of [`REGION_PAGES`]. redb reads their
/// size from the header and offers no setting for it.
///
/// redb grows a file twofold until it has a region of 4 GiB, and gives back only what is free
/// behind the last page in use, so that a sealed run could be 2.6 times as long as what is in it.
/// With small regions it grows by no more than one region at a time; redb cuts off and grows again
/// a part of a new region a few times while it fills, four more syncs in 64 MiB.
///
/// A header that is not as expected is left as it is: the file will be longer, nothing else.
pub(super) fn shrink_regions(file: &impl StorageBackend) -> io::Result<()> {
    let mut header = [0; TRAILING_PAGES.end];
    file.read(0, &mut header)?;
    let field = |range: Range<usize>| {
        u32::from_le_bytes(header[range].try_into().expect("fields of four bytes"))
    };
    let is_known = header.starts_with(&MAGIC) && field(PAGE_SIZE) as usize == PAGE_BYTES;
    let is_small = field(FULL_REGIONS) == 0 && field(TRAILING_PAGES) < REGION_PAGES;
    if is_known && is_small && field(REGION_MAX_DATA_PAGES) > REGION_PAGES {
        file.write(REGION_MAX_DATA_PAGES.start as u64, &REGION_PAGES.to_le_bytes())?;
    }
    Ok(())
}

/// Whether redb asks for repair of the file at `path` although it closed it in order: it does so of
/// a file whose process died, and of one that was changed after it was closed, and only the first
/// is to be recovered. A recovery that was itself interrupted, within an instant, may leave such a
/// file too.
#[cfg(feature = "internals")]
pub(crate) fn changed_since_closed(path: &Path) -> bool {
    let asks_for_repair = redb::ReadOnlyDatabase::open(path);
    matches!(asks_for_repair, Err(redb::DatabaseError::RepairAborted))
        && is_left_open(path).is_ok_and(|left_open| !left_open)
}

#[cfg(any(feature = "internals", test))]
fn is_left_open(path: &Path) -> io::Result<bool> {
    use std::io::Read;

    let mut header = [0; FLAGS + 1];
    std::fs::File::open(path)?.read_exact(&mut header)?;
    Ok(header[FLAGS] & RECOVERY_REQUIRED != 0)
}

#[cfg(test)]
mod tests {
    use redb::Database;

    use super::*;

    /// As redb itself writes the flag.
    #[test]
    fn a_file_says_whether_it_was_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.redb");
        drop(Database::create(&path).unwrap());
        assert!(!is_left_open(&path).unwrap(), "closed");
        let database = Database::open(&path).unwrap();
        assert!(is_left_open(&path).unwrap(), "open again");
        drop(database);
        assert!(!is_left_open(&path).unwrap(), "closed again");
    }
}
