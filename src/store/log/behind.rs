//! Brings frames that are in the log into the run file, behind the back of who appends.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redb::WriteTransaction;

use super::LogConfig;
use crate::format::{FrameView, KeyRow, SealedFrame};
use crate::store::container::{Container, Pace};
use crate::store::tree_writer::{TreeFrame, TreeWriter};
use crate::store::{BackendFault, panic_text};
use crate::sync::{OwnProcess, yield_to_others};

/// The frames of a run that are durable in the log and not yet in the run file. Shared by who
/// appends, who reads, and the thread that writes them to the run file.
#[derive(Debug)]
pub(in crate::store) struct PendingFrames {
    state: Mutex<State>,
    /// There is more to do for the thread.
    wanted: Condvar,
    /// Held while frames are written to the run file.
    tree: Mutex<TreeWriter>,
    /// Not kept open by readers.
    container: Weak<Container>,
    /// So many bytes of the log are brought over before the interval ends.
    bytes_due: u64,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<PendingFrame>,
    /// When the first of them came.
    since: Option<Instant>,
    stops: bool,
    /// Set for good when the run file could not be written.
    failed: Option<Arc<BackendFault>>,
}

impl State {
    /// What the frames take of the log, in bytes.
    fn log_bytes(&self) -> u64 {
        match (self.frames.front(), self.frames.back()) {
            (Some(first), Some(last)) => last.log_place.end - first.log_place.start,
            _ => 0,
        }
    }
}

/// A frame that is in the log alone.
#[derive(Debug, Clone)]
pub(in crate::store) struct PendingFrame {
    pub(in crate::store) first_seq: u64,
    pub(in crate::store) last_seq: u64,
    pub(in crate::store) bytes: Bytes,
    names_before: u32,
    key_rows: Arc<[KeyRow]>,
    /// Where its record lies in the log. The place is needed while the frame is here.
    log_place: Range<u64>,
}

impl PendingFrame {
    fn of(frame: &SealedFrame<'_>, log_place: Range<u64>) -> Self {
        Self {
            first_seq: frame.first_seq(),
            last_seq: frame.last_seq(),
            bytes: Bytes::copy_from_slice(frame.bytes()),
            names_before: frame.names_before(),
            key_rows: frame.key_rows().into(),
            log_place,
        }
    }

    fn tree_frame(&self) -> TreeFrame<'_> {
        let names = FrameView::parse(&self.bytes).map(|view| view.names().collect());
        TreeFrame {
            first_seq: self.first_seq,
            bytes: &self.bytes,
            names_before: self.names_before,
            names: names.unwrap_or_default(),
            key_rows: &self.key_rows,
        }
    }

    /// The frame under its key.
    pub(in crate::store) fn keyed(&self) -> (u64, Bytes) {
        (self.first_seq, self.bytes.clone())
    }

    /// The names that it brought, with their numbers.
    pub(in crate::store) fn names(&self) -> Vec<(u32, String)> {
        let names = self.tree_frame().names.into_iter().map(str::to_owned);
        (self.names_before..).zip(names).collect()
    }

    /// The first of its index rows at or after `wanted` that has the same hash.
    pub(in crate::store) fn find_row(&self, wanted: KeyRow) -> Option<KeyRow> {
        let at = self.key_rows.partition_point(|row| *row < wanted);
        self.key_rows.get(at).copied().filter(|row| row.hash() == wanted.hash())
    }
}

impl PendingFrames {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the frames that are pending now, in order. Whoever looks for something first asks
    /// here and then the run file: so nothing on its way is missed.
    pub(in crate::store) fn look<T>(&self, look: impl FnOnce(&VecDeque<PendingFrame>) -> T) -> T {
        look(&self.lock().frames)
    }

    /// Brings every frame that is pending now into the run file, on this thread.
    pub(in crate::store) fn flush(&self) -> Result<(), Arc<BackendFault>> {
        self.flush_then(&[])
    }

