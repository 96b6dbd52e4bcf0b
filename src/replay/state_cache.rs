use std::error::Error;

use crate::read::EntryRef;

/// An error of the cache. Its text names what the cache could not do. It is kept as the source of
/// this module's errors.
pub type CacheError = Box<dyn Error + Send + Sync + 'static>;

/// What the cache did with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It changed the state by the entry.
    Applied,
    /// It does not use entries of this type. The state is as before.
    Ignored,
}

/// A node's state as the fold of its run's entries. Restoring, following and snapshots use the
/// node's cache through this.
///
/// The state must follow from the entries alone, in the order of their `seq`: no clock, no random
/// source, no order of hash maps. A cache gets entries and bytes, never a bus. So a replay
/// publishes nothing, queries nobody and arms no timer.
///
/// Blobs are held in memory as a whole. The cache decides where to keep them. It must keep a blob
/// for as long as a run's anchor names it.
pub trait StateCache {
    /// The bytes kept under `blob_ref`; `None` if there are none. The caller checks their hash.
    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError>;

    /// Replaces the state by one that [`to_blob`](Self::to_blob) wrote. After an error, the state
    /// must not be used.
    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError>;

    /// Applies the next entry of the run. An entry of a type that the cache does not know is
    /// [`Ignored`](Applied::Ignored). If the cache knows the type but cannot decode or apply the
    /// entry, it returns an error. Then no later entry is applied.
    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError>;

    /// The present state. Equal states should give equal bytes, so that snapshots can be compared.
    fn to_blob(&self) -> Result<Vec<u8>, CacheError>;

    /// Keeps `blob` and returns the name to load it by. Must return only once the blob would
    /// survive a crash: an anchor is going to name it.
    fn keep_blob(&mut self, blob: &[u8]) -> Result<String, CacheError>;
}

impl<C: StateCache + ?Sized> StateCache for &mut C {
    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError> {
        (**self).load_blob(blob_ref)
    }

    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError> {
        (**self).take_over(blob)
    }

    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError> {
        (**self).apply(entry)
    }

    fn to_blob(&self) -> Result<Vec<u8>, CacheError> {
        (**self).to_blob()
    }

    fn keep_blob(&mut self, blob: &[u8]) -> Result<String, CacheError> {
        (**self).keep_blob(blob)
    }
}

impl<C: StateCache + ?Sized> StateCache for Box<C> {
    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError> {
        (**self).load_blob(blob_ref)
    }

    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError> {
        (**self).take_over(blob)
    }

    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError> {
        (**self).apply(entry)
    }

    fn to_blob(&self) -> Result<Vec<u8>, CacheError> {
        (**self).to_blob()
    }

    fn keep_blob(&mut self, blob: &[u8]) -> Result<String, CacheError> {
        (**self).keep_blob(blob)
    }
}
