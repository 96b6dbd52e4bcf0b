//! The writer thread: wait, collect, seal, commit, publish.

use crossbeam_channel::{Receiver, TryRecvError};

use super::batch_timer::BatchTimer;
use super::collect::{Collected, Collector};
use super::command::Command;
use super::core::{Halted, WriterCore};
use super::idle::Idle;
use super::{CloseError, CloseReport, InlineRecord, Lane};
use crate::protocol::{HaltReason, LaneInbox, RunGate};
use crate::sync::Arc;

pub(super) struct WriterThread {
    pub(super) core: WriterCore,
    pub(super) collector: Collector,
    pub(super) inbox: Arc<LaneInbox<Lane>>,
    pub(super) gate: RunGate,
    pub(super) commands: Receiver<Command>,
    pub(super) idle: Idle,
    pub(super) max_batch_latency: Option<std::time::Duration>,
}

impl WriterThread {
    /// Runs until the run is closed or halted.
    pub(super) fn run(mut self) {
        // Halted is the end here; the reason is with the halt signal, where everybody looks.
        let _: Result<(), Halted> = self.run_rounds();
        self.inbox.close();
        self.gate.close();
        self.core.halt().parking().wake_all();
    }

    fn run_rounds(&mut self) -> Result<(), Halted> {
        let mut batch = BatchTimer::new(self.max_batch_latency);
        loop {
            self.check_halt()?;
            match self.commands.try_recv() {
                Err(TryRecvError::Empty) => {}
                Ok(Command::Abandon) | Err(TryRecvError::Disconnected) => return self.drain(),
                Ok(Command::Close { run_ended, reply }) => {
                    reply.give(self.close(&run_ended));
                    return Ok(());
                }
                Ok(command) => self.flush_and_answer(command)?,
            }
            let collected = self.collect(self.collector.horizon());
            if !self.core.has_pending() {
                self.collector.publish_durable(&self.core);
                batch.clear();
                self.idle.wait();
            } else if collected == Collected::FrameFull || batch.is_due() {
                let began = batch.commit_begins();
                self.commit()?;
                batch.commit_ended(began);
                self.idle.reset();
            } else {
                self.idle.wait();
            }
        }
    }

    fn collect(&mut self, horizon: u64) -> Collected {
        let released = self.collector.release_finished();
        self.inbox.released(released);
        self.collector.collect(horizon, &mut self.core, |lanes| self.inbox.admit(lanes))
    }

    fn check_halt(&self) -> Result<(), Halted> {
        if self.core.halt().is_halted() { Err(Halted) } else { Ok(()) }
    }

    /// Makes everything durable that was submitted before this call.
    fn flush(&mut self) -> Result<(), Halted> {
        let horizon = self.collector.horizon();
        loop {
            let collected = self.collect(horizon);
            self.commit()?;
            if collected == Collected::All {
                return Ok(());
            }
        }
    }

    fn commit(&mut self) -> Result<(), Halted> {
        self.collector.commit(&mut self.core)
    }

    fn flush_and_answer(&mut self, command: Command) -> Result<(), Halted> {
        self.flush()?;
        // While the store took its time the caller may have been told that the run is halted.
        self.check_halt()?;
        match command {
            Command::Flush { reply } => reply.give(self.core.durable()),
            Command::Anchor { blob_ref, content_hash, reply } => {
                let outcome = self.core.record_anchor(blob_ref, content_hash);
                reply.give(outcome.map_err(Into::into));
            }
            Command::Close { .. } | Command::Abandon => unreachable!("handled by the caller"),
        }
        self.core.halt().parking().wake_all();
        Ok(())
    }

    /// Ends acceptance and makes everything accepted durable, see [`RunGate`].
    fn drain(&mut self) -> Result<(), Halted> {
        self.gate.begin_close();
        self.inbox.close();
        loop {
            self.check_halt()?;
            self.flush()?;
            if self.collector.all_empty() {
                self.collector.publish_verdicts();
                return Ok(());
            }
        }
    }

    fn close(&mut self, run_ended: &InlineRecord) -> Result<CloseReport, CloseError> {
        let drained = self
            .drain()
            .and_then(|()| self.core.push_inline(run_ended))
            .and_then(|()| self.commit())
            .and_then(|()| self.check_halt());
        match drained {
            Ok(()) => Ok(self.core.seal()?),
            Err(Halted) => Err(CloseError::Halted(self.core.halt_reason())),
        }
    }
}

/// What a panic said.
pub(super) fn writer_died(panic: &(dyn std::any::Any + Send)) -> HaltReason {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    HaltReason::WriterDied(text.unwrap_or_else(|| "panicked without a message".to_owned()))
}
