//! The sidecar's thread: takes marks from the writer, and commits markers in groups of its own.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::recorder::MarkerRecorder;
use super::{DataMarkerConfig, MarkerBackend, MarkerStoreError};
use crate::format::{Line, MarkHeader};
use crate::model::{MarkerManifest, RunStatus};
use crate::protocol::Watermark;
use crate::writer::MarkerInlet;

/// The sidecar of a run that is being recorded. Dropped without [`seal`](Self::seal), it is left unsealed.
#[derive(Debug)]
pub(crate) struct MarkerLane {
    /// How to seal; the thread ends without a seal when this is dropped.
    seal_as: Option<Sender<RunStatus>>,
    outcome: Receiver<Result<Option<MarkerManifest>, MarkerStoreError>>,
    thread: Option<JoinHandle<()>>,
    patience: Duration,
}

/// How long to sleep when nothing comes. The writer never wakes this thread: within this time, marks have to fit
/// `channel_capacity`.
const NAP: Duration = Duration::from_millis(1);

/// Markers that are committed without waiting for the interval to pass, and so that a batch stays small.
const BATCH_MARKERS: usize = 8192;

/// Markers that may wait for their entries to become durable; with more, none are taken from the writer.
const PENDING_MARKERS_MAX: usize = 8 * BATCH_MARKERS;

/// Lines taken from the writer at a time.
const LINES_AT_A_TIME: usize = 4096;

impl MarkerLane {
    /// Starts the thread, named `tapline-markers`, on a backend with an open sidecar. A caller that ends it waits for at
    /// most `patience`.
    pub(crate) fn start(
        backend: Box<dyn MarkerBackend>,
        inlet: MarkerInlet,
        watermark: Watermark,
        config: &DataMarkerConfig,
        patience: Duration,
    ) -> Result<Self, MarkerStoreError> {
        let (seal_as, word) = bounded(1);
        let (done, outcome) = bounded(1);
        let mut worker = Worker {
            backend,
            inlet,
            watermark,
            recorder: MarkerRecorder::default(),
            interval: config.safety_flush_interval,
            last_flush: Instant::now(),
            straddling: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("tapline-markers".to_owned());
        let thread = thread.spawn(move || {
            let recorded = worker.record();
            if let Err(error) = &recorded {
                // From here on marks find no room, and are shed.
                tracing::warn!("no more data markers are recorded: {error}");
            }
            let sealed = recorded.and_then(|()| match word.recv() {
                Ok(status) => worker.backend.seal(status).map(Some),
                Err(_left_unsealed) => Ok(None),
            });
            // Before the outcome is told: who hears it finds the file closed.
            drop(worker);
            // Nobody may be there to hear it.
            let _ = done.send(sealed);
        });
        let thread = Some(thread.map_err(MarkerStoreError::Thread)?);
        Ok(Self { seal_as: Some(seal_as), outcome, thread, patience })
    }

    /// Seals the sidecar of a run whose writer has ended, when all its marks are in it.
    pub(crate) fn seal(mut self, status: RunStatus) -> Result<MarkerManifest, MarkerStoreError> {
        if let Some(seal_as) = self.seal_as.take() {
            // A thread that failed does not take it; its error comes back instead.
            let _ = seal_as.send(status);
        }
        self.end()?.ok_or(MarkerStoreError::NotOpen)
    }

    /// Waits for the thread, once: one whose disk hangs is left behind.
    fn end(&mut self) -> Result<Option<MarkerManifest>, MarkerStoreError> {
        self.seal_as = None;
        let thread = self.thread.take();
        let outcome = match self.outcome.recv_timeout(self.patience) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => {
                return Err(MarkerStoreError::TimedOut { waited: self.patience });
            }
            Err(RecvTimeoutError::Disconnected) => Err(MarkerStoreError::Died),
        };
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        outcome
    }
}

impl Drop for MarkerLane {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // Its file is let go of, unless its disk hangs.
            let _ = self.end();
        }
    }
}

struct Worker {
    backend: Box<dyn MarkerBackend>,
    inlet: MarkerInlet,
    watermark: Watermark,
    recorder: MarkerRecorder,
    interval: Duration,
    /// When the interval was last over; commits of full batches do not count.
    last_flush: Instant,
    /// A mark that lies around the end of the ring.
    straddling: Vec<Line>,
}

impl Worker {
    /// Until the writer has ended and everything that came from it is committed.
    fn record(&mut self) -> Result<(), MarkerStoreError> {
        loop {
            // Asked first: once the writer is gone, what is in the ring is all there is.
            let is_last = self.inlet.is_abandoned();
            let has_room = is_last || self.recorder.pending() < PENDING_MARKERS_MAX;
            let took = has_room && self.take();
            if self.last_flush.elapsed() >= self.interval {
                self.last_flush = Instant::now();
                self.recorder.snapshot();
                self.commit()?;
            } else if self.recorder.pending() >= BATCH_MARKERS {
                self.commit()?;
            }
            if is_last && !took {
                break;
            }
            if !took {
                std::thread::park_timeout(NAP);
            }
        }
        self.recorder.note_shed(self.inlet.shed_in_all());
        self.recorder.snapshot();
        self.commit()?;
        // In a run that was closed in order nothing is left.
        self.recorder.give_up_pending();
        self.commit()
    }

    /// Takes what has come from the writer; says whether that was anything.
    fn take(&mut self) -> bool {
        let lines = self.inlet.ring.slots().min(LINES_AT_A_TIME);
        let chunk = self.inlet.ring.read_chunk(lines).expect("so many lines are there");
        let (head, tail) = chunk.as_slices();
        let line = |at: usize| head.get(at).unwrap_or_else(|| &tail[at - head.len()]);
        let mut at = 0;
        while at < lines {
            let end = at + MarkHeader::of(line(at)).lines.get() as usize;
            if end > lines {
                // Its end is there too, but not in this chunk.
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

    fn commit(&mut self) -> Result<(), MarkerStoreError> {
        let batch = self.recorder.take_batch(self.watermark.get());
        if batch.is_empty() { Ok(()) } else { self.backend.append(&batch) }
    }
}
