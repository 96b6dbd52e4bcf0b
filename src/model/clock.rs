use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::UnixNanos;

/// The node's clock. `ts_publish` is read from it.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's realtime clock (live, sandbox).
    #[default]
    Realtime,
    /// A clock that stands still until it is set (backtest, deterministic simulation).
    Simulated(SimulatedClock),
}

impl Clock {
    /// The present time on this clock.
    pub fn now(&self) -> UnixNanos {
        match self {
            Self::Realtime => UnixNanos::now(),
            Self::Simulated(clock) => clock.now(),
        }
    }
}

/// A clock that is set by hand. All clones share the time. It may be set backwards: `ts_publish`
/// explains an entry and never orders it.
#[derive(Debug, Clone, Default)]
pub struct SimulatedClock(Arc<AtomicU64>);

impl SimulatedClock {
    /// A clock that shows `start` until it is set.
    pub fn new(start: UnixNanos) -> Self {
        Self(Arc::new(AtomicU64::new(start.as_u64())))
    }

    /// The time this clock shows.
    pub fn now(&self) -> UnixNanos {
        // Relaxed: the value stands alone. Nothing is published through it.
        UnixNanos::new(self.0.load(Ordering::Relaxed))
    }

    /// Sets the time, for every clone of this clock.
    pub fn set(&self, now: UnixNanos) {
        self.0.store(now.as_u64(), Ordering::Relaxed);
    }
}
