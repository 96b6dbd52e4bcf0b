//! Reopening a file that was left, to write to it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use redb::{Database, RepairSession};

use super::file::ContainerFile;
use super::{FileConfig, FileError, check_not_empty};
use crate::store::{BackendFault, DiskOp, guarded};

/// Opens the file at `path` for writing, read from the disk, and with all of it that is in use
/// compared with its checksums. It is an error if that differs, and the file stays as it is.
///
/// redb by itself compares only a file that was left open. One that was closed, as a run that
/// halted leaves it, it would open as it is, and write to on the strength of a list of free pages
/// that nobody has compared either.
pub(super) fn reopen_file(path: &Path, config: &FileConfig) -> Result<Database, FileError> {
    let failed = |error| FileError::io(path, error);
    check_not_empty(path)?;
    let file = File::options().read(true).write(true).open(path).map_err(failed)?;
    drop_page_cache(&file, |op| config.ask(path, op)).map_err(failed)?;
    let open = || -> Result<_, redb::DatabaseError> {
        let file = ContainerFile::new(file, path, config)?;
        let mut builder = config.builder();
        builder.set_check_integrity_on_open(true).set_repair_callback(watch(path));
        builder.create_with_backend(file)
    };
    guarded_at(path, || open().map_err(|error| FileError::redb(path, error)))
}

/// redb takes some damage for impossible, and panics. Here that is one more way in which a file is
/// damaged.
pub(super) fn guarded_at<T, E: From<FileError>>(
    path: &Path,
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    guarded(read).unwrap_or_else(|panic| {
        let (path, source) = (path.to_owned(), BackendFault::corrupted(panic));
        Err(FileError::Fault { path, source }.into())
    })
}

/// Says how far redb is with comparing a file, and repairing it if need be, when that takes longer
/// than a second. redb reads the file up to three times for it, and calls back after each.
fn watch(path: &Path) -> impl Fn(&mut RepairSession) + 'static {
    /// Files that are done sooner are nobody's concern.
    const PATIENCE: Duration = Duration::from_secs(1);
    let (path, began) = (path.to_owned(), Instant::now());
    move |session| {
        if began.elapsed() >= PATIENCE {
            let percent = session.progress() * 100.0;
            tracing::info!(
                "comparing {}: {percent:.0} % after {:?}",
                path.display(),
                began.elapsed()
            );
        }
    }
}

/// Lets what is read of `file` from now on come from its disk. What is not written yet is written
/// first. `ask` is asked before each step. Where the system is not Linux, only the first is made.
///
/// What the system remembers of a file is not always what is on the disk. Linux marks pages that it
/// could not write as clean, says so to one `fdatasync`, and goes on to serve them: what is read
/// then, by any process, is nowhere but in memory, until the pages are evicted or the power fails
/// (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). A recovery
/// that believed them would take a commit for good whose pages the disk does not have, and put its
/// own on top of it. Once the pages are gone, so are entries that had been acknowledged before.
pub(crate) fn drop_page_cache(
    file: &File,
    ask: impl Fn(DiskOp<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let sync = || {
        ask(DiskOp::Sync)?;
        file.sync_data()
    };
    // The first sync may fail over writes of before, as of a process that was killed. Their pages
    // are no longer dirty, and are dropped below. The second tells whether the disk takes what is
    // left.
    sync().or_else(|_of_before| sync())?;
    ask(DiskOp::DropCache)?;
    drop_clean_pages(file)
}

#[cfg(target_os = "linux")]
fn drop_clean_pages(file: &File) -> io::Result<()> {
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn drop_clean_pages(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use redb::{ReadTransaction, TableDefinition};

    use super::*;
    use crate::store::container::{Container, DiskMode, Growth, Pace};

    const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("table");

    fn config() -> FileConfig {
        let (disk_mode, growth) = (DiskMode::Buffered, Growth::ByRegion);
        FileConfig { disk_mode, cache_bytes: 1 << 20, growth, pace: Pace::default(), probe: None }
    }

    /// Reopens a file without a look at what is in it.
    fn reopen(path: &Path) -> Result<Container, FileError> {
        let look = |_: &ReadTransaction| -> Result<(), FileError> { Ok(()) };
        Ok(Container::reopen(path, &config(), look)?.0)
    }

    fn rows(container: &Container) -> Vec<(u64, Vec<u8>)> {
        let transaction = container.snapshots().begin_read().unwrap();
        let rows = transaction.open_table(TABLE).unwrap().range::<u64>(..).unwrap();
        rows.map(|row| row.map(|(key, value)| (key.value(), value.value().to_vec())).unwrap())
            .collect()
    }

    /// In the header a bit of each byte, elsewhere some bits of each page.
    #[test]
    fn a_damaged_closed_file_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("closed.redb");
        let insert = |container: &Container, key: u64| {
            container.commit(|transaction| {
                transaction.open_table(TABLE)?.insert(key, [key as u8; 500].as_slice())?;
                Ok(())
            })
        };
        let container = Container::create(&path, &config(), |_| Ok(())).unwrap();
        (0..40).for_each(|key| insert(&container, key).unwrap());
        drop(container);
        let sound = fs::read(&path).unwrap();
        let all = rows(&reopen(&path).unwrap());
        assert_eq!(all.len(), 40);

        let bits = (0..320 * 8).step_by(9).chain((4096 * 8..sound.len() * 8).step_by(8 * 701 + 3));
        let (mut stayed, mut opened) = (0, 0);
        for bit in bits {
            let mut damaged = sound.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &damaged).unwrap();
            if let Ok(container) = reopen(&path) {
                assert!(rows(&container) == all, "bit {bit} of the file");
                opened += 1;
            } else {
                assert!(fs::read(&path).unwrap() == damaged, "bit {bit} of the file");
                stayed += 1;
            }
        }
        assert!(stayed > 0 && opened > 0, "{stayed} stayed, {opened} opened");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod page_cache_tests {
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
    fn dropped_pages_are_no_longer_in_memory() {
        // Beside this program: folders for temporary files may be in memory.
        let program = std::env::current_exe().unwrap();
        let mut file = tempfile::tempfile_in(program.parent().unwrap()).unwrap();
        file.write_all(&vec![7; 1 << 20]).unwrap();
        if fstatfs(&file).unwrap().f_type == TMPFS || is_cached(&file) != Some(true) {
            println!("skipped: the file system has no disk, or does not say what is in memory");
            return;
        }
        drop_page_cache(&file, |_| Ok(())).unwrap();
        assert_eq!(is_cached(&file), Some(false));
    }
}
