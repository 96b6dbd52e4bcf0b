//! Where sealed frames become durable: on the calling thread, or, for large frames, on a thread of
//! its own, so that the next frame is collected and hashed while the disk works on this one.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::Thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::format::{FrameBuilder, SealedFrame};
use crate::model::UnixNanos;
use crate::store::{AppendError, EventStore};

/// Owns the store of a run. At most one frame is on its way into it at a time: frames are committed
/// in the order they were sealed.
pub(super) struct Committer {
    /// `None` while the committer thread has it.
    store: Option<Box<dyn EventStore>>,
    overlap: Option<Overlap>,
}

/// A committer thread, and what it takes to go on while it works.
struct Overlap {
    frame_bytes_min: usize,
    /// The builder that is not in use: it takes over from the one handed over. `None` meanwhile.
    spare: Option<FrameBuilder>,
    /// The thread ends when this is dropped.
    jobs: Sender<Job>,
    outcomes: Receiver<Outcome>,
}

/// The store and a sealed frame for it.
struct Job {
    store: Box<dyn EventStore>,
    frame: FrameBuilder,
    /// Who is to be woken when it is done.
    writer: Thread,
}

/// What came of a job, with what it took.
struct Outcome {
    store: Box<dyn EventStore>,
    frame: FrameBuilder,
    /// The outer error is a panic of the store.
    appended: std::thread::Result<Result<(), AppendError>>,
}

/// A frame that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) last_seq: u64,
    pub(super) ts_init_max: UnixNanos,
}

/// Whether to wait for the end of a commit that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    Yes,
}

impl Committer {
    /// Commits on the calling thread.
    pub(super) fn new(store: Box<dyn EventStore>) -> Self {
        Self { store: Some(store), overlap: None }
    }

    /// Commits frames of at least `frame_bytes_min` bytes on a thread of its own, pinned by `pin`.
    /// `spare` is a second builder like the one in use.
    pub(super) fn with_thread(
        store: Box<dyn EventStore>,
        spare: FrameBuilder,
        frame_bytes_min: usize,
        pin: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, received) = bounded(1);
        let (finished, outcomes) = bounded(1);
        let thread = std::thread::Builder::new().name("tapline-committer".to_owned());
        thread.spawn(move || {
            pin();
            work(&received, &finished);
        })?;
        let overlap = Overlap { frame_bytes_min, spare: Some(spare), jobs, outcomes };
        Ok(Self { store: Some(store), overlap: Some(overlap) })
    }

    /// Whether a frame is on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.store.is_none()
    }

    /// The store. Only while no frame is on its way.
    pub(super) fn store(&mut self) -> &mut dyn EventStore {
        &mut **self.store.as_mut().expect("asked for between two commits")
    }

    /// Commits the sealed frame in `builder`, which then holds the empty frame that follows it.
    /// `None`: the frame is on its way, [`settle`](Self::settle) tells when it has arrived.
    ///
    /// Only while no frame is on its way.
    pub(super) fn commit(
        &mut self,
        builder: &mut FrameBuilder,
    ) -> Result<Option<Committed>, AppendError> {
        let frame = builder.sealed().expect("sealed by the caller");
        match &mut self.overlap {
            Some(overlap) if frame.bytes().len() >= overlap.frame_bytes_min => {
                let store = self.store.take().expect("one frame at a time");
                overlap.hand_over(store, builder);
                Ok(None)
            }
            _ => {
                self.store().append(&frame)?;
                let committed = Committed::of(&frame);
                builder.reset();
                Ok(Some(committed))
            }
        }
    }

    /// The frame that was on its way, once it is durable. `None` if there is none, or, with
    /// [`Wait::No`], if it is still on its way.
    ///
    /// # Panics
    /// With what the store panicked with.
    pub(super) fn settle(&mut self, wait: Wait) -> Result<Option<Committed>, AppendError> {
        let (None, Some(overlap)) = (&self.store, &mut self.overlap) else {
            return Ok(None);
        };
        let outcome = match wait {
            Wait::Yes => overlap.outcomes.recv().ok(),
            Wait::No => overlap.outcomes.try_recv().ok(),
        };
        let Some(Outcome { store, frame, appended }) = outcome else {
            return Ok(None);
        };
        self.store = Some(store);
        let committed = Committed::of(&frame.sealed().expect("it was sealed when it left"));
        overlap.spare = Some(frame);
        match appended {
            Ok(appended) => appended.map(|()| Some(committed)),
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Overlap {
    fn hand_over(&mut self, store: Box<dyn EventStore>, builder: &mut FrameBuilder) {
        let mut next = self.spare.take().expect("in its place while no frame is on its way");
        next.follow(builder);
        let frame = std::mem::replace(builder, next);
        let job = Job { store, frame, writer: std::thread::current() };
        self.jobs.send(job).expect("the committer thread ends only after the sender is gone");
        // Where both share a core the disk comes first: the committer thread soon waits for it and
        // gives the core back. Without this it waited for a whole round of collecting.
        std::thread::yield_now();
    }
}

impl Committed {
    fn of(frame: &SealedFrame<'_>) -> Self {
        Self { last_seq: frame.last_seq(), ts_init_max: frame.ts_init_max() }
    }
}

/// The committer thread.
fn work(jobs: &Receiver<Job>, outcomes: &Sender<Outcome>) {
    for Job { mut store, frame, writer } in jobs {
        let sealed = frame.sealed().expect("sealed by the writer");
        let appended = catch_unwind(AssertUnwindSafe(|| store.append(&sealed)));
        // One place, one frame at a time: never blocks. Nobody is there to take it once the writer
        // thread has panicked.
        let _ = outcomes.send(Outcome { store, frame, appended });
        writer.unpark();
    }
}
