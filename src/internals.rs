//! What the program, the simulator, the fuzz targets, the benches and the tests need of the inside,
//! and the code of a node does not.
//!
//! It is no part of the interface: anything here may change or go with any version. The feature
//! `internals` turns it on.

use std::any::Any;
use std::path::{Path, PathBuf};

use crate::format::{Line, RecordBuilder, RecordLimitError, RecordLimits, RecordTag};
use crate::model::{EntryDraft, UnixNanos};
use crate::store;

/// The run file, byte for byte as `docs/format.md` describes it.
pub mod format {
    pub use crate::format::*;
}

/// The file of the data markers that belong to the run file `run`.
pub fn sidecar_path(run: &Path) -> PathBuf {
    store::sidecar_path(run)
}

/// True where the file of a run was changed after redb had closed it in order. Opens the file for
/// reading, and blocks for as long as that takes.
pub fn changed_since_closed(path: &Path) -> bool {
    store::changed_since_closed(path)
}

/// What a panic said; `None` where that was no text.
pub fn panic_text(panic: &(dyn Any + Send)) -> Option<&str> {
    store::panic_text(panic)
}

/// The text of `error` and of all its sources, outermost first: `A: B: C`.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    crate::model::error_chain(error)
}

/// Makes records as a producer does.
#[derive(Debug)]
pub struct RecordPress(RecordBuilder);

impl RecordPress {
    /// A press for records within `limits`.
    pub fn new(limits: RecordLimits) -> Self {
        Self(RecordBuilder::new(limits))
    }

    /// The record of `draft`, with zeros for what only the writer knows.
    pub fn record(&mut self, draft: &EntryDraft<'_>) -> Result<&[Line], RecordLimitError> {
        let ts_publish = UnixNanos::default();
        self.0.fill(draft);
        self.0.finish(RecordTag { stamp: 0, ts_publish, topic_id: 0, type_id: 0 })
    }
}
