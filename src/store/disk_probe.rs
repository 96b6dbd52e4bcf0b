use std::fmt::Debug;
use std::io;
use std::path::Path;

/// Is called before a backend changes or reads a file that it makes or reopens. It can watch a
/// disk, slow it down, or let it fail.
///
/// Not called for: making folders; opening, locking and closing files, and asking for their length;
/// removing a file that could not be made; the first look at a file before it is reopened; sealed
/// runs, because no backend is involved in reading or removing them.
///
/// For tests of how a node handles its disk. The simulator in `crates/sim/` is built on it. A call
/// takes time of the thread that works on the file.
pub trait DiskProbe: Debug + Send + Sync {
    /// Called right before `op`. `path` is where the file was opened; it may have a new name since.
    /// On an error, `op` is not done and the backend sees the error.
    fn before(&self, path: &Path, op: DiskOp<'_>) -> io::Result<()>;
}

/// One operation on a run file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskOp<'a> {
    /// The file is made, empty. It replaces any file of that name.
    Create,
    /// `bytes` are read from `offset` on.
    Read {
        /// The place in the file, in bytes.
        offset: u64,
        /// How many.
        bytes: usize,
    },
    /// `data` is written at `offset`. It is durable after the next sync. Until then, any part of it
    /// may be.
    Write {
        /// The place in the file, in bytes.
        offset: u64,
        /// The bytes.
        data: &'a [u8],
    },
    /// The file is cut, or extended by zeros. It is durable like a write.
    SetLen {
        /// The new length in bytes.
        len: u64,
    },
    /// Everything done to the file so far is made durable.
    Sync,
    /// The system's page cache of the file is dropped, so that it is read from the disk. Only done
    /// to a file that is reopened.
    DropCache,
    /// The file is removed. Its name is gone for good after the next sync of the folder.
    Remove,
    /// The file is renamed. The name is durable after the next sync of the folder.
    Rename {
        /// The new path.
        to: &'a Path,
    },
    /// The names in the file's folder are made durable. When a run is made, this is also called for
    /// the folders above, with their paths.
    SyncFolder,
}
