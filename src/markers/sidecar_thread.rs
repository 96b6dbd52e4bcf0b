//! The sidecar's thread: takes marks from the writer, and commits markers in groups of its own.

use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use super::recorder::MarkerRecorder;
use super::{DataMarkerConfig, MarkerBackend, MarkerStoreError};
use crate::engine::{MarkerInlet, Shared};
use crate::format::{Line, MarkHeader};
use crate::model::{MarkerManifest, RunStatus, error_chain};
use crate::protocol::Watermark;
use crate::sync::{Arc, Naps, OwnProcess};

/// The sidecar of a run that is being recorded, and the thread that writes it. Dropped without
/// [`seal`](Self::seal), it leaves the sidecar unsealed.
#[derive(Debug)]
pub(crate) struct SidecarThread {
    /// Commands to the thread. Once this is dropped, the thread ends without sealing.
    commands: Option<Sender<Command>>,
    outcome: Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
    patience: Duration,
    process: OwnProcess,
    /// Why the thread records no more markers, once that is so.
    failure: Arc<OnceLock<String>>,
}

/// A command to the thread, in this order.
#[derive(Debug)]
enum Command {
    /// Record what the writer of this engine sends.
    Record(Arc<Shared>),
    /// Seal with this status. The writer has ended.
    Seal(RunStatus),
}

/// How the thread ended. Without a manifest, the sidecar was not sealed.
type Outcome = Result<Option<MarkerManifest>, MarkerStoreError>;

/// How long to sleep when nothing comes, at least and at most. The writer never wakes this thread,
/// so `channel_capacity` has to hold the marks of this time.
const NAPS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(5)];

/// A batch of so many items is committed before the interval is over, which keeps batches small.
/// Items are streams that have moved, pieces of data and gaps.
const BATCH_ITEMS: usize = 8192;

/// How many items may wait for their entries to become durable. Then no more marks are taken from
/// the writer.
const PENDING_ITEMS_MAX: usize = 8 * BATCH_ITEMS;

/// Lines taken from the writer at a time.
const LINES_AT_A_TIME: usize = 4096;

impl SidecarThread {
    /// Starts the thread, named `tapline-markers`, which makes a sidecar on `backend`. Waits for
    /// that for at most `open_patience`. Sealing and dropping wait for at most `close_patience`.
    /// All I/O of the sidecar is done on this thread, so nobody else suffers from a disk that hangs
    /// or a backend that panics.
    pub(crate) fn open(
        backend: Box<dyn MarkerBackend>,
        manifest: MarkerManifest,
        inlet: MarkerInlet,
        config: &DataMarkerConfig,
        open_patience: Duration,
        close_patience: Duration,
    ) -> Result<Self, MarkerStoreError> {
        let (commands, received) = bounded(2);
        let (opened, is_open) = bounded(1);
        let (done, outcome) = bounded(1);
        let mut worker = Worker::new(backend, inlet, config.safety_flush_interval);
        let failure = Arc::clone(&worker.failure);
        let thread = std::thread::Builder::new().name("tapline-markers".to_owned());
        let thread = thread.spawn(move || {
            let made = worker.backend.open(manifest);
            let is_made = made.is_ok();
            // A caller that has stopped waiting does not receive this. It sends no command either.
            let _ = opened.send(made);
            let outcome = if is_made { worker.follow(&received) } else { Ok(None) };
            // Drop before sending the outcome: who receives it finds the file closed.
            drop(worker);
            // The receiver may be gone.
            let _ = done.send(outcome);
        });
        let thread = thread.map_err(MarkerStoreError::Thread)?;
        answer(&is_open, open_patience)?;
        Ok(Self {
            commands: Some(commands),
            outcome,
            thread: Some(thread),
            patience: close_patience,
            process: OwnProcess::this(),
            failure,
        })
    }

    /// Starts to record what the writer of this engine sends.
    pub(crate) fn record(&self, engine: Arc<Shared>) {
        self.send(Command::Record(engine));
    }

    /// Why no more markers are recorded; `None` while they are.
    pub(crate) fn failure(&self) -> Option<String> {
        let has_ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        let failure = self.failure.get().cloned();
        // The thread ends by itself only if it fails.
        failure.or_else(|| has_ended.then(|| MarkerStoreError::Died.to_string()))
    }

    /// Seals the sidecar of a run whose writer has ended. All its marks are then in it.
    pub(crate) fn seal(mut self, status: RunStatus) -> Result<MarkerManifest, MarkerStoreError> {
        self.send(Command::Seal(status));
        self.end()?.ok_or(MarkerStoreError::NotOpen)
    }

    fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // A thread that has failed receives nothing. `end` returns its error.
            let _ = commands.send(command);
        }
    }

    /// Waits for the thread, once. A thread whose disk hangs is left behind.
    fn end(&mut self) -> Outcome {
        self.commands = None;
        let thread = self.thread.take();
        let outcome = answer(&self.outcome, self.patience);
        if let Some(thread) = thread
            && !matches!(outcome, Err(MarkerStoreError::TimedOut { .. }))
        {
            let _ = thread.join();
        }
        outcome
    }
}

