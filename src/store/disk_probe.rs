use std::fmt::Debug;
use std::io;
use std::path::Path;

/// Is asked before each thing that is done to run files: what watches a disk, slows it down, or lets it fail.
///
/// For tests of what a node makes of its disk; the simulator in `sim/` is built on it. The time it takes is
/// time of the thread that does the thing.
pub trait DiskProbe: Debug + Send + Sync {
    /// What is about to be done to the file that was opened at `path`; it may have been renamed since. On an error it is not done, and that is what came of it.
    fn before(&self, path: &Path, op: DiskOp<'_>) -> io::Result<()>;
}

/// One thing done to a run file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskOp<'a> {
    /// The file is made, empty, in place of any of its name.
    Create,
    /// `bytes` are read from `offset` on.
    Read {
        /// From where in the file.
        offset: u64,
        /// How many.
        bytes: usize,
    },
    /// `data` is written at `offset`. Not durable before the next sync; until then any part of it may be.
    Write {
        /// To where in the file.
        offset: u64,
        /// What.
        data: &'a [u8],
    },
    /// The file is cut, or made longer by zeros. As durable as a write.
    SetLen {
        /// Its length from now on, in bytes.
        len: u64,
    },
    /// Everything done to the file before is made durable.
    Sync,
    /// The file gets another name. Durable with the next sync of the folder.
    Rename {
        /// The path from now on.
        to: &'a Path,
    },
    /// The names in the file's folder are made durable.
    SyncFolder,
}
