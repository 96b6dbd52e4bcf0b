use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};

use super::batch_timer::BatchTimer;
use super::collect::Collector;
use super::command::{Command, CommandSender, Reply};
use super::committer::Committer;
use super::connection::{Connection, Mode, Parts, lock_inline};
use super::core::WriterCore;
use super::idle::Idle;
use super::inline::InlineWriter;
use super::marker_outlet::MarkerOutlet;
use super::os_thread::{pin, sleep_as_asked};
use super::publish_time::PublishTime;
use super::thread::WriterThread;
use super::{
    AnchorRequestError, CloseError, CloseReport, SnapshotAnchorer, SpawnError, WaitError,
    WriterConfig,
};
use crate::model::{Clock, ContentHash, EntryDraft, SnapshotAnchor};
use crate::protocol::{
    HaltReason, HaltSignal, LaneInbox, LatestEntry, OrderClock, RunGate, Watermark,
};
use crate::store::EventStore;
use crate::sync::{Arc, AsymmetricBarrier, Mutex};

/// The engine of one run: hands out producers, waits for durability, closes the run.
///
/// Dropping it without [`close`](Self::close) makes everything accepted durable and leaves the run
/// unsealed, for recovery to find; it blocks for up to `close_timeout`.
#[derive(Debug)]
pub struct EventStoreWriter {
    connection: Connection,
    thread: Option<WriterHandle>,
}

