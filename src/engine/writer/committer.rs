//! Where sealed batches become durable: on the calling thread, or, for large ones, on a thread of
//! its own, so that the next batch is collected and hashed while the disk works on this one.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::Thread;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::batch::Batch;
use super::os_thread::pin;
use crate::engine::WriterConfig;
use crate::format::SealedFrame;
use crate::model::{Hash, UnixNanos};
use crate::store::{AppendError, EventStore};

/// Owns the store of a run. At most one batch is on its way into it at a time, so batches are
/// committed in the order they were sealed.
pub(in crate::engine) struct Committer {
    /// `None` while the committer thread has it.
    store: Option<Box<dyn EventStore>>,
    thread: Option<CommitterThread>,
}

/// What takes large batches.
struct CommitterThread {
    batch_bytes_min: usize,
    /// The batch that is not in use: it takes over from the one handed over. `None` meanwhile.
    spare: Option<Batch>,
    /// The thread ends when this is dropped.
    jobs: Sender<Job>,
    outcomes: Receiver<Outcome>,
}

/// The store and a sealed batch for it.
struct Job {
    store: Box<dyn EventStore>,
    batch: Batch,
    /// Who is to be woken when it is done.
    writer: Thread,
}

/// What came of a job, with what it took.
struct Outcome {
    store: Box<dyn EventStore>,
    batch: Batch,
    /// The outer error is a panic of the store.
    appended: std::thread::Result<Result<(), AppendError>>,
}

/// A batch that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) last_seq: u64,
    pub(super) ts_init_max: UnixNanos,
}

/// What came of the beginning of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// It is over: the batch is durable. `None` where there was no entry to commit.
    Durable(Option<Committed>),
    /// The committer thread has the batch; [`Committer::finish`] tells when it is durable.
    OnItsWay,
}

/// Whether to wait for the end of a commit that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    Yes,
}

impl Committer {
    /// Commits on the calling thread.
    pub(in crate::engine) fn new(store: Box<dyn EventStore>) -> Self {
        Self { store: Some(store), thread: None }
    }

    /// With a committer thread where the settings ask for one. It is named `tapline-committer`.
    pub(in crate::engine) fn start(
        store: Box<dyn EventStore>,
        config: &WriterConfig,
    ) -> std::io::Result<Self> {
        let batch_bytes_min = config.overlap_bytes_min;
        if batch_bytes_min > config.batch_bytes_max {
            return Ok(Self::new(store));
        }
        let (jobs, received) = bounded(1);
        let (finished, outcomes) = bounded(1);
        let core = config.committer_core;
        let thread = std::thread::Builder::new().name("tapline-committer".to_owned());
        thread.spawn(move || {
            pin("committer", core);
            work(&received, &finished);
        })?;
        let spare = Some(Batch::new(config.batch_limits(), 1, 0, Hash::ZERO));
        let thread = Some(CommitterThread { batch_bytes_min, spare, jobs, outcomes });
        Ok(Self { store: Some(store), thread })
    }

