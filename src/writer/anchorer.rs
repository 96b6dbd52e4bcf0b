use super::command::{Command, CommandSender, Reply};
use super::{AnchorRequestError, Connection};
use crate::model::{ContentHash, SnapshotAnchor};

/// Records snapshot anchors in the open run: which entries' effects a snapshot contains, and where the
/// cache keeps it. Can be handed to another thread; of no use any more when its run has ended.
#[derive(Debug, Clone)]
pub struct SnapshotAnchorer {
    connection: Connection,
    /// `None` in inline mode.
    commands: Option<CommandSender>,
}

impl SnapshotAnchorer {
    pub(super) fn new(connection: Connection, commands: Option<CommandSender>) -> Self {
        Self { connection, commands }
    }

    /// Makes everything submitted before this call durable, then records an anchor at the watermark and
    /// returns it: for a snapshot of what the calling thread alone captures, taken just before. Blocks;
    /// longer than `halt_threshold` halts the run.
    ///
    /// Where other threads capture messages meanwhile that the snapshot is to contain as well, nobody can
    /// say which of them it does: take the snapshot from the log, with a
    /// follower of the live run, and record it [at its place](Self::record_at).
    pub fn record(
        &self,
        blob_ref: &str,
        content_hash: ContentHash,
    ) -> Result<SnapshotAnchor, AnchorRequestError> {
        self.request(None, blob_ref, content_hash)
    }

    /// Records an anchor at entry `high_watermark`, the last one whose effect the snapshot contains. What
    /// was submitted before this call is made durable first; refused where the entry is not durable then,
    /// or lies before the last anchor. Blocks as [`record`](Self::record).
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
        let blob_ref = blob_ref.to_owned();
        let Some(commands) = &self.commands else {
            return self.connection.inline().record_anchor(at, blob_ref, content_hash);
        };
        let reply = Reply::new();
        commands.send(Command::Anchor { at, blob_ref, content_hash, reply: reply.clone() });
        match self.connection.await_reply(&reply, self.connection.config.halt_threshold) {
            Some(outcome) => outcome,
            None if self.connection.halt.is_halted() => {
                Err(AnchorRequestError::Halted(self.connection.halt_reason()))
            }
            None => Err(AnchorRequestError::Closed),
        }
    }
}
