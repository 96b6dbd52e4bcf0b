//! What the system remembers of a file is not always what is on the disk.
//!
//! Linux marks pages that it could not write as clean, says so to one `fdatasync`, and goes on to serve them: what is
//! read then, by any process, is nowhere but in memory, until the pages are evicted or the power fails (Rebello et
//! al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). A recovery that believed them would take a
//! commit for good whose pages the disk does not have, and put its own on top of it: once the pages are gone, so are
//! entries that had been acknowledged before. So what was left behind is read from the disk.

use std::fs::File;
use std::io;

use super::DiskOp;

/// Lets what is read of `file` from now on come from its disk. What is not written yet is written first. `ask` is
/// asked before each step. Where the system is not Linux, only the first is made.
pub(crate) fn forget_cached(
    file: &File,
    ask: impl Fn(DiskOp<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let sync = || {
        ask(DiskOp::Sync)?;
        file.sync_data()
    };
    // Of writes that failed when nobody asked any more, as of a process that was killed, the first sync tells. Their
    // pages are no longer dirty, and are forgotten below. The second tells whether the disk takes what is left.
    sync().or_else(|_of_before| sync())?;
    ask(DiskOp::Forget)?;
    forget_pages(file)
}

/// Only clean pages are dropped.
#[cfg(target_os = "linux")]
fn forget_pages(file: &File) -> io::Result<()> {
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn forget_pages(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{IoSliceMut, Write};

    use rustix::fs::{FsWord, fstatfs};
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    use super::*;

    /// Of file systems whose only copy is the one in memory.
    const TMPFS: FsWord = 0x0102_1994;

    /// Whether the file's first page is in memory; `None` where the file system does not say.
    fn is_cached(file: &File) -> Option<bool> {
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        match preadv2(file, &mut into, 0, ReadWriteFlags::NOWAIT) {
            Ok(_) => Some(true),
            Err(Errno::AGAIN) => Some(false),
            Err(_) => None,
        }
    }

    #[test]
    fn what_is_in_memory_of_a_file_is_forgotten() {
        // Beside this program: folders for temporary files may be in memory.
        let program = std::env::current_exe().unwrap();
        let mut file = tempfile::tempfile_in(program.parent().unwrap()).unwrap();
        file.write_all(&vec![7; 1 << 20]).unwrap();
        if fstatfs(&file).unwrap().f_type == TMPFS || is_cached(&file) != Some(true) {
            println!("skipped: the file system has no disk, or does not say what is in memory");
            return;
        }
        forget_cached(&file, |_| Ok(())).unwrap();
        assert_eq!(is_cached(&file), Some(false));
    }
}