    /// Whether a batch is on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.store.is_none()
    }

    /// The store. Only while no batch is on its way.
    pub(super) fn store(&mut self) -> &mut dyn EventStore {
        &mut **self.store.as_mut().expect("asked for between two commits")
    }

    /// Commits a sealed batch, which then is the empty one that follows it. Only while no batch is
    /// on its way.
    pub(super) fn begin(&mut self, batch: &mut Batch) -> Result<Begun, AppendError> {
        if !batch.is_sealed() {
            return Ok(Begun::Durable(None));
        }
        if let Some(thread) = &mut self.thread
            && batch.sealed_bytes() >= thread.batch_bytes_min
        {
            let store = self.store.take().expect("one batch at a time");
            thread.hand_over(store, batch);
            return Ok(Begun::OnItsWay);
        }
        let frames = batch.sealed();
        self.store().append(&frames)?;
        let committed = Committed::of(&frames);
        batch.reset();
        Ok(Begun::Durable(committed))
    }

    /// The batch that was on its way, once it is durable. `None` if there is none, or, with
    /// [`Wait::No`], if it is still on its way.
    ///
    /// # Panics
    /// With what the store panicked with.
    pub(super) fn finish(&mut self, wait: Wait) -> Result<Option<Committed>, AppendError> {
        let (None, Some(thread)) = (&self.store, &mut self.thread) else {
            return Ok(None);
        };
        let Some(Outcome { store, batch, appended }) = thread.outcome(wait) else {
            return Ok(None);
        };
        self.store = Some(store);
        let committed = Committed::of(&batch.sealed());
        thread.spare = Some(batch);
        match appended {
            Ok(appended) => appended.map(|()| committed),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Drops the store, and the thread with it. Only while no batch is on its way.
    pub(super) fn let_go_of_store(&mut self) {
        self.thread = None;
        self.store = None;
    }
}

impl CommitterThread {
    fn hand_over(&mut self, store: Box<dyn EventStore>, batch: &mut Batch) {
        let mut next = self.spare.take().expect("in its place while no batch is on its way");
        next.follow(batch);
        let batch = std::mem::replace(batch, next);
        let job = Job { store, batch, writer: std::thread::current() };
        self.jobs.send(job).expect(IS_THERE);
        // Where both share a core the disk comes first: the committer thread soon waits for it and
        // gives the core back. Without this it waited for a whole round of collecting.
        std::thread::yield_now();
    }

    /// `None` is for [`Wait::No`] alone.
    fn outcome(&self, wait: Wait) -> Option<Outcome> {
        match wait {
            Wait::Yes => Some(self.outcomes.recv().expect(IS_THERE)),
            Wait::No => match self.outcomes.try_recv() {
                Err(TryRecvError::Empty) => None,
                outcome => Some(outcome.expect(IS_THERE)),
            },
        }
    }
}

/// If not, the writer thread dies of it, which halts the run.
const IS_THERE: &str = "the committer thread ends when its handle is dropped, not before";

impl Committed {
    /// Of the frames of a batch; `None` without any.
    fn of(frames: &[SealedFrame<'_>]) -> Option<Self> {
        let ts_init_max = frames.iter().map(SealedFrame::ts_init_max).max()?;
        frames.last().map(|last| Self { last_seq: last.last_seq(), ts_init_max })
    }
}

/// The committer thread.
fn work(jobs: &Receiver<Job>, outcomes: &Sender<Outcome>) {
    for Job { mut store, batch, writer } in jobs {
        let appended = catch_unwind(AssertUnwindSafe(|| store.append(&batch.sealed())));
        // One place, one batch at a time: never blocks. Nobody is there to take it once the writer
        // thread is gone.
        let _ = outcomes.send(Outcome { store, batch, appended });
        writer.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{RecordBuilder, RecordStamp, RecordTag};
    use crate::model::{EntryDraft, Hash, InstanceId, RunId, RunManifest};
    use crate::store::{MemoryBackend, MemoryDisk};

    /// A committer of an empty run.
    fn started(config: &WriterConfig) -> Committer {
        let mut store = MemoryBackend::new(MemoryDisk::default());
        let (instance, start): (InstanceId, _) = ("c".parse().expect("valid"), UnixNanos::new(1));
        store.open_run(RunManifest::new(instance, RunId::generate(start), start)).expect("new");
        Committer::start(Box::new(store), config).expect("a thread")
    }

    /// A sealed batch of one entry.
    fn batch(config: &WriterConfig) -> Batch {
        let mut batch = Batch::new(config.batch_limits(), 1, 0, Hash::ZERO);
        let (topic_id, type_id) = (batch.push_name("t"), batch.push_name("T"));
        let mut record = RecordBuilder::new(config.record_limits());
        record.fill(&EntryDraft::default());
        let ts_publish = UnixNanos::new(1);
        let tag = RecordTag { stamp: 0, ts_publish, topic_id, type_id };
        let stamp = RecordStamp { ts_publish, topic_id, type_id };
        batch.push(record.finish(tag).expect("small"), &[], &stamp);
        batch.seal();
        batch
    }

    #[test]
    fn a_store_that_is_at_work_is_waited_for() {
        let config = WriterConfig { overlap_bytes_min: 0, ..WriterConfig::default() };
        let mut committer = started(&config);
        assert_eq!(committer.begin(&mut batch(&config)).expect("memory"), Begun::OnItsWay);
        let committed = committer.finish(Wait::Yes).expect("memory");
        assert_eq!(committed.map(|committed| committed.last_seq), Some(1));
        assert!(!committer.is_busy());
        assert_eq!(committer.store().tail().expect("a run is open").watermark, 1);
    }

    #[test]
    fn a_batch_is_handed_over_from_the_size_that_is_set() {
        let config = WriterConfig::default();
        let mut batch = batch(&config);
        let overlap_bytes_min = batch.sealed_bytes();
        let config = WriterConfig { overlap_bytes_min, ..config };
        assert_eq!(started(&config).begin(&mut batch).expect("memory"), Begun::OnItsWay);

        let mut batch = self::batch(&config);
        let config = WriterConfig { overlap_bytes_min: overlap_bytes_min + 1, ..config };
        // The draft has no `ts_init`, so the entry has its `ts_publish`.
        let committed = Committed { last_seq: 1, ts_init_max: UnixNanos::new(1) };
        let begun = started(&config).begin(&mut batch).expect("memory");
        assert_eq!(begun, Begun::Durable(Some(committed)));
    }

    #[test]
    fn there_is_a_thread_only_for_batches_that_can_be_handed_over() {
        let default = WriterConfig::default();
        for (overlap_bytes_min, has_thread) in
            [(0, true), (default.batch_bytes_max, true), (default.batch_bytes_max + 1, false)]
        {
            let config = WriterConfig { overlap_bytes_min, ..default.clone() };
            assert_eq!(started(&config).thread.is_some(), has_thread, "{overlap_bytes_min}");
        }
    }
}
