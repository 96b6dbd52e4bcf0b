use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::core::{Halted, WriterCore};
use super::ring_record::RingRecord;
use super::thread::writer_died;
use super::{AnchorRequestError, CloseError, CloseReport, InlineRecord};
use crate::format::Line;
use crate::model::{ContentHash, SnapshotAnchor};
use crate::protocol::{HaltReason, HaltSignal, RunGate};

/// The writer without a thread: whoever submits commits.
#[derive(Debug)]
pub(crate) struct InlineWriter {
    /// `None` once the run is closed or abandoned: with it goes the store's hold on the run.
    core: Option<WriterCore>,
    /// Producers so far.
    lanes: u32,
}

/// What became of an inline submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InlineOutcome {
    /// It is durable.
    Durable,
    /// The run is closed or halted.
    Refused,
}

impl InlineWriter {
    pub(super) fn new(core: WriterCore) -> Self {
        Self { core: Some(core), lanes: 0 }
    }

    /// A number for a new producer.
    pub(crate) fn number_lane(&mut self) -> u32 {
        self.lanes += 1;
        self.lanes - 1
    }

    /// Sends a mark of market data on.
    pub(crate) fn mark(&mut self, mark: &[Line], lane: u32) {
        if let Some(core) = &mut self.core {
            core.forward_mark(RingRecord { head: mark, tail: &[] }, lane);
        }
    }

    /// Counts a mark of market data that was shed.
    pub(crate) fn shed_mark(&mut self) {
        if let Some(core) = &mut self.core {
            core.add_marks_shed(1);
        }
    }

    /// Gives the record a `seq` and commits it.
    pub(crate) fn submit(&mut self, record: &InlineRecord) -> InlineOutcome {
        // Out of its place meanwhile: a store that panics leaves a writer that refuses.
        let Some(mut core) = self.core.take() else {
            return InlineOutcome::Refused;
        };
        let committed = guarded(&core.halt().clone(), || commit(&mut core, record));
        self.core = Some(core);
        if committed.is_ok() { InlineOutcome::Durable } else { InlineOutcome::Refused }
    }

    pub(super) fn record_anchor(
        &mut self,
        at: Option<u64>,
        blob_ref: String,
        content_hash: ContentHash,
    ) -> Result<SnapshotAnchor, AnchorRequestError> {
        // As in `submit`.
        let mut core = self.core.take().ok_or(AnchorRequestError::Closed)?;
        let halt = core.halt().clone();
        let recorded = if halt.is_halted() {
            Err(AnchorRequestError::Halted(core.halt_reason()))
        } else {
            let recorded = guarded(&halt, || core.record_anchor(at, blob_ref, content_hash));
            recorded.map_err(Into::into)
        };
        self.core = Some(core);
        recorded
    }

    /// Called once, by the handle that is used up by it.
    pub(super) fn close(
        &mut self,
        run_ended: &InlineRecord,
        gate: &RunGate,
    ) -> Result<CloseReport, CloseError> {
        let Some(mut core) = self.core.take() else {
            gate.close();
            let reason = HaltReason::WriterDied("the store panicked before".to_owned());
            return Err(CloseError::Halted(reason));
        };
        let outcome = guarded(&core.halt().clone(), || match end(&mut core, run_ended) {
            Ok(()) => core.seal().map_err(Into::into),
            Err(Halted) => Err(CloseError::Halted(core.halt_reason())),
        });
        gate.close();
        core.halt().parking().wake_all();
        outcome
    }

    /// Ends the run without a seal.
    pub(super) fn abandon(&mut self, gate: &RunGate) {
        if let Some(core) = self.core.take() {
            gate.close();
            core.halt().parking().wake_all();
        }
    }
}

/// Lets a store that panics halt the run, as it does on the writer thread; here the panic goes on to who submitted.
fn guarded<T>(halt: &HaltSignal, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        halt.fire(writer_died(&*panic));
        resume_unwind(panic)
    })
}

fn end(core: &mut WriterCore, run_ended: &InlineRecord) -> Result<(), Halted> {
    core.check_halt()?;
    core.push_last(run_ended);
    core.commit()
}

fn commit(core: &mut WriterCore, record: &InlineRecord) -> Result<(), Halted> {
    // Another producer may have halted the run since this one looked: what failed is pending still.
    core.check_halt()?;
    core.push_inline(record);
    core.commit()?;
    core.halt().parking().wake_all();
    Ok(())
}
