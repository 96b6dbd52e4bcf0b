use super::{AnchorRequestError, CloseError, CloseReport};
use crate::format::Line;
use crate::model::{ContentHash, SnapshotAnchor};
use crate::sync::{Arc, Mutex, MutexGuard};

/// What is asked of the writer.
pub(super) enum Command {
    /// Commit what was submitted before, then answer with the watermark.
    Flush { reply: Reply<u64> },
    /// Commit what was submitted before, then record an anchor.
    Anchor { anchor: AnchorRequest, reply: Reply<Result<SnapshotAnchor, AnchorRequestError>> },
    /// Drain, commit the final entry, seal, and end.
    Close { last: LastRecord, reply: Reply<Result<CloseReport, CloseError>> },
    /// Drain, commit, and end without a seal.
    Abandon,
}

/// An anchor to be recorded.
pub(super) struct AnchorRequest {
    /// The last entry whose effect the snapshot contains; `None` for the durable watermark.
    pub(super) at: Option<u64>,
    pub(super) blob_ref: String,
    pub(super) content_hash: ContentHash,
}

/// The last record of a run. It comes in no ring, so it brings its names as text.
pub(super) struct LastRecord {
    pub(super) lines: Vec<Line>,
    pub(super) topic: String,
    pub(super) payload_type: String,
}

/// Where the writer leaves its answer. Whoever waits for it sleeps at the run's parking, where the
/// end of the run wakes them too: a writer that ends with a command unread leaves nobody waiting.
#[derive(Debug)]
pub(super) struct Reply<T>(Arc<Mutex<Option<T>>>);

impl<T> Reply<T> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    pub(super) fn give(&self, answer: T) {
        *self.lock() = Some(answer);
    }

    pub(super) fn is_given(&self) -> bool {
        self.lock().is_some()
    }

    pub(super) fn take(&self) -> Option<T> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().expect("no holder of this lock can panic")
    }
}

impl<T> Clone for Reply<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
