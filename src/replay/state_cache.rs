use std::error::Error;

use crate::read::EntryRef;

/// An error of the cache's own, which names what the cache could not do. Kept as the source of the
/// errors of this module.
pub type CacheError = Box<dyn Error + Send + Sync + 'static>;

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is part of the state.
    Applied,
    /// The cache has no use for entries of this type; the state is as before.
    Ignored,
}

/// A node's state as the fold of its run's entries: what restoring, following and taking snapshots
/// need of the node's cache.
///
/// The state must follow from the entries alone, in the order of their `seq`: no clock, no random
/// source, no order of hash maps. A cache is given entries and bytes, never a bus: replaying
/// publishes nothing, queries nobody and arms no timer.
///
/// Blobs are whole in memory. The cache keeps them where it likes, and must keep one for as long as
/// a run's anchor names it.
pub trait StateCache {
    /// The bytes kept under `blob_ref`, or `None` where there are none. Their hash is checked by the
    /// caller.
    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError>;

    /// Replaces the state by the one that [`to_blob`](Self::to_blob) wrote. After an error the state
    /// must not be used.
    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError>;

    /// Applies the entry that follows in the run. Entries of types the cache does not know are
    /// [`Ignored`](Applied::Ignored); one of a type it knows but cannot decode or apply is an error,
    /// and no later entry will be applied.
    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError>;

    /// The present state. Equal states should give equal bytes, so that snapshots can be compared.
    fn to_blob(&self) -> Result<Vec<u8>, CacheError>;

    /// Keeps `blob` durably and returns the name to load it by. It must not return before the blob
    /// would survive a crash: an anchor is going to name it.
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
