//! The flags in redb's header, see "Database header" in redb's `docs/design.md`: the byte behind the magic number, which no
//! checksum covers.

use std::io;

/// Where they are.
const FLAGS_AT: usize = 9;
/// Set while the file is open for writing.
#[cfg(feature = "cli")]
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

    #[cfg(feature = "cli")]
    pub(super) fn says_left_open(self) -> bool {
        self.0 & RECOVERY_REQUIRED != 0
    }

    /// Whether nothing was committed since the file was closed, be it open again or not. Otherwise redb compares all of the
    /// file when it opens it for writing.
    pub(super) fn ends_with_its_closing(self) -> bool {
        self.0 & TWO_PHASE_COMMIT != 0
    }
}