#[derive(Debug)]
struct WriterHandle {
    commands: CommandSender,
    join: JoinHandle<()>,
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
        Self::spawn_marking(store, clock, halt, config, None)
    }

    /// As [`spawn`](Self::spawn); marks of market data go to `markers`.
    pub(crate) fn spawn_marking(
        store: Box<dyn EventStore>,
        clock: Clock,
        halt: HaltSignal,
        config: WriterConfig,
        markers: Option<MarkerOutlet>,
    ) -> Result<Self, SpawnError> {
        let machine = (OrderClock::detect(), AsymmetricBarrier::new());
        Self::spawn_on(machine, store, clock, halt, config, markers)
    }

    /// As [`spawn_marking`](Self::spawn_marking), with what depends on the machine given.
    pub(super) fn spawn_on(
        machine: Machine,
        store: Box<dyn EventStore>,
        clock: Clock,
        halt: HaltSignal,
        config: WriterConfig,
        markers: Option<MarkerOutlet>,
    ) -> Result<Self, SpawnError> {
        let (core, parts) =
            prepare(store, Committer::start, machine, clock, halt, config, markers)?;
        let inbox = Arc::new(LaneInbox::new());
        let publish_time = PublishTime::new(&parts.clock, &parts.order_clock);
        // Unbounded, so that sending never blocks: every caller has a time limit of its own, and a
        // command that was given up stays unread while the store hangs.
        let (commands, received) = unbounded();
        let mut thread = WriterThread {
            core,
            collector: Collector::new(parts.order_clock.clone(), publish_time),
            inbox: Arc::clone(&inbox),
            gate: parts.gate.clone(),
            commands: received,
            idle: Idle::new(parts.config.wait),
            batch: BatchTimer::new(parts.config.max_batch_latency),
        };
        let core_id = parts.config.writer_core;
        let join = std::thread::Builder::new()
            .name("tapline-writer".to_owned())
            .spawn(move || {
                pin("writer", core_id);
                sleep_as_asked();
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| thread.run())) {
                    thread.died(&*panic);
                }
            })
            .map_err(SpawnError::Thread)?;
        let writer = join.thread().clone();
        let connection = Connection::new(Mode::Threaded { inbox, writer }, parts);
        Ok(Self { connection, thread: Some(WriterHandle::new(commands, join)) })
    }

    /// Starts inline mode, for deterministic simulation: no thread and no ring, each submit commits
    /// on the calling thread and is durable when it returns. Entries and their hashes are the same.
    pub fn inline(
        store: Box<dyn EventStore>,
        clock: Clock,
        halt: HaltSignal,
        config: WriterConfig,
    ) -> Result<Self, SpawnError> {
        Self::inline_marking(store, clock, halt, config, None)
    }

    /// As [`inline`](Self::inline); marks of market data go to `markers`.
    pub(crate) fn inline_marking(
        store: Box<dyn EventStore>,
        clock: Clock,
        halt: HaltSignal,
        config: WriterConfig,
        markers: Option<MarkerOutlet>,
    ) -> Result<Self, SpawnError> {
        let machine = (OrderClock::counter(), AsymmetricBarrier::new());
        let committer = |store, _: &WriterConfig| Ok(Committer::new(store));
        let (core, parts) = prepare(store, committer, machine, clock, halt, config, markers)?;
        let inline = Arc::new(Mutex::new(InlineWriter::new(core)));
        Ok(Self { connection: Connection::new(Mode::Inline(inline), parts), thread: None })
    }

    /// The largest durable `seq`; 0 for none.
    pub fn watermark(&self) -> u64 {
        self.connection.watermark.get()
    }

    /// The run's halt signal.
    pub fn halt(&self) -> &HaltSignal {
        &self.connection.halt
    }

    /// Blocks until the watermark has reached `seq`, for at most `timeout`.
    pub fn wait_for_watermark(&self, seq: u64, timeout: Duration) -> Result<u64, WaitError> {
        self.connection.wait(timeout, || self.watermark() >= seq)?;
        Ok(self.watermark())
    }

    /// Blocks until everything submitted before this call is durable, for at most `timeout`, and
    /// returns the watermark.
    pub fn flush(&self, timeout: Duration) -> Result<u64, WaitError> {
        let Some(thread) = &self.thread else {
            return Ok(self.watermark());
        };
        let reply = Reply::new();
        thread.send(Command::Flush { reply: reply.clone() });
        self.connection.wait(timeout, || reply.is_given())?;
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
        SnapshotAnchorer::new(
            self.connection.clone(),
            self.thread.as_ref().map(WriterHandle::inbox),
        )
    }

    /// Closes the run: takes no further message, makes everything accepted durable, then
    /// `run_ended` as the last entry, and seals the run as `Ended`.
    ///
    /// Blocks until that is done; longer than `close_timeout` halts the run.
    pub fn close(mut self, run_ended: &EntryDraft<'_>) -> Result<CloseReport, CloseError> {
        let run_ended = self.connection.build(run_ended)?;
        let Some(thread) = self.thread.take() else {
            return self.connection.inline().close(&run_ended, &self.connection.gate);
        };
        let reply = Reply::new();
        thread.send(Command::Close { run_ended, reply: reply.clone() });
        self.await_end(thread);
        reply.take().unwrap_or_else(|| Err(CloseError::Halted(self.connection.halt_reason())))
    }

    /// Waits for the writer thread to end. With it ends the store, and with the store its hold on the
    /// run file.
    fn await_end(&self, thread: WriterHandle) {
        let threshold = self.connection.config.close_timeout;
        if self.connection.wait_ended(threshold) {
            thread.join_ended();
        } else {
            // It hangs in the backend, and is left behind rather than waited for for ever.
            let reason = HaltReason::BackpressureStall { stalled_for: threshold, threshold };
            self.connection.halt.fire(reason);
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl WriterHandle {
    fn new(commands: Sender<Command>, join: JoinHandle<()>) -> Self {
        Self { commands: CommandSender::new(commands, join.thread().clone()), join }
    }

    fn inbox(&self) -> CommandSender {
        self.commands.clone()
    }

    fn send(&self, command: Command) {
        self.commands.send(command);
    }

    fn join_ended(self) {
        // A panic of the thread has been caught there and became a halt.
        let _ = self.join.join();
    }
}

impl Drop for EventStoreWriter {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else {
            if let Mode::Inline(inline) = &self.connection.mode {
                lock_inline(inline).abandon(&self.connection.gate);
            }
            return;
        };
        thread.send(Command::Abandon);
        self.await_end(thread);
    }
}

/// What the protocol takes from the machine.
pub(super) type Machine = (OrderClock, AsymmetricBarrier);

fn prepare(
    store: Box<dyn EventStore>,
    committer: impl FnOnce(Box<dyn EventStore>, &WriterConfig) -> std::io::Result<Committer>,
    (order_clock, barrier): Machine,
    clock: Clock,
    halt: HaltSignal,
    config: WriterConfig,
    markers: Option<MarkerOutlet>,
) -> Result<(WriterCore, Parts), SpawnError> {
    config.validate()?;
    let tail = store.tail().ok_or(SpawnError::NoOpenRun)?;
    let manifest = store.reader().ok_or(SpawnError::NoOpenRun)?.manifest()?;
    if manifest.status.is_sealed() {
        return Err(SpawnError::Sealed);
    }
    let watermark = Watermark::new(tail.watermark);
    let committer = committer(store, &config).map_err(SpawnError::Thread)?;
    let latest_entry = markers.is_some().then(LatestEntry::new);
    let core = WriterCore::new(committer, tail, watermark.clone(), halt.clone(), &config, markers)?;
    let gate = RunGate::new(barrier);
    Ok((core, Parts { config, gate, halt, watermark, order_clock, latest_entry, clock }))
}
