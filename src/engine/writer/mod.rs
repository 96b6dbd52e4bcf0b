//! The writer's side: it collects what the producers pushed, gives it its order, seals it into
//! frames, commits them, and publishes how far durability reaches.

mod assembler;
mod batch;
mod batch_timer;
mod collector;
mod committer;
mod dedup;
mod idle;
mod lane;
mod marker_outlet;
mod names;
mod os_thread;
mod publish_time;
mod ring_record;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::{Receiver, TryRecvError};

use super::command::{AnchorRequest, Command, LastRecord};
use super::shared::Shared;
use super::{AnchorRequestError, CloseError, CloseReport, WriterConfig};
use crate::model::{RunStatus, SnapshotAnchor, error_chain};
use crate::protocol::HaltReason;
use crate::store::{AnchorError, AppendError, BackendFault, SealError};
use crate::sync::Arc;

use batch_timer::BatchTimer;
use collector::{Collected, Collector};
use committer::{Begun, Committed, Wait};

pub(super) use assembler::Assembler;
pub(super) use batch::BatchLimits;
pub(super) use committer::Committer;
pub(super) use idle::Idle;
pub(super) use lane::Lane;
pub(crate) use marker_outlet::{MarkerInlet, MarkerOutlet, marker_channel};
pub(super) use os_thread::{pin, sleep_as_asked};
pub(super) use publish_time::PublishTime;

/// The writer of one run. One thread at a time lets it work, a [`step`](Self::step) at a time.
pub(super) struct Writer {
    shared: Arc<Shared>,
    collector: Collector,
    assembler: Assembler,
    committer: Committer,
    batch: BatchTimer,
    commands: Receiver<Command>,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There was something to do, and there may be more.
    Worked,
    /// There was nothing to do.
    Idle,
    /// The run is closed, abandoned or halted. Only [`Writer::end`] is left to do.
    Ended,
}

