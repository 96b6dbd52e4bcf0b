//! redb asks for repair of a file whose process died, and of one that was changed after it was closed.
//! Only the first is a run to be recovered.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use redb::{DatabaseError, ReadOnlyDatabase};

use super::header_flags::HeaderFlags;

/// Whether redb asks for repair of the file at `path` although it closed it in order. A recovery that
/// was itself interrupted, within an instant, may leave such a file too.
pub(crate) fn changed_since_closed(path: &Path) -> bool {
    let asks_for_repair = ReadOnlyDatabase::open(path);
    matches!(asks_for_repair, Err(DatabaseError::RepairAborted))
        && is_left_open(path).is_ok_and(|left_open| !left_open)
}

fn is_left_open(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    Ok(HeaderFlags::read(|header| file.read_exact(header))?.says_left_open())
}
