use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Nanoseconds since the Unix epoch (UTC), as a `u64`: enough until the year 2554.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixNanos(u64);

impl UnixNanos {
    /// Wraps a count of nanoseconds since the Unix epoch.
    pub const fn new(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The count of nanoseconds since the Unix epoch.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The system's realtime clock. A clock set before 1970 reads as 0.
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<u64> for UnixNanos {
    fn from(nanos: u64) -> Self {
        Self(nanos)
    }
}

impl From<UnixNanos> for u64 {
    fn from(time: UnixNanos) -> Self {
        time.0
    }
}

impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