/// The run is halted; the reason is with the halt signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Halted;

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        assembler: Assembler,
        committer: Committer,
        commands: Receiver<Command>,
    ) -> Self {
        let publish_time = PublishTime::new(&shared.clock, &shared.order_clock);
        let batch = BatchTimer::new(shared.config.max_batch_latency);
        let collector = Collector::new(publish_time);
        Self { shared, collector, assembler, committer, batch, commands }
    }

    pub(super) fn config(&self) -> &WriterConfig {
        &self.shared.config
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Does one thing: answers a command, or collects and commits what is pending.
    pub(super) fn step(&mut self) -> Step {
        // Halted is the end; the reason is with the halt signal, where everybody looks.
        self.try_step().unwrap_or(Step::Ended)
    }

    fn try_step(&mut self) -> Result<Step, Halted> {
        self.check_halt()?;
        match self.commands.try_recv() {
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) | Ok(Command::Abandon) => {
                self.drain()?;
                return Ok(Step::Ended);
            }
            Ok(Command::Close { last, reply }) => {
                reply.give(self.close(&last));
                return Ok(Step::Ended);
            }
            Ok(Command::Flush { reply }) => {
                self.flush_to_answer()?;
                reply.give(self.shared.watermark.get());
                self.shared.halt.parking().wake_all();
                return Ok(Step::Worked);
            }
            Ok(Command::Anchor { anchor, reply }) => {
                self.flush_to_answer()?;
                reply.give(self.record_anchor(anchor));
                self.shared.halt.parking().wake_all();
                return Ok(Step::Worked);
            }
        }
        self.finish_commit(Wait::No)?;
        let collected = self.collect(self.shared.order_clock.horizon());
        self.commit_if_due(collected)
    }

    fn collect(&mut self, horizon: u64) -> Collected {
        let Self { shared, collector, assembler, .. } = self;
        let released = collector.release_finished(assembler, |number| {
            shared.remove_producer(number);
        });
        shared.inbox.released(released);
        collector.collect(horizon, assembler, |lanes| shared.inbox.take_new(lanes))
    }

    /// Commits what is pending if it is time to.
    fn commit_if_due(&mut self, collected: Collected) -> Result<Step, Halted> {
        let has_pending = self.assembler.has_pending();
        let is_due = has_pending && self.batch.is_due();
        let is_committing = self.committer.is_busy();
        if collected == Collected::BatchFull || (is_due && !is_committing) {
            self.commit_next()?;
            return Ok(Step::Worked);
        }
        if !has_pending && !is_committing {
            // Everything taken is durable. That is news where it only repeated messages that are in
            // the log already.
            self.collector.note_committing();
            self.collector.publish_durable(&self.shared.halt);
        }
        Ok(Step::Idle)
    }

    /// Makes everything durable that was submitted before this call.
    fn flush(&mut self) -> Result<(), Halted> {
        let horizon = self.shared.order_clock.horizon();
        loop {
            let collected = self.collect(horizon);
            self.commit_next()?;
            if collected == Collected::All {
                return self.finish_commit(Wait::Yes);
            }
        }
    }

    fn flush_to_answer(&mut self) -> Result<(), Halted> {
        self.flush()?;
        // While the store took its time the caller may have been told that the run is halted.
        self.check_halt()
    }

    /// Sends the batch under construction to the store, once the one before has arrived there.
    fn commit_next(&mut self) -> Result<(), Halted> {
        // Before the wait, so that the disk never waits for hashes.
        self.assembler.seal_batch();
        self.finish_commit(Wait::Yes)?;
        if self.assembler.has_pending() {
            self.batch.commit_begins();
        }
        self.collector.note_committing();
        self.check_halt()?;
        match self.committer.begin(self.assembler.batch_mut()) {
            Ok(Begun::Durable(committed)) => self.publish(committed),
            Ok(Begun::OnItsWay) => {}
            Err(error) => return Err(self.halt_for_append(&error)),
        }
        Ok(())
    }

    /// Publishes the batch that was on its way to the store, if it has arrived.
    fn finish_commit(&mut self, wait: Wait) -> Result<(), Halted> {
        match self.committer.finish(wait) {
            Ok(Some(committed)) => self.publish(Some(committed)),
            Ok(None) => {}
            Err(error) => return Err(self.halt_for_append(&error)),
        }
        Ok(())
    }

    /// Everything given to the store is durable: moves the watermark and tells whoever waits.
    /// Nothing was given to it where the batch only repeated messages.
    fn publish(&mut self, committed: Option<Committed>) {
        if let Some(committed) = committed {
            self.assembler.note_committed(committed.ts_init_max);
            self.shared.watermark.advance(committed.last_seq);
        }
        self.collector.publish_durable(&self.shared.halt);
        self.batch.commit_ended();
    }

    fn record_anchor(
        &mut self,
        request: AnchorRequest,
    ) -> Result<SnapshotAnchor, AnchorRequestError> {
        let AnchorRequest { at, blob_ref, content_hash } = request;
        let high_watermark = at.unwrap_or_else(|| self.shared.watermark.get());
        let anchor = SnapshotAnchor { high_watermark, blob_ref, content_hash };
        self.committer.store().record_anchor(&anchor).inspect_err(|error| {
            if let AnchorError::Fault(fault) = error {
                self.shared.halt.set(fault.halt_reason());
            }
        })?;
        Ok(anchor)
    }

    /// Ends acceptance and makes everything accepted durable, see
    /// [`RunGate`](crate::protocol::RunGate).
    fn drain(&mut self) -> Result<(), Halted> {
        self.shared.gate.begin_close();
        // Whoever waits for an answer gets none any more.
        self.shared.halt.parking().wake_all();
        self.shared.inbox.close();
        loop {
            self.check_halt()?;
            self.flush()?;
            if self.collector.all_empty() {
                self.collector.publish_verdicts(&mut self.assembler);
                return Ok(());
            }
        }
    }

    fn close(&mut self, last: &LastRecord) -> Result<CloseReport, CloseError> {
        match self.commit_last(last) {
            Ok(()) => Ok(self.seal()?),
            Err(Halted) => Err(CloseError::Halted(self.shared.halt_reason())),
        }
    }

    fn commit_last(&mut self, last: &LastRecord) -> Result<(), Halted> {
        self.drain()?;
        self.assembler.push_last(last);
        self.commit_next()?;
        self.finish_commit(Wait::Yes)?;
        self.check_halt()
    }

    /// Seals the run as `Ended`.
    fn seal(&mut self) -> Result<CloseReport, SealError> {
        let end_ts_init = self.assembler.ts_init_max();
        let sealed = self.committer.store().seal(RunStatus::Ended, end_ts_init);
        let sealed = sealed.inspect_err(|error| {
            self.shared.halt.set(match error {
                SealError::Fault(fault) => fault.halt_reason(),
                other => HaltReason::BackendError(error_chain(other)),
            });
        })?;
        Ok(CloseReport {
            watermark: sealed.manifest.high_watermark,
            root: sealed.root,
            manifest: sealed.manifest,
            markers: None,
        })
    }

    /// Ends: lets go of the store, tells everybody that there will be no progress. After the last
    /// step, or after one that panicked.
    pub(super) fn end(&mut self) {
        self.shared.inbox.close();
        // A batch on its way may still arrive, and the store with it. Before the end, which others
        // await with a time limit: redb commits once more as it is let go of. A store that panics
        // here, maybe for the second time, must not keep the gate from closing.
        let let_go = catch_unwind(AssertUnwindSafe(|| {
            let _: Result<(), Halted> = self.finish_commit(Wait::Yes);
            self.committer.let_go_of_store();
        }));
        if let_go.is_err() {
            let text = "the store panicked when it was let go of".to_owned();
            self.shared.halt.set(HaltReason::WriterDied(text));
        }
        self.shared.gate.close();
        // After the end, for those who wait for it: a halt has woken them too early.
        self.shared.halt.parking().wake_all();
    }

    fn check_halt(&self) -> Result<(), Halted> {
        if self.shared.halt.is_halted() { Err(Halted) } else { Ok(()) }
    }

    /// A failed commit is never retried: a failed sync may have dropped the pages it did not write.
    fn halt_for_append(&self, error: &AppendError) -> Halted {
        self.shared.halt.set(match error {
            AppendError::Fault(fault) => BackendFault::halt_reason(fault),
            other => HaltReason::BackendError(error_chain(other)),
        });
        Halted
    }
}