    /// As [`flush`](Self::flush), with `more` behind these.
    fn flush_then(&self, more: &[SealedFrame<'_>]) -> Result<(), Arc<BackendFault>> {
        let mut tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = {
            let state = self.lock();
            if let Some(fault) = &state.failed {
                return Err(Arc::clone(fault));
            }
            state.frames.iter().cloned().collect::<Vec<_>>()
        };
        if pending.is_empty() && more.is_empty() {
            return Ok(());
        }
        let committed = self.commit(&mut tree, &pending, more).map_err(Arc::new);
        let mut state = self.lock();
        match &committed {
            Ok(()) => {
                state.frames.drain(..pending.len());
                state.since = (!state.frames.is_empty()).then(Instant::now);
            }
            Err(fault) => state.failed = Some(Arc::clone(fault)),
        }
        committed
    }

    fn commit(
        &self,
        tree: &mut TreeWriter,
        pending: &[PendingFrame],
        more: &[SealedFrame<'_>],
    ) -> Result<(), BackendFault> {
        let closed = || BackendFault::redb(redb::Error::DatabaseClosed);
        let container = self.container.upgrade().ok_or_else(closed)?;
        let pending = pending.iter().map(PendingFrame::tree_frame);
        let frames: Vec<TreeFrame<'_>> = pending.chain(more.iter().map(TreeFrame::of)).collect();
        let write = |transaction: &WriteTransaction| tree.write(transaction, &frames);
        catch_unwind(AssertUnwindSafe(|| container.commit(write))).unwrap_or_else(|panic| {
            let said = panic_text(&*panic).unwrap_or("a panic without a message");
            Err(BackendFault::corrupted(said.to_owned()))
        })
    }

    /// Waits until frames are due. False when the thread is to end.
    fn wait_until_due(&self, interval: Duration) -> bool {
        let mut state = self.lock();
        loop {
            if state.stops || state.failed.is_some() {
                return false;
            }
            let left =
                state.since.map(|since| (since + interval).checked_duration_since(Instant::now()));
            state = match left {
                Some(None) => return true,
                Some(Some(_)) if state.log_bytes() >= self.bytes_due => return true,
                Some(Some(left)) => {
                    self.wanted.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// The pending frames, and the thread that brings them over. Who appends has it.
#[derive(Debug)]
pub(in crate::store) struct Behind {
    pending: Arc<PendingFrames>,
    /// `None`: who appends does it.
    thread: Option<JoinHandle<()>>,
    process: OwnProcess,
}

impl Behind {
    /// Starts the thread, if there is to be one. It is named `tapline-tree`.
    pub(in crate::store) fn start(
        container: &Arc<Container>,
        log: LogConfig,
        pace: Pace,
    ) -> std::io::Result<Self> {
        let pending = Arc::new(PendingFrames {
            state: Mutex::default(),
            wanted: Condvar::new(),
            tree: Mutex::default(),
            container: Arc::downgrade(container),
            // Early enough for the log to have room while they are on their way. Without a thread,
            // when there is no more room.
            bytes_due: if log.interval.is_some() { log.bytes / 2 } else { u64::MAX },
        });
        let start = |interval| {
            let pending = Arc::clone(&pending);
            let thread = std::thread::Builder::new().name("tapline-tree".to_owned());
            thread.spawn(move || work(&pending, interval, &pace))
        };
        let thread = log.interval.map(start).transpose()?;
        Ok(Self { pending, thread, process: OwnProcess::this() })
    }

    pub(in crate::store) fn pending(&self) -> &Arc<PendingFrames> {
        &self.pending
    }

    /// Makes sure that the log is needed only from a position on for which `suffices` holds, or not
    /// at all. Fails if the run file could not be written.
    pub(in crate::store) fn make_room(
        &self,
        suffices: impl Fn(u64) -> bool,
    ) -> Result<(), Arc<BackendFault>> {
        let has_room = {
            let state = self.pending.lock();
            if let Some(fault) = &state.failed {
                return Err(Arc::clone(fault));
            }
            state.frames.front().is_none_or(|frame| suffices(frame.log_place.start))
        };
        if has_room { Ok(()) } else { self.pending.flush() }
    }

    /// Takes the frames of a commit, whose record in the log is at `place`.
    pub(in crate::store) fn take(&self, frames: &[SealedFrame<'_>], place: &Range<u64>) {
        let frames = frames.iter().map(|frame| PendingFrame::of(frame, place.clone()));
        let frames: Vec<PendingFrame> = frames.collect();
        let mut state = self.pending.lock();
        state.frames.extend(frames);
        let is_first = state.since.is_none();
        state.since.get_or_insert_with(Instant::now);
        if is_first || state.log_bytes() >= self.pending.bytes_due {
            self.pending.wanted.notify_one();
        }
    }

    /// Writes frames to the run file at once, behind what is pending.
    pub(in crate::store) fn commit(
        &self,
        frames: &[SealedFrame<'_>],
    ) -> Result<(), Arc<BackendFault>> {
        self.pending.flush_then(frames)
    }
}

/// The fault that several callers get.
pub(in crate::store) fn shared_fault(fault: Arc<BackendFault>) -> BackendFault {
    match &*fault {
        BackendFault::Disk(_) => BackendFault::Disk(Shared(fault).into()),
        BackendFault::Corrupted(_) => BackendFault::Corrupted(Shared(fault).into()),
        BackendFault::Other(_) => BackendFault::Other(Shared(fault).into()),
    }
}

/// Says what the source of a shared fault says.
#[derive(Debug)]
struct Shared(Arc<BackendFault>);

impl Shared {
    fn source_of_fault(&self) -> &(dyn std::error::Error + 'static) {
        match &*self.0 {
            BackendFault::Disk(source)
            | BackendFault::Corrupted(source)
            | BackendFault::Other(source) => &**source,
        }
    }
}

impl std::fmt::Display for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self.source_of_fault(), f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source_of_fault().source()
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        if self.process.is_forked() {
            // The thread is the parent's.
            std::mem::forget(self.thread.take());
            return;
        }
        self.pending.lock().stops = true;
        self.pending.wanted.notify_one();
        if let Some(thread) = self.thread.take() {
            // It catches panics of its own.
            let _ = thread.join();
        }
    }
}

/// The thread. Leaves pending frames at its end: the log has them.
///
/// It gives way to who appends, on the processor and on the disk: with both, one acknowledgement in
/// a hundred took 0.5 ms at 20 000/s, with either 1.1, with neither 2.0 (`docs/performance.md`).
fn work(pending: &PendingFrames, interval: Duration, pace: &Pace) {
    yield_to_others();
    while pending.wait_until_due(interval) {
        // An error is kept for who appends next.
        let _ = pace.gently(|| pending.flush());
    }
}
