use super::core::{InlineRecord, WriterCore};
use super::{AnchorRequestError, CloseError, CloseReport};
use crate::model::{ContentHash, SnapshotAnchor};
use crate::protocol::RunGate;

/// The writer without a thread: whoever submits commits.
#[derive(Debug)]
pub(crate) struct InlineWriter {
    core: WriterCore,
    closed: bool,
}

/// What became of an inline submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InlineOutcome {
    /// It is durable.
    Durable,
    /// The run is closed or halted; it is not in the log.
    Refused,
}

impl InlineWriter {
    pub(super) fn new(core: WriterCore) -> Self {
        Self { core, closed: false }
    }

    /// Gives the record a `seq` and commits it.
    pub(crate) fn submit(&mut self, record: &InlineRecord) -> InlineOutcome {
        if self.closed || self.core.halt().is_halted() {
            return InlineOutcome::Refused;
        }
        match self.core.push_inline(record).and_then(|()| self.core.commit()) {
            Ok(()) => InlineOutcome::Durable,
            Err(_) => InlineOutcome::Refused,
        }
    }

    pub(super) fn record_anchor(
        &mut self,
        blob_ref: String,
        content_hash: ContentHash,
    ) -> Result<SnapshotAnchor, AnchorRequestError> {
        if self.core.halt().is_halted() {
            return Err(AnchorRequestError::Halted(self.core.halt_reason()));
        }
        Ok(self.core.record_anchor(blob_ref, content_hash)?)
    }

    pub(super) fn close(
        &mut self,
        run_ended: &InlineRecord,
        gate: &RunGate,
    ) -> Result<CloseReport, CloseError> {
        if self.submit(run_ended) == InlineOutcome::Refused {
            return Err(CloseError::Halted(self.core.halt_reason()));
        }
        self.closed = true;
        gate.close();
        Ok(self.core.seal()?)
    }
}
