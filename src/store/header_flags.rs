//! The flags in redb's header, see "Database header" in redb's `docs/design.md`: the byte behind the magic number, which no
//! checksum covers.

use std::io;

/// Where they are.
const FLAGS_AT: usize = 9;
/// Set while the file is open for writing.
#[cfg(any(feature = "internals", test))]
const RECOVERY_REQUIRED: u8 = 0b10;
/// Set by a commit that is durable before redb points to it: of those that an engine makes, only the one that closes a file.
const TWO_PHASE_COMMIT: u8 = 0b100;

#[derive(Debug, Clone, Copy)]
pub(super) struct HeaderFlags(u8);

impl HeaderFlags {
    /// Takes them out of what `read` gives for the beginning of a file.
    pub(super) fn read(read: impl FnOnce(&mut [u8]) -> io::Result<()>) -> io::Result<Self> {
        let mut header = [0; FLAGS_AT + 1];
        read(&mut header)?;
        Ok(Self(header[FLAGS_AT]))
    }

    #[cfg(any(feature = "internals", test))]
    pub(super) fn says_left_open(self) -> bool {
        self.0 & RECOVERY_REQUIRED != 0
    }

    /// Whether nothing was committed since the file was closed, be it open again or not. Otherwise redb compares all of the
    /// file when it opens it for writing.
    pub(super) fn ends_with_its_closing(self) -> bool {
        self.0 & TWO_PHASE_COMMIT != 0
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use redb::{Database, TableDefinition};

    use super::*;

    /// As redb itself writes them.
    #[test]
    fn flags_follow_a_file_from_its_closing_to_the_next() {
        const TABLE: TableDefinition<'_, u64, u64> = TableDefinition::new("table");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.redb");
        let flags = || {
            let mut file = File::open(&path).unwrap();
            let flags = HeaderFlags::read(|header| file.read_exact(header)).unwrap();
            (flags.says_left_open(), flags.ends_with_its_closing())
        };
        drop(Database::create(&path).unwrap());
        assert_eq!(flags(), (false, true), "closed");
        let database = Database::open(&path).unwrap();
        assert_eq!(flags(), (true, true), "open again");
        let transaction = database.begin_write().unwrap();
        transaction.open_table(TABLE).unwrap().insert(1, 2).unwrap();
        transaction.commit().unwrap();
        assert_eq!(flags(), (true, false), "with a commit since");
        drop(database);
        assert_eq!(flags(), (false, true), "closed again");
    }
}
