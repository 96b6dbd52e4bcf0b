//! What the targets in `fuzz/` reach of the inside: a thin layer, so that they run the code that the
//! engine and the program run. No part of the interface, whatever `pub` says.

pub use crate::cli::fuzzing::{NdjsonMessage, read_ndjson};
use crate::format::{Line, RecordBuilder, RecordLimitError, RecordLimits, RecordTag};
use crate::model::{EntryDraft, UnixNanos};

/// Makes records as a producer does.
#[derive(Debug)]
pub struct RecordPress(RecordBuilder);

impl RecordPress {
    /// A press for records within `limits`.
    pub fn new(limits: RecordLimits) -> Self {
        Self(RecordBuilder::new(limits))
    }

    /// The record of `draft`, with zeros where the writer puts in what it alone knows.
    pub fn record(&mut self, draft: &EntryDraft<'_>) -> Result<&[Line], RecordLimitError> {
        let ts_publish = UnixNanos::default();
        self.0.fill(draft);
        self.0.finish(RecordTag { stamp: 0, ts_publish, topic_id: 0, type_id: 0 })
    }
}
