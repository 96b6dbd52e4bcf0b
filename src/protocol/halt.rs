use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::Parking;
use crate::sync::{Arc, AtomicBool, CachePadded, Mutex, Ordering};

/// Why a run stopped accepting messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HaltReason {
    /// A submitter that met a full ring, or a caller that asked for an anchor, waited longer than
    /// allowed.
    #[error("the writer fell behind: waited {stalled_for:?}, allowed are {threshold:?}")]
    BackpressureStall {
        /// How long the caller had waited.
        stalled_for: Duration,
        /// The setting `halt_threshold`.
        threshold: Duration,
    },
    /// Whoever opened or closed the run waited longer than allowed for the writer.
    #[error("the writer gave no answer within {waited:?} (setting {setting})")]
    NoAnswer {
        /// How long the caller had waited.
        waited: Duration,
        /// What limits the wait: `run_started_timeout_ms` or `close_timeout_ms`.
        setting: &'static str,
    },
    /// The disk is full, or a limit on file size is reached.
    #[error("the disk refused a write: {0}")]
    BackendDisk(String),
    /// The store found its own file damaged.
    #[error("the run file is damaged: {0}")]
    BackendCorrupted(String),
    /// The store failed in another way.
    #[error("the store failed: {0}")]
    BackendError(String),
    /// The writer panicked.
    #[error("the writer died: {0}")]
    WriterDied(String),
    /// A message reached a tap of the run after the run was closed: it cannot be recorded.
    #[error("a message reached the tap after the run was closed; take the tap off the bus first")]
    LateMessage,
}

/// What became of a request to halt a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltOutcome {
    /// This request halted the run.
    Halted,
    /// The run was halted before. The first reason is kept.
    AlreadyHalted,
}

/// The one-way switch that stops a run. The first reason wins and is kept.
///
/// Clones share one signal. It belongs to one run: the next run gets a new one.
#[derive(Clone, Default)]
pub struct HaltSignal(
    // Padded for the same reason as `RunGate`: every push reads it.
    Arc<CachePadded<State>>,
);

type Callback = Box<dyn Fn(&HaltReason) + Send + Sync>;

#[derive(Default)]
struct State {
    /// Set once, after `reason`.
    halted: AtomicBool,
    reason: Mutex<Option<HaltReason>>,
    callback: Option<Callback>,
    /// Set when the callback begins to run.
    told: AtomicBool,
    /// Where this run's waiters sleep. A halt wakes them, because there will be no more progress.
    parking: Parking,
}

impl HaltSignal {
    /// A signal without a callback.
    pub fn new() -> Self {
        Self::default()
    }

    /// A signal that calls `callback` once, after the reason has become visible.
    ///
    /// The callback runs on the thread that halts the run: a submitter's, or the writer's. The
    /// engine holds no lock meanwhile, and the callback may call any function of the engine. A call
    /// that waits for the run's progress returns the halt at once. On the writer's own thread,
    /// closing or dropping the writer does not wait for that thread. A panic of the callback ends
    /// with the callback and does not unwind into the engine.
    pub fn with_callback(callback: impl Fn(&HaltReason) + Send + Sync + 'static) -> Self {
        let state = State { callback: Some(Box::new(callback)), ..State::default() };
        Self(Arc::new(CachePadded::new(state)))
    }

    /// Halts the run for `reason`, unless it is halted already. If this call halted it, runs the
    /// callback. Takes a short lock and wakes everybody who waits for the run.
    pub fn fire(&self, reason: HaltReason) -> HaltOutcome {
        let outcome = self.set(reason);
        if outcome == HaltOutcome::Halted {
            self.tell();
        }
        outcome
    }

    /// Halts the run as [`fire`](Self::fire) does, but leaves the callback to a later
    /// [`tell`](Self::tell). For a caller that holds a lock.
    pub(crate) fn set(&self, reason: HaltReason) -> HaltOutcome {
        {
            let mut kept = self.lock_reason();
            if kept.is_some() {
                return HaltOutcome::AlreadyHalted;
            }
            *kept = Some(reason);
            // Release, within the lock: who sees the flag (Acquire in `is_halted`) also sees the
            // reason.
            self.0.halted.store(true, Ordering::Release);
        }
        self.0.parking.wake_all();
        HaltOutcome::Halted
    }

    /// Runs the callback if the run is halted and nobody has run it yet. The caller holds no lock.
    pub(crate) fn tell(&self) {
        if self.is_halted()
            && let Some(callback) = &self.0.callback
            && let Some(reason) = self.reason()
            // Relaxed: the flag only counts. The reason was read under its lock.
            && !self.0.told.swap(true, Ordering::Relaxed)
        {
            // The panic hook has reported it. The run stays halted.
            let _ = catch_unwind(AssertUnwindSafe(|| callback(&reason)));
        }
    }

    /// True once the run is halted. Then [`reason`](Self::reason) is not empty. Costs one load.
    #[inline]
    pub fn is_halted(&self) -> bool {
        // Acquire pairs with the Release in `set`.
        self.0.halted.load(Ordering::Acquire)
    }

    /// Why the run halted. Takes a lock.
    pub fn reason(&self) -> Option<HaltReason> {
        self.lock_reason().clone()
    }

    /// Why the run halted, for a caller that knows that it is halted.
    pub(crate) fn reason_given(&self) -> HaltReason {
        self.reason().unwrap_or_else(|| HaltReason::WriterDied("without a reason".to_owned()))
    }

    /// Where this run's waiters sleep.
    pub(crate) fn parking(&self) -> &Parking {
        &self.0.parking
    }

    fn lock_reason(&self) -> crate::sync::MutexGuard<'_, Option<HaltReason>> {
        self.0.reason.lock().expect("no holder of this lock can panic")
    }
}

impl fmt::Debug for HaltSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HaltSignal").field("reason", &self.reason()).finish_non_exhaustive()
    }
}
