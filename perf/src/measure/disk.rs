use std::fs;
use std::io;
use std::path::Path;

/// What files take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DiskUse {
    /// Their lengths.
    pub(super) len: u64,
    /// What they take on the disk: less than their length where nothing was written yet. 0 on
    /// systems that do not tell.
    pub(super) allocated: u64,
}

impl DiskUse {
    /// Of all files below `dir`.
    pub(super) fn below(dir: &Path) -> io::Result<Self> {
        let mut total = Self::default();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let part = if metadata.is_dir() {
                Self::below(&entry.path())?
            } else {
                Self { len: metadata.len(), allocated: allocated(&metadata) }
            };
            total.len += part.len;
            total.allocated += part.allocated;
        }
        Ok(total)
    }
}

#[cfg(unix)]
fn allocated(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

#[cfg(not(unix))]
fn allocated(_: &fs::Metadata) -> u64 {
    0
}
