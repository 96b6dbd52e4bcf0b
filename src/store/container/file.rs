use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{DatabaseError, StorageBackend};
use serde::{Deserialize, Serialize};

use super::direct::DirectFile;
use super::fill_ahead::FillAhead;
use super::gather::Gather;
use super::{FileConfig, Pace};
use crate::store::{DiskOp, DiskProbe};

/// How a file is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskMode {
    /// Large pages, which hold frames, go past the page cache (`O_DIRECT`); small ones through it,
    /// and where they are many, into blocks that were written before. Where the file system has no
    /// direct I/O, the same as `Buffered`.
    #[default]
    Direct,
    /// Everything goes through the page cache, as stock redb does.
    Buffered,
}

/// Pages from this size on are written directly. Below, the page cache gathers redb's few small
/// writes a commit into one flush; above, filling it costs more than the disk does.
const DIRECT_BYTES_MIN: usize = 64 << 10;

/// redb's own file backend, with large writes taken past the page cache. The file is an ordinary
/// redb file either way.
#[derive(Debug)]
pub(super) struct ContainerFile {
    file: FileBackend,
    direct: Option<DirectFile>,
    /// What goes to `direct` with the next sync, or before somebody reads.
    gathered: Mutex<Gather>,
    pace: Pace,
    /// Locked by redb's one writer alone.
    ahead: Mutex<FillAhead>,
    path: PathBuf,
    probe: Option<Arc<dyn DiskProbe>>,
    /// The same file, to be asked for its names; `None` where the system does not count them.
    named: Option<File>,
}

impl ContainerFile {
    /// `file` must be the open file at `path`.
    pub(super) fn new(file: File, path: &Path, config: &FileConfig) -> Result<Self, DatabaseError> {
        let direct = match config.disk_mode {
            DiskMode::Direct => DirectFile::open(path),
            DiskMode::Buffered => None,
        };
        let named = if has_name(&file)? { Some(file.try_clone()?) } else { None };
        let file = FileBackend::new(file)?;
        let ahead = Mutex::new(FillAhead::new(file.len()?));
        let (path, probe, pace) = (path.to_owned(), config.probe.clone(), config.pace.clone());
        let gathered = Mutex::default();
        Ok(Self { file, direct, gathered, pace, ahead, path, probe, named })
    }

    /// The system writes and syncs a file that was removed as if nothing had happened, and all of
    /// it is gone with the process: nothing in it is durable.
    fn check_not_removed(&self) -> io::Result<()> {
        match &self.named {
            Some(file) if !has_name(file)? => Err(io::Error::other("its file was removed")),
            _ => Ok(()),
        }
    }

    fn ahead(&self) -> MutexGuard<'_, FillAhead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn probe(&self, op: DiskOp<'_>) -> io::Result<()> {
        self.probe.as_ref().map_or(Ok(()), |probe| probe.before(&self.path, op))
    }

    /// Writes through the page cache.
    fn write_cached(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.probe(DiskOp::Write { offset, data })?;
        self.file.write(offset, data)
    }

    /// Gathers a page that bypasses the page cache. If there is no room, first writes the pages that
    /// were gathered before.
    fn gather(&self, direct: &DirectFile, offset: u64, data: &[u8]) -> io::Result<()> {
        self.probe(DiskOp::Write { offset, data })?;
        let mut gathered = self.gathered();
        if !gathered.has_room(data.len()) {
            self.write_gathered(direct, &mut gathered)?;
        }
        gathered.add(offset, data);
        Ok(())
    }

    /// Writes what was gathered past the page cache, where the file system lets us.
    fn write_gathered(&self, direct: &DirectFile, gathered: &mut Gather) -> io::Result<()> {
        let written = match gathered.write(direct, self.pace.write_bytes_max()) {
            // Some file systems take the flag at open and refuse the write, before any of it is
            // done. Nothing is lost by writing it the ordinary way.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                direct.give_up();
                gathered.pieces().try_for_each(|(offset, data)| self.file.write(offset, data))
            }
            written => written,
        };
        gathered.clear();
        written
    }

    /// Makes the file what redb takes it for.
    fn settle(&self) -> io::Result<()> {
        match &self.direct {
            Some(direct) => self.write_gathered(direct, &mut self.gathered()),
            None => Ok(()),
        }
    }

    fn gathered(&self) -> MutexGuard<'_, Gather> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an open file still has a name in any folder.
///
/// Asks for nothing else: to whom asks for its times as well, Linux (6.13 and later) gives the next
/// write a time of its own, and the sync after that has the inode to write too. That cost a commit
/// 40 of 170 µs.
#[cfg(target_os = "linux")]
pub(crate) fn has_name(file: &File) -> io::Result<bool> {
    use rustix::fs::{AtFlags, StatxFlags, statx};

    Ok(statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::NLINK)?.stx_nlink > 0)
}

/// Whether an open file still has a name in any folder.
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) fn has_name(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    Ok(file.metadata()?.nlink() > 0)
}

/// An open file cannot be removed, or it cannot be asked.
#[cfg(not(unix))]
pub(crate) fn has_name(_file: &File) -> io::Result<bool> {
    Ok(true)
}

/// The part of a [`StorageBackend`] that locks: the locks are those of `self.file`.
macro_rules! file_locks {
    () => {
        file_locks!(try_lock_range -> bool);
        file_locks!(try_lock_shared_range -> bool);
        file_locks!(lock_range -> ());
        file_locks!(lock_shared_range -> ());
        file_locks!(unlock_range -> ());
        file_locks!(query_lock_range -> bool);
    };
    ($lock:ident -> $done:ty) => {
        fn $lock(
            &self,
            from: std::ops::Bound<u64>,
            to: std::ops::Bound<u64>,
        ) -> Result<$done, redb::BackendError> {
            self.file.$lock(from, to)
        }
    };
}

impl StorageBackend for ContainerFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.probe(DiskOp::Read { offset, bytes: out.len() })?;
        if self.gathered().overlaps(&(offset..offset + out.len() as u64)) {
            self.settle()?;
        }
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.probe(DiskOp::SetLen { len })?;
        self.settle()?;
        self.file.set_len(len)?;
        self.ahead().resized(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        // Of the file, whichever way the data came: it flushes the page cache, the block map that
        // direct writes changed, and the disk's own cache.
        self.probe(DiskOp::Sync)?;
        self.settle()?;
        self.file.sync_data()?;
        self.check_not_removed()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let Some(direct) = &self.direct else {
            return self.write_cached(offset, data);
        };
        let page = offset..offset + data.len() as u64;
        if self.gathered().overlaps(&page) {
            self.settle()?;
        }
        if data.len() < DIRECT_BYTES_MIN {
            self.ahead().small(page, |offset, zeros| self.write_cached(offset, zeros))?;
            return self.write_cached(offset, data);
        }
        self.ahead().large(page);
        if direct.takes(offset, data.len()) {
            self.gather(direct, offset, data)
        } else {
            self.write_cached(offset, data)
        }
    }

    fn close(&self) -> io::Result<()> {
        self.settle()?;
        self.file.close()
    }

    file_locks!();
}
