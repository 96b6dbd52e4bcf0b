//! Where runs are kept. [`EventStore`] is the write side, [`RunReader`] the read side. Both have
//! two implementations: redb with one file a run, and memory.

pub(crate) mod container;
mod cursor;
mod directory;
// Public for `internals` alone.
#[cfg_attr(not(feature = "internals"), allow(dead_code, unreachable_pub))]
pub(crate) mod disk_probe;
mod error;
mod event_store;
mod fault;
mod guard;
mod live_reader;
mod memory;
mod redb_backend;
mod redb_keys;
mod redb_open;
mod redb_reader;
mod redb_tables;

#[cfg(feature = "internals")]
pub(crate) use container::changed_since_closed;
pub use container::{DiskMode, FileError};
pub(crate) use directory::{
    RUN_SUFFIX, SIDECAR_SUFFIX, TEMPORARY_EXTENSION, make_folder, run_path, sidecar_path, sync_name,
};
pub(crate) use disk_probe::{DiskOp, DiskProbe};
pub use error::{AnchorError, AppendError, OpenRunError, OpenSealedError, ReadFault, SealError};
pub use event_store::{EventStore, RunOpening, RunReader, SealedRun, Tail};
pub use fault::BackendFault;
pub(crate) use guard::{guarded, panic_text};
pub use memory::{MemoryBackend, MemoryDisk};
pub use redb_backend::RedbBackend;
pub(crate) use redb_open::check_held;
pub use redb_open::{open_sealed, open_sealed_file};

pub use crate::format::ManifestError;
