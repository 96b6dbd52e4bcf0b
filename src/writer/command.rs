use crossbeam_channel::Sender;

use super::{AnchorRequestError, CloseError, CloseReport, InlineRecord};
use crate::model::{ContentHash, SnapshotAnchor};

/// What the handle asks of the writer thread.
pub(super) enum Command {
    /// Commit what was submitted before, then answer with the watermark.
    Flush { reply: Sender<u64> },
    /// Commit what was submitted before, then record an anchor at the watermark.
    Anchor {
        blob_ref: String,
        content_hash: ContentHash,
        reply: Sender<Result<SnapshotAnchor, AnchorRequestError>>,
    },
    /// Drain, commit the final entry, seal, and end.
    Close { run_ended: InlineRecord, reply: Sender<Result<CloseReport, CloseError>> },
    /// Drain, commit, and end without a seal.
    Abandon,
}
