use std::fmt;
use std::time::Duration;

use super::Parking;
use crate::sync::{Arc, AtomicBool, CachePadded, Mutex, Ordering};

/// Why a run stopped accepting messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HaltReason {
    /// A submitter, or a caller that waited for the writer, waited longer than allowed.
    #[error("the writer fell behind: waited {stalled_for:?}, allowed are {threshold:?}")]
    BackpressureStall {
        /// How long the caller had waited.
        stalled_for: Duration,
        /// The setting `halt_threshold`.
        threshold: Duration,
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
    /// The writer thread ended when it should not have.
    #[error("the writer thread died: {0}")]
    WriterDied(String),
}

/// The one-way switch that stops a run. The first reason wins and is kept.
///
/// Clones share one signal. It belongs to one run: the next run gets a new one.
#[derive(Clone, Default)]
pub struct HaltSignal(
    // Padded for the same reason as `RunGate`: every push reads it.
    Arc<CachePadded<Shared>>,
);

type Callback = Box<dyn Fn(&HaltReason) + Send + Sync>;

#[derive(Default)]
struct Shared {
    /// Set once, after `reason`.
    halted: AtomicBool,
    reason: Mutex<Option<HaltReason>>,
    callback: Option<Callback>,
    /// Whoever waits for the run's progress has to learn that there will be none.
    parking: Parking,
}

impl HaltSignal {
    /// A signal without a callback.
    pub fn new() -> Self {
        Self::default()
    }

    /// A signal that calls `callback` once, on the thread that halts the run, after the reason has
    /// become visible. It may run on the writer thread or inside a submitter's call, so it must not
    /// wait for either.
    pub fn with_callback(callback: impl Fn(&HaltReason) + Send + Sync + 'static) -> Self {
        let shared = Shared { callback: Some(Box::new(callback)), ..Shared::default() };
        Self(Arc::new(CachePadded::new(shared)))
    }

    /// Halts the run for `reason`, unless it is halted already. Says whether this call did it.
    ///
    /// Takes a lock, wakes everybody who waits for the run, and runs the callback.
    pub fn fire(&self, reason: HaltReason) -> bool {
        {
            let mut kept = self.lock_reason();
            if kept.is_some() {
                return false;
            }
            *kept = Some(reason.clone());
            // Release, within the lock: who sees the flag (Acquire in `is_halted`) sees the reason.
            self.0.halted.store(true, Ordering::Release);
        }
        self.0.parking.wake_all();
        if let Some(callback) = &self.0.callback {
            callback(&reason);
        }
        true
    }

    /// Whether the run is halted. Once true, [`reason`](Self::reason) is not empty. One load.
    #[inline]
    pub fn is_halted(&self) -> bool {
        // Acquire pairs with the Release in `fire`.
        self.0.halted.load(Ordering::Acquire)
    }

    /// Why the run halted. Takes a lock.
    pub fn reason(&self) -> Option<HaltReason> {
        self.lock_reason().clone()
    }

    /// Why the run halted, for whoever has been told that it did.
    pub(crate) fn reason_given(&self) -> HaltReason {
        self.reason().unwrap_or_else(|| HaltReason::WriterDied("without a reason".to_owned()))
    }

    /// Where this run's waiters wait.
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
