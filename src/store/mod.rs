//! Where runs are kept. [`EventStore`] is the write side, `RunReader` the read side. Both have
//! two implementations: redb with one file a run, and memory.

pub(crate) mod container;
mod cursor;
mod directory;
pub(crate) mod disk_probe;
mod error;
mod event_store;
mod fault;
mod live_reader;
mod log;
mod memory;
mod panic_guard;
mod redb_backend;
mod redb_keys;
mod redb_reader;
mod redb_tables;
mod sealed_run;
mod tree_writer;

pub use container::{DiskMode, FileError};
#[cfg(feature = "internals")]
pub(crate) use container::{changed_since_closed, fits_its_checksums};
pub(crate) use directory::{
    RUN_SUFFIX, SIDECAR_SUFFIX, TEMPORARY_EXTENSION, make_folder, run_path, sidecar_path, sync_name,
};
pub(crate) use disk_probe::{DiskOp, DiskProbe};
pub use error::{OpenRunError, OpenSealedError, ReadFault};
pub use event_store::EventStore;
pub use fault::BackendFault;
pub use log::LogConfig;
pub(crate) use log::log_path;
pub use memory::MemoryBackend;
pub(crate) use panic_guard::{guarded, panic_text};
pub use redb_backend::RedbBackend;
pub(crate) use redb_backend::RedbMemory;
pub(crate) use sealed_run::check_held;

// To make a store of one's own takes the format too, which is no part of the interface.
internal!(error::{AnchorError, AppendError, SealError});
internal!(event_store::{RunOpening, RunReader, SealedRun, Tail});
internal!(memory::MemoryDisk);
internal!(sealed_run::{open_file, open_sealed, open_sealed_file});
internal!(crate::format::ManifestError);
