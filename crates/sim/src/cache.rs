//! The node's cache, which may fail to keep a snapshot.

use tapline::read::EntryRef;
use tapline::replay::{Applied, CacheError, StateCache};

use crate::support::Ledger;

/// The ledger; with `keeps_nothing`, no snapshot of it can be kept.
pub(crate) struct Cache {
    pub(crate) ledger: Ledger,
    pub(crate) keeps_nothing: bool,
}

impl StateCache for Cache {
    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError> {
        self.ledger.load_blob(blob_ref)
    }

    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError> {
        self.ledger.take_over(blob)
    }

    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError> {
        self.ledger.apply(entry)
    }

    fn to_blob(&self) -> Result<Vec<u8>, CacheError> {
        self.ledger.to_blob()
    }

    fn keep_blob(&mut self, blob: &[u8]) -> Result<String, CacheError> {
        if self.keeps_nothing {
            return Err("no space left for the snapshot".into());
        }
        self.ledger.keep_blob(blob)
    }
}
