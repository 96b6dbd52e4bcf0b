use std::fmt::Debug;
use std::io;
use std::path::Path;

/// Is asked before a backend does something to the content, the length or the name of a file that
/// it makes or reopens: what watches a disk, slows it down, or lets it fail.
///
/// Not everything is asked about. Not the making of folders, nor that files are opened, locked,
/// asked for their length and closed; not the removal of a file whose making failed; not the look
/// at a file before it is reopened; and nothing that is done to sealed runs, since what reads or
/// removes them has no backend.
///
/// For tests of what a node makes of its disk; the simulator in `crates/sim/` is built on it. The time it
/// takes is time of the thread that does the thing.
pub trait DiskProbe: Debug + Send + Sync {
    /// `op` is about to be done to the file that was opened at `path`; it may have been renamed
    /// since. On an error it is not done, and the backend sees that error.
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
    /// `data` is written at `offset`. Not durable before the next sync; until then any part of it
    /// may be.
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
    /// The system's page cache of the file is dropped, so that it is read from the disk. Only of a
    /// file that is reopened.
    Forget,
    /// The file gets another name. Durable with the next sync of the folder.
    Rename {
        /// The path from now on.
        to: &'a Path,
    },
    /// The names in the file's folder are made durable. When a run is made, also those of the
    /// folders it is in: the path is then that of such a folder.
    SyncFolder,
}
