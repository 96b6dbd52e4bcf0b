//! Where runs are kept: the [`EventStore`] trait (write side), the [`RunReader`] trait (read side),
//! and their two implementations, one file per run with redb, and memory.

#[cfg(feature = "cli")]
mod changed_since_closed;
mod cursor;
mod direct;
mod directory;
mod disk_probe;
mod error;
mod event_store;
mod fault;
mod fill_ahead;
mod guard;
mod header_flags;
mod memory;
mod new_file;
mod open_compared;
mod redb_backend;
mod redb_keys;
mod redb_open;
mod redb_reader;
mod redb_tables;
mod region_size;
mod repair_watch;
mod reread;
mod run_file;

#[cfg(feature = "cli")]
pub(crate) use changed_since_closed::changed_since_closed;
pub use directory::run_path;
#[cfg(feature = "cli")]
pub(crate) use directory::sync_folder;
pub(crate) use directory::{
    RUN_SUFFIX, SIDECAR_SUFFIX, UNBORN_EXTENSION, check_kind, make_folder, sidecar_path, sync_name,
};
pub use disk_probe::{DiskOp, DiskProbe};
pub use error::{AnchorError, AppendError, OpenRunError, OpenSealedError, ReadFault, SealError};
pub use event_store::{EventStore, RunOpening, RunReader, SealedRun, Tail};
pub use fault::BackendFault;
pub(crate) use guard::{guarded, panic_text};
pub use memory::{MemoryBackend, MemoryDisk};
pub(crate) use new_file::make_file;
pub(crate) use open_compared::open_compared;
pub use redb_backend::RedbBackend;
pub(crate) use redb_backend::commit;
pub(crate) use redb_open::check_held;
pub use redb_open::{open_sealed, open_sealed_file};
pub(crate) use reread::forget_cached;
pub use run_file::DiskMode;
pub(crate) use run_file::RunFile;
