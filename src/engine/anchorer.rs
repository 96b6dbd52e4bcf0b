use super::AnchorRequestError;
use super::command::{AnchorRequest, Command, Reply};
use super::driver::Engine;
use crate::model::{ContentHash, SnapshotAnchor};

/// Records snapshot anchors in the open run: which entries' effects a snapshot contains, and where
/// the cache keeps it. Can be handed to another thread. It is of no use once its run has ended.
#[derive(Debug, Clone)]
pub struct SnapshotAnchorer(Engine);

impl SnapshotAnchorer {
    pub(super) const fn new(engine: Engine) -> Self {
        Self(engine)
    }

    /// Makes everything submitted before this call durable, then records an anchor at the watermark
    /// and returns it. Blocks; longer than `halt_threshold` halts the run.
    ///
    /// This is for a snapshot of what the calling thread alone captures, taken just before. Where
    /// other threads capture messages for the same state, nobody can say which of them a snapshot
    /// contains: take it with a [`CacheFollower`](crate::CacheFollower) and record it
    /// [at its place](Self::record_at).
    pub fn record(
        &self,
        blob_ref: &str,
        content_hash: ContentHash,
    ) -> Result<SnapshotAnchor, AnchorRequestError> {
        self.request(None, blob_ref, content_hash)
    }

    /// Records an anchor at entry `high_watermark`, the last one whose effect the snapshot
    /// contains. What was submitted before this call is made durable first. Refused where the entry
    /// is not durable then, or lies before the last anchor. Blocks as [`record`](Self::record)
    /// does.
    pub fn record_at(
        &self,
        high_watermark: u64,
        blob_ref: &str,
        content_hash: ContentHash,
    ) -> Result<SnapshotAnchor, AnchorRequestError> {
        self.request(Some(high_watermark), blob_ref, content_hash)
    }

    fn request(
        &self,
        at: Option<u64>,
        blob_ref: &str,
        content_hash: ContentHash,
    ) -> Result<SnapshotAnchor, AnchorRequestError> {
        let shared = &self.0.shared;
        if shared.gate.is_forked() {
            return Err(AnchorRequestError::Forked);
        }
        let (reply, blob_ref) = (Reply::new(), blob_ref.to_owned());
        let anchor = AnchorRequest { at, blob_ref, content_hash };
        self.0.ask(Command::Anchor { anchor, reply: reply.clone() });
        match shared.await_reply(&reply, shared.config.halt_threshold) {
            Some(outcome) => outcome,
            None if shared.halt.is_halted() => {
                Err(AnchorRequestError::Halted(shared.halt_reason()))
            }
            None => Err(AnchorRequestError::Closed),
        }
    }
}
