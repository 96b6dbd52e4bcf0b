//! The sidecar's thread: takes marks from the writer, and commits markers in groups of its own.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use super::recorder::MarkerRecorder;
use super::{DataMarkerConfig, MarkerBackend, MarkerStoreError};
use crate::engine::{MarkerInlet, Shared};
use crate::format::{Line, MarkHeader};
use crate::model::{MarkerManifest, RunStatus, error_chain};
use crate::protocol::Watermark;
use crate::sync::Arc;

/// The sidecar of a run that is being recorded. Dropped without [`seal`](Self::seal), it is left unsealed.
#[derive(Debug)]
pub(crate) struct MarkerLane {
    /// What the thread is told; it ends without a seal when this is dropped.
    words: Option<Sender<Word>>,
    outcome: Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
    patience: Duration,
}

/// What the thread is told, in this order.
#[derive(Debug)]
enum Word {
    /// To record what the writer of this engine sends.
    Record(Arc<Shared>),
    /// How to seal, once the writer has ended.
    Seal(RunStatus),
}

/// What has come of a sidecar. Without a manifest it was not sealed.
type Outcome = Result<Option<MarkerManifest>, MarkerStoreError>;

/// How long to sleep when nothing comes. The writer never wakes this thread: within this time, marks have to fit
/// `channel_capacity`.
const NAP: Duration = Duration::from_millis(1);

/// What is committed without waiting for the interval to pass, and so that a batch stays small: streams that have moved,
/// pieces of data and gaps.
const BATCH_ITEMS: usize = 8192;

/// What may wait for its entries to become durable; with more, no marks are taken from the writer.
const PENDING_ITEMS_MAX: usize = 8 * BATCH_ITEMS;

/// Lines taken from the writer at a time.
const LINES_AT_A_TIME: usize = 4096;

impl MarkerLane {
    /// Starts the thread, named `tapline-markers`, and has it make a sidecar on `backend`; waits for that for at most
    /// `open_patience`. Who ends the thread waits for at most `close_patience`. All I/O of the sidecar is the thread's: a
    /// disk that hangs or a backend that panics is its own problem.
    pub(crate) fn open(
        backend: Box<dyn MarkerBackend>,
        manifest: MarkerManifest,
        inlet: MarkerInlet,
        config: &DataMarkerConfig,
        open_patience: Duration,
        close_patience: Duration,
    ) -> Result<Self, MarkerStoreError> {
        let (words, heard) = bounded(2);
        let (opened, is_open) = bounded(1);
        let (done, outcome) = bounded(1);
        let mut worker = Worker::new(backend, inlet, config.safety_flush_interval);
        let thread = std::thread::Builder::new().name("tapline-markers".to_owned());
        let thread = thread.spawn(move || {
            let made = worker.backend.open(manifest);
            let is_made = made.is_ok();
            // Who has lost patience does not hear this, nor says another word.
            let _ = opened.send(made);
            let outcome = if is_made { worker.follow(&heard) } else { Ok(None) };
            // Before the outcome is told: who hears it finds the file closed.
            drop(worker);
            // Nobody may be there to hear it.
            let _ = done.send(outcome);
        });
        let thread = thread.map_err(MarkerStoreError::Thread)?;
        answer(&is_open, open_patience)?;
        Ok(Self { words: Some(words), outcome, thread: Some(thread), patience: close_patience })
    }

    /// Starts to record what the writer of this engine sends.
    pub(crate) fn record(&self, engine: Arc<Shared>) {
        self.say(Word::Record(engine));
    }

    /// Seals the sidecar of a run whose writer has ended, when all its marks are in it.
    pub(crate) fn seal(mut self, status: RunStatus) -> Result<MarkerManifest, MarkerStoreError> {
        self.say(Word::Seal(status));
        self.end()?.ok_or(MarkerStoreError::NotOpen)
    }

    fn say(&self, word: Word) {
        if let Some(words) = &self.words {
            // A thread that failed hears nothing; its error comes back instead.
            let _ = words.send(word);
        }
    }

    /// Waits for the thread, once: one whose disk hangs is left behind.
    fn end(&mut self) -> Outcome {
        self.words = None;
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

/// What the thread answers within `patience`.
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
    recorder: MarkerRecorder,
    interval: Duration,
    /// When the interval was last over; commits of full batches do not count.
    last_flush: Instant,
    /// A mark that lies around the end of the ring.
    straddling: Vec<Line>,
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
        }
    }

    /// Records and seals as it is told to.
    fn follow(&mut self, heard: &Receiver<Word>) -> Outcome {
        let Ok(Word::Record(engine)) = heard.recv() else {
            return Ok(None);
        };
        self.last_flush = Instant::now();
        let recorded = self.record(&engine.watermark, heard).inspect_err(|error| {
            // From here on marks find no room, and are shed.
            tracing::warn!("no more data markers are recorded: {}", error_chain(error));
        });
        match recorded? {
            Some(Word::Seal(status)) => self.backend.seal(status).map(Some),
            _ => Ok(None),
        }
    }

    /// Until the next word, or until there will be none; what has come from the writer by then is committed: all of it, if
    /// the writer has ended.
    fn record(
        &mut self,
        watermark: &Watermark,
        heard: &Receiver<Word>,
    ) -> Result<Option<Word>, MarkerStoreError> {
        let word = loop {
            match heard.try_recv() {
                Ok(word) => break Some(word),
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
            if !took {
                std::thread::park_timeout(NAP);
            }
        };
        self.drain(watermark)?;
        Ok(word)
    }

    /// Takes what is there, and commits it as far as its entries are durable: they are, all of them, where the run was closed in
    /// order.
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

    fn commit(&mut self, watermark: &Watermark) -> Result<(), MarkerStoreError> {
        let batch = self.recorder.take_batch(watermark.get());
        if batch.is_empty() { Ok(()) } else { self.backend.append(&batch) }
    }
}
