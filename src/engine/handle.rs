use std::thread::JoinHandle;
use std::time::Duration;

use super::command::{Command, LastRecord, Reply};
use super::driver::{Engine, WriterParts};
use super::lone_record::lone_record;
use super::producer::Producer;
use super::shared::{Machine, Shared};
use super::writer::{Assembler, Committer, MarkerOutlet};
use super::{
    AnchorRequestError, CloseError, CloseReport, ProducerError, SnapshotAnchorer, SpawnError,
    WaitError, WriterConfig,
};
use crate::model::{Clock, ContentHash, EntryDraft, SnapshotAnchor, Ticket};
use crate::protocol::{HaltReason, HaltSignal};
use crate::store::EventStore;
use crate::sync::Arc;

/// The engine of one run: hands out producers, waits for durability, closes the run.
///
/// Dropping it without [`close`](Self::close) makes everything accepted durable and leaves the run
/// unsealed, for recovery to find. It blocks for up to `close_timeout`.
#[derive(Debug)]
pub struct EventStoreWriter {
    engine: Engine,
    ending: Ending,
}

/// Who has to end before the handle may go.
#[derive(Debug)]
enum Ending {
    /// The writer thread.
    Thread(JoinHandle<()>),
    /// The writer that submitters drive.
    Inline,
    /// Nothing is left.
    Done,
}

/// What limits the wait for a run that is closed or dropped.
const CLOSE_TIMEOUT: &str = "close_timeout_ms";

/// What an engine is started with.
pub(crate) struct Setup {
    /// With an open run.
    pub(crate) store: Box<dyn EventStore>,
    pub(crate) clock: Clock,
    pub(crate) halt: HaltSignal,
    pub(crate) config: WriterConfig,
    /// Where marks of market data go; `None` where none is marked.
    pub(crate) markers: Option<MarkerOutlet>,
    pub(crate) drive: Drive,
}

/// Who runs the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drive {
    /// A thread of its own.
    Thread,
    /// Whoever submits: each submit is durable when it returns.
    Inline,
}

impl EventStoreWriter {
    /// Starts the writer thread on a backend with an open run and continues that run at its
    /// watermark + 1.
    ///
    /// The thread is named `tapline-writer`. Where it cannot be pinned to `config.writer_core`, a
    /// warning says why and it runs unpinned.
    pub fn spawn(
        store: Box<dyn EventStore>,
        clock: Clock,
        halt: HaltSignal,
        config: WriterConfig,
    ) -> Result<Self, SpawnError> {
        let drive = Drive::Thread;
        Self::start(Setup { store, clock, halt, config, markers: None, drive })
    }

    /// Starts inline mode, for deterministic simulation: the same engine without a thread. Whoever
    /// submits runs the writer, and the message is durable when the submit returns. Entries and
    /// their hashes are the same.
    pub fn inline(
        store: Box<dyn EventStore>,
        clock: Clock,
        halt: HaltSignal,
        config: WriterConfig,
    ) -> Result<Self, SpawnError> {
        let drive = Drive::Inline;
        Self::start(Setup { store, clock, halt, config, markers: None, drive })
    }

    pub(crate) fn start(setup: Setup) -> Result<Self, SpawnError> {
        let machine = match setup.drive {
            Drive::Thread => Machine::detect(),
            Drive::Inline => Machine::counting(),
        };
        Self::start_on(machine, setup)
    }

    /// As [`start`](Self::start), with what depends on the machine given.
    pub(super) fn start_on(machine: Machine, setup: Setup) -> Result<Self, SpawnError> {
        let Setup { store, clock, halt, mut config, markers, drive } = setup;
        config.validate()?;
        let (tail, reader) = store.tail().zip(store.reader()).ok_or(SpawnError::NoOpenRun)?;
        if reader.manifest()?.status.is_sealed() {
            return Err(SpawnError::Sealed);
        }
        let committer = match drive {
            Drive::Thread => Committer::start(store, &config).map_err(SpawnError::Thread)?,
            Drive::Inline => {
                // Nothing is pending between two submits, so no batch waits for company.
                config.max_batch_latency = None;
                Committer::new(store)
            }
        };
        let durable = tail.watermark;
        let shared = Shared::new(config, clock, machine, halt, durable, markers.as_ref());
        let assembler = Assembler::new(&*reader, tail, &shared.config, markers)?;
        drop(reader);
        shared.names.add_recorded(assembler.names());
        let parts = WriterParts { shared: Arc::new(shared), assembler, committer };
        Ok(match drive {
            Drive::Thread => {
                let (engine, join) = Engine::on_a_thread(parts)?;
                Self { engine, ending: Ending::Thread(join) }
            }
            Drive::Inline => Self { engine: Engine::inline(parts), ending: Ending::Inline },
        })
    }

    /// A new producer. Allocates its ring and takes a short lock.
    pub fn producer(&self) -> Result<Producer, ProducerError> {
        Producer::connect(self.engine.clone())
    }

    /// What makes producers, to be handed to threads that need one later.
    pub fn producers(&self) -> Producers {
        Producers(self.engine.clone())
    }

    /// The largest durable `seq`; 0 for none.
    pub fn watermark(&self) -> u64 {
        self.engine.shared.watermark.get()
    }

