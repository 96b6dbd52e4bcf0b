//! The writer thread: wait, collect, seal, commit, publish.

use crossbeam_channel::{Receiver, TryRecvError};

use super::batch_timer::BatchTimer;
use super::collect::{Collected, Collector};
use super::command::Command;
use super::committer::Wait;
use super::core::{Halted, WriterCore};
use super::idle::Idle;
use super::{CloseError, CloseReport, InlineRecord, Lane};
use crate::protocol::{HaltReason, LaneInbox, RunGate};
use crate::store::panic_text;
use crate::sync::Arc;

pub(super) struct WriterThread {
    pub(super) core: WriterCore,
    pub(super) collector: Collector,
    pub(super) inbox: Arc<LaneInbox<Lane>>,
    pub(super) gate: RunGate,
    pub(super) commands: Receiver<Command>,
    pub(super) idle: Idle,
    pub(super) batch: BatchTimer,
}

impl WriterThread {
    /// Runs until the run is closed or halted.
    pub(super) fn run(&mut self) {
        // Halted is the end here; the reason is with the halt signal, where everybody looks.
        let _: Result<(), Halted> = self.run_rounds();
        // A frame that is on its way may still arrive, and the store with it.
        let _: Result<(), Halted> = self.settle(Wait::Yes);
        self.end();
    }

    /// [`run`](Self::run) has panicked.
    pub(super) fn died(&mut self, panic: &(dyn std::any::Any + Send)) {
        self.core.halt().fire(writer_died(panic));
        // Before the end, which promises that the run file is let go of.
        self.core.retrieve_store();
        self.end();
    }

    fn end(&mut self) {
        self.inbox.close();
        // Before the end, for which others wait with a time limit: redb commits once more as it is let go of.
        self.core.let_go_of_store();
        self.gate.close();
        // After the end, for those who wait for it: a halt has woken them too early.
        self.core.halt().parking().wake_all();
    }

    fn run_rounds(&mut self) -> Result<(), Halted> {
        loop {
            self.core.check_halt()?;
            match self.commands.try_recv() {
                Err(TryRecvError::Empty) => {}
                Ok(Command::Abandon) | Err(TryRecvError::Disconnected) => return self.drain(),
                Ok(Command::Close { run_ended, reply }) => {
                    reply.give(self.close(&run_ended));
                    return Ok(());
                }
                Ok(command) => {
                    self.flush_and_answer(command)?;
                    // The next command may be there already, and the wake-up it came with is used up:
                    // waiting for the committer parks as well.
                    continue;
                }
            }
            self.settle(Wait::No)?;
            let collected = self.collect(self.collector.horizon());
            self.commit_or_wait(collected)?;
        }
    }

    /// Commits what is pending if it is time to; otherwise waits a little.
    fn commit_or_wait(&mut self, collected: Collected) -> Result<(), Halted> {
        let has_pending = self.core.has_pending();
        let is_due = has_pending && self.batch.is_due();
        let is_committing = self.core.is_committing();
        if collected == Collected::FrameFull || (is_due && !is_committing) {
            self.commit_next()?;
            self.idle.reset();
            return Ok(());
        }
        if !has_pending && !is_committing {
            // Everything taken is durable. That is news where it only repeated messages that are in
            // the log already.
            self.collector.mark_committing();
            self.collector.publish_durable(self.core.halt());
        }
        self.idle.wait();
        Ok(())
    }

    fn collect(&mut self, horizon: u64) -> Collected {
        let released = self.collector.release_finished(&mut self.core);
        self.inbox.released(released);
        self.collector.collect(horizon, &mut self.core, |lanes| self.inbox.admit(lanes))
    }

    /// Makes everything durable that was submitted before this call.
    fn flush(&mut self) -> Result<(), Halted> {
        let horizon = self.collector.horizon();
        loop {
            let collected = self.collect(horizon);
            self.commit_next()?;
            if collected == Collected::All {
                return self.settle(Wait::Yes);
            }
        }
    }

    /// Sends the frame under construction to the store, once the one before has arrived there.
    fn commit_next(&mut self) -> Result<(), Halted> {
        // Before the wait, so that the disk never waits for hashes.
        self.core.seal_frame();
        self.settle(Wait::Yes)?;
        if self.core.has_pending() {
            self.batch.commit_begins();
        }
        self.collector.mark_committing();
        if self.core.begin_commit()? {
            self.publish_commit();
        }
        Ok(())
    }

    fn settle(&mut self, wait: Wait) -> Result<(), Halted> {
        if self.core.settle(wait)? {
            self.publish_commit();
        }
        Ok(())
    }

    fn publish_commit(&mut self) {
        self.collector.publish_durable(self.core.halt());
        self.batch.commit_ended();
    }

    fn flush_and_answer(&mut self, command: Command) -> Result<(), Halted> {
        self.flush()?;
        // While the store took its time the caller may have been told that the run is halted.
        self.core.check_halt()?;
        match command {
            Command::Flush { reply } => reply.give(self.core.durable()),
            Command::Anchor { at, blob_ref, content_hash, reply } => {
                let outcome = self.core.record_anchor(at, blob_ref, content_hash);
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
        // Whoever waits for an answer gets none any more.
        self.core.halt().parking().wake_all();
        self.inbox.close();
        loop {
            self.core.check_halt()?;
            self.flush()?;
            if self.collector.all_empty() {
                self.collector.publish_verdicts(&mut self.core);
                return Ok(());
            }
        }
    }

    fn close(&mut self, run_ended: &InlineRecord) -> Result<CloseReport, CloseError> {
        let ended = self.drain().and_then(|()| {
            self.core.push_last(run_ended);
            self.core.commit()?;
            self.core.check_halt()
        });
        match ended {
            Ok(()) => Ok(self.core.seal()?),
            Err(Halted) => Err(CloseError::Halted(self.core.halt_reason())),
        }
    }
}

/// What a panic said.
pub(super) fn writer_died(panic: &(dyn std::any::Any + Send)) -> HaltReason {
    let text = panic_text(panic).unwrap_or("panicked without a message");
    HaltReason::WriterDied(text.to_owned())
}
