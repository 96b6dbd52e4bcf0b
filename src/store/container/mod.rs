//! One redb file, as the store of a run and the store of its sidecar both have it.
//!
//! [`Container`] is a file that is open for writing; [`open_sealed`] opens one that is not written
//! any more. What is in the tables is the business of the stores.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Builder, Database, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::directory::check_kind;
use super::{BackendFault, DiskOp, DiskProbe};
use crate::sync::OwnProcess;

mod create;
mod direct;
mod error;
mod file;
mod fill_ahead;
mod gather;
mod overlay;
mod pace;
mod redb_header;
mod reopen;

#[cfg(feature = "internals")]
pub(crate) use redb_header::changed_since_closed;

#[cfg(any(feature = "internals", test))]
pub(crate) use overlay::fits_its_checksums;
pub(crate) use overlay::open_unclosed;
pub(crate) use pace::Pace;
pub(crate) use reopen::drop_page_cache;

pub(crate) use direct::{AlignedBuffer, DirectFile};
pub use error::FileError;
pub use file::DiskMode;
pub(crate) use file::has_name;

/// Bytes of a page, redb's and the system's.
pub(crate) const PAGE_BYTES: usize = 4096;

/// The largest commit by default.
pub(crate) const COMMIT_BYTES_MAX: usize = 4 << 20;

/// How a file is written, and who is asked before.
#[derive(Debug, Clone)]
pub(crate) struct FileConfig {
    pub(crate) disk_mode: DiskMode,
    /// Memory redb may hold of the file's pages, in bytes.
    pub(crate) cache_bytes: usize,
    pub(crate) growth: Growth,
    pub(crate) pace: Pace,
    pub(crate) probe: Option<Arc<dyn DiskProbe>>,
}

/// How much longer a new file gets when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Growth {
    /// Twice as long, as redb does by itself.
    Doubling,
    /// By 64 MiB at most, so that a file that is done is not much longer than what is in it.
    ByRegion,
}

impl FileConfig {
    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes);
        builder
    }

    /// Asks the probe, if there is one.
    pub(crate) fn ask(&self, path: &Path, op: DiskOp<'_>) -> std::io::Result<()> {
        self.probe.as_ref().map_or(Ok(()), |probe| probe.before(path, op))
    }
}

/// A file that is open for writing. It is closed when this is dropped, also where [`Snapshots`] of
/// it are still held.
#[derive(Debug)]
pub(crate) struct Container {
    path: PathBuf,
    shared: Arc<Shared>,
    process: OwnProcess,
}

/// Nothing once the file is closed.
type Shared = RwLock<Option<Database>>;

impl Container {
    /// Makes the file at `path`, in place of any that is there, with what `initialize` writes.
    pub(crate) fn create(
        path: &Path,
        config: &FileConfig,
        initialize: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<Self, FileError> {
        let database = create::create_file(path, config, initialize)?;
        Ok(Self::new(path, database))
    }

    /// Reopens the file that another process, or another container, has left. It is read from the
    /// disk, and all of it that is in use is compared with its checksums; one that was not closed
    /// is repaired as far as its last commit. A file that is damaged stays as it is.
    ///
    /// `look` says whether the file is the right one. It is asked before anything is written, as
    /// far as the file can be read without a repair, and again when it is open.
    pub(crate) fn reopen<T, E: From<FileError>>(
        path: &Path,
        config: &FileConfig,
        look: impl Fn(&ReadTransaction) -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        check_kind(path).map_err(|error| FileError::io(path, error))?;
        reopen::guarded_at(path, || match open_read_only(path, config.cache_bytes) {
            Ok(transaction) => look(&transaction).map(drop),
            Err(error @ FileError::InUse { .. }) => Err(error.into()),
            // It needs repair; what else is wrong with it is said when it is opened for that.
            Err(_) => Ok(()),
        })?;
        let database = reopen::reopen_file(path, config)?;
        let transaction = database.begin_read().map_err(|error| FileError::redb(path, error))?;
        let seen = look(&transaction)?;
        Ok((Self::new(path, database), seen))
    }

    fn new(path: &Path, database: Database) -> Self {
        let shared = Arc::new(RwLock::new(Some(database)));
        Self { path: path.to_owned(), shared, process: OwnProcess::this() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes in one transaction, durably: all of it, or nothing.
    pub(crate) fn commit(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), BackendFault> {
        let database = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(redb::Error::DatabaseClosed);
        commit(database.map_err(BackendFault::redb)?, write)
    }

    pub(crate) fn snapshots(&self) -> Snapshots {
        Snapshots(Arc::clone(&self.shared))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.process.is_forked() {
            // The file is the parent's: closing it would write to it and unlock it.
            std::mem::forget(Arc::clone(&self.shared));
            return;
        }
        let mut database = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        // Closed before readers are let in again, so that they find the file either open or free.
        drop(database.take());
    }
}

/// What is committed to a file that is open for writing. It does not keep the file open.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots(Arc<Shared>);

impl Snapshots {
    /// Begins to read what is committed by now. The error is [`redb::Error::DatabaseClosed`] once
    /// the file is closed, and reads that have begun before fail with it too. Waits while the file
    /// is being closed.
    pub(crate) fn begin_read(&self) -> Result<ReadTransaction, redb::Error> {
        let database = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Ok(database.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_read()?)
    }
}

/// Opens a file that nobody writes to any more, and begins to read it. The file is not changed, and
/// is closed with the last that was read from it.
pub(crate) fn open_sealed(path: &Path, cache_bytes: usize) -> Result<ReadTransaction, FileError> {
    check_kind(path).map_err(|error| FileError::io(path, error))?;
    match open_read_only(path, cache_bytes) {
        Err(FileError::InUse { path }) => Err(FileError::NotSealed { path }),
        opened => opened,
    }
}

/// redb says of an empty file that it is damaged, or takes it for one to be made.
pub(crate) fn check_not_empty(path: &Path) -> Result<(), FileError> {
    match std::fs::metadata(path).map_err(|error| FileError::io(path, error))?.len() {
        0 => Err(FileError::Empty { path: path.to_owned() }),
        _ => Ok(()),
    }
}

fn open_read_only(path: &Path, cache_bytes: usize) -> Result<ReadTransaction, FileError> {
    let begin = || -> Result<_, redb::Error> {
        let database = Builder::new().set_cache_size(cache_bytes).open_read_only(path)?;
        // A file that is only read stays open as long as the transaction.
        Ok(database.begin_read()?)
    };
    begin().map_err(|error| FileError::redb(path, error))
}

/// Writes in one transaction, durably.
pub(crate) fn commit(
    database: &Database,
    write: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), BackendFault> {
    let transaction = database.begin_write().map_err(BackendFault::redb)?;
    write(&transaction).map_err(BackendFault::redb)?;
    transaction.commit().map_err(BackendFault::redb)
}