/// The thread's answer, within `patience`.
fn answer<T>(
    from: &Receiver<Result<T, MarkerStoreError>>,
    patience: Duration,
) -> Result<T, MarkerStoreError> {
    match from.recv_timeout(patience) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout) => Err(MarkerStoreError::TimedOut { waited: patience }),
        Err(RecvTimeoutError::Disconnected) => Err(MarkerStoreError::Died),
    }
}

impl Drop for SidecarThread {
    fn drop(&mut self) {
        if self.process.is_forked() {
            // There is no such thread here to wait for.
            std::mem::forget(self.thread.take());
        }
        if self.thread.is_some() {
            // This closes the file, unless its disk hangs.
            let _ = self.end();
        }
    }
}

struct Worker {
    backend: Box<dyn MarkerBackend>,
    inlet: MarkerInlet,
    recorder: MarkerRecorder,
    interval: Duration,
    /// When the interval last ended. Commits of full batches do not count.
    last_flush: Instant,
    /// A mark that wraps around the end of the ring.
    straddling: Vec<Line>,
    failure: Arc<OnceLock<String>>,
}

impl Worker {
    fn new(backend: Box<dyn MarkerBackend>, inlet: MarkerInlet, interval: Duration) -> Self {
        Self {
            backend,
            inlet,
            recorder: MarkerRecorder::default(),
            interval,
            last_flush: Instant::now(),
            straddling: Vec::new(),
            failure: Arc::default(),
        }
    }

    /// Follows the commands until the end.
    fn follow(&mut self, received: &Receiver<Command>) -> Outcome {
        let Ok(Command::Record(engine)) = received.recv() else {
            return Ok(None);
        };
        self.last_flush = Instant::now();
        let recorded = self.record(&engine.watermark, received).inspect_err(|error| {
            // From now on, marks find no room and are shed.
            let error = error_chain(error);
            tracing::warn!("no more data markers are recorded: {error}");
            let _ = self.failure.set(error);
        });
        match recorded? {
            Some(Command::Seal(status)) => self.backend.seal(status).map(Some),
            _ => Ok(None),
        }
    }

    /// Records until the next command, or until no more can come. Then commits what has come from
    /// the writer. If the writer has ended, that is everything.
    fn record(
        &mut self,
        watermark: &Watermark,
        received: &Receiver<Command>,
    ) -> Result<Option<Command>, MarkerStoreError> {
        let mut naps = Naps::new(NAPS[0], NAPS[1]);
        let command = loop {
            match received.try_recv() {
                Ok(command) => break Some(command),
                Err(TryRecvError::Disconnected) => break None,
                Err(TryRecvError::Empty) => {}
            }
            let has_room = self.recorder.pending_items() < PENDING_ITEMS_MAX;
            let took = has_room && self.take();
            if self.last_flush.elapsed() >= self.interval {
                self.last_flush = Instant::now();
                self.recorder.snapshot();
                self.commit(watermark)?;
            } else if self.recorder.pending_items() >= BATCH_ITEMS {
                self.commit(watermark)?;
            }
            if took {
                naps.reset();
            } else {
                std::thread::park_timeout(naps.next());
            }
        };
        self.drain(watermark)?;
        Ok(command)
    }

    /// Takes everything that is there, and commits it up to the last durable entry. If the run was
    /// closed in order, all entries are durable.
    fn drain(&mut self, watermark: &Watermark) -> Result<(), MarkerStoreError> {
        while self.take() {
            if self.recorder.pending_items() >= BATCH_ITEMS {
                self.commit(watermark)?;
            }
            if self.recorder.pending_items() >= PENDING_ITEMS_MAX {
                self.recorder.give_up_pending();
            }
        }
        self.recorder.note_shed(self.inlet.shed_in_all());
        self.recorder.snapshot();
        self.commit(watermark)?;
        self.recorder.give_up_pending();
        self.commit(watermark)
    }

    /// Takes what has come from the writer. Returns false if that was nothing.
    fn take(&mut self) -> bool {
        let lines = self.inlet.ring.slots().min(LINES_AT_A_TIME);
        let chunk = self.inlet.ring.read_chunk(lines).expect("so many lines are there");
        let (head, tail) = chunk.as_slices();
        let line = |at: usize| head.get(at).unwrap_or_else(|| &tail[at - head.len()]);
        let mut at = 0;
        while at < lines {
            let end = at + MarkHeader::of(line(at)).lines.get() as usize;
            if end > lines {
                // The rest of the mark is in the ring, but not in this chunk.
                break;
            }
            if end <= head.len() {
                self.recorder.take(&head[at..end]);
            } else if at >= head.len() {
                self.recorder.take(&tail[at - head.len()..end - head.len()]);
            } else {
                self.straddling.clear();
                self.straddling.extend((at..end).map(|at| *line(at)));
                self.recorder.take(&self.straddling);
            }
            at = end;
        }
        chunk.commit(at);
        at > 0
    }

    fn commit(&mut self, watermark: &Watermark) -> Result<(), MarkerStoreError> {
        let batch = self.recorder.take_batch(watermark.get());
        if batch.is_empty() { Ok(()) } else { self.backend.append(&batch) }
    }
}