    /// The run's halt signal.
    pub fn halt(&self) -> &HaltSignal {
        &self.engine.shared.halt
    }

    /// Blocks until the watermark has reached `seq`, for at most `timeout`.
    pub fn wait_for_watermark(&self, seq: u64, timeout: Duration) -> Result<u64, WaitError> {
        self.engine.shared.wait(timeout, || self.watermark() >= seq)?;
        Ok(self.watermark())
    }

    /// Blocks until the message of `ticket` is durable, for at most `timeout`. The ticket may be of
    /// any producer of this run.
    pub fn wait_durable(&self, ticket: Ticket, timeout: Duration) -> Result<(), WaitError> {
        self.engine.shared.wait_durable(ticket, timeout)
    }

    /// Blocks until everything submitted before this call is durable, for at most `timeout`, and
    /// returns the watermark. An error on a run that is halted, also where everything is durable.
    pub fn flush(&self, timeout: Duration) -> Result<u64, WaitError> {
        if self.engine.shared.gate.is_forked() {
            return Err(WaitError::Forked);
        }
        let reply = Reply::new();
        self.engine.ask(Command::Flush { reply: reply.clone() });
        self.engine.shared.wait(timeout, || reply.is_given())?;
        Ok(reply.take().unwrap_or_else(|| self.watermark()))
    }

    /// As [`SnapshotAnchorer::record`].
    pub fn record_snapshot_anchor(
        &self,
        blob_ref: &str,
        content_hash: ContentHash,
    ) -> Result<SnapshotAnchor, AnchorRequestError> {
        self.snapshot_anchorer().record(blob_ref, content_hash)
    }

    /// What records snapshot anchors, for whichever thread takes snapshots.
    pub fn snapshot_anchorer(&self) -> SnapshotAnchorer {
        SnapshotAnchorer::new(self.engine.clone())
    }

    /// Closes the run: takes no further message, makes everything accepted durable, then
    /// `run_ended` as the last entry, and seals the run as `Ended`.
    ///
    /// Blocks until that is done; longer than `close_timeout` halts the run.
    pub fn close(mut self, run_ended: &EntryDraft<'_>) -> Result<CloseReport, CloseError> {
        if self.engine.shared.gate.is_forked() {
            return Err(CloseError::Forked);
        }
        let last = self.last_record(run_ended)?;
        let reply = Reply::new();
        self.engine.ask(Command::Close { last, reply: reply.clone() });
        self.await_end(self.engine.shared.config.close_timeout, CLOSE_TIMEOUT);
        let halted = || Err(CloseError::Halted(self.engine.shared.halt_reason()));
        reply.take().unwrap_or_else(halted)
    }

    fn last_record(&self, draft: &EntryDraft<'_>) -> Result<LastRecord, CloseError> {
        let Shared { config, clock, .. } = &*self.engine.shared;
        Ok(LastRecord {
            lines: lone_record(draft, config, clock.now())?,
            topic: draft.topic.to_owned(),
            payload_type: draft.payload_type.to_owned(),
        })
    }

    /// The core that the writer thread is pinned to; `None` if it is not pinned, or not started
    /// yet.
    pub fn writer_core(&self) -> Option<usize> {
        self.engine.shared.writer_core.get().copied().flatten()
    }

    /// Lets go of the run, unsealed. Blocks until its writer has ended, for at most `patience`,
    /// which `setting` limits.
    pub(crate) fn abandon(mut self, patience: Duration, setting: &'static str) {
        self.engine.ask(Command::Abandon);
        self.await_end(patience, setting);
    }

    /// Waits for the writer to end. With it ends the store, and with the store its hold on the run
    /// file.
    fn await_end(&mut self, patience: Duration, setting: &'static str) {
        let Ending::Thread(join) = std::mem::replace(&mut self.ending, Ending::Done) else {
            return;
        };
        if self.engine.is_writer_thread() {
            // A halt callback, after which the writer ends by itself.
            return;
        }
        if self.engine.shared.await_end(patience) {
            // A panic of the thread has been caught there and became a halt.
            let _ = join.join();
        } else {
            // It hangs in the backend, and is left behind rather than waited for for ever.
            self.engine.shared.halt.fire(HaltReason::NoAnswer { waited: patience, setting });
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.engine.shared
    }
}

impl Drop for EventStoreWriter {
    fn drop(&mut self) {
        if self.engine.shared.gate.is_forked() {
            // The thread is the parent's, and so is the store of an inline run.
            std::mem::forget(std::mem::replace(&mut self.ending, Ending::Done));
            std::mem::forget(self.engine.clone());
            return;
        }
        if !matches!(self.ending, Ending::Done) {
            self.engine.ask(Command::Abandon);
            self.await_end(self.engine.shared.config.close_timeout, CLOSE_TIMEOUT);
        }
    }
}

/// Makes producers for the threads of a node. It can be cloned, sent, and outlive the run: then it
/// makes none.
#[derive(Debug, Clone)]
pub struct Producers(Engine);

impl Producers {
    /// A new producer, for any thread.
    pub fn producer(&self) -> Result<Producer, ProducerError> {
        Producer::connect(self.0.clone())
    }
}
