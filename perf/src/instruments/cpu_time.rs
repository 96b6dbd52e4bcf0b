//! Processor time used; `None` on systems that do not tell.

use std::time::Duration;

/// What has been used between two readings.
pub(crate) fn between(before: Option<Duration>, after: Option<Duration>) -> Option<Duration> {
    after?.checked_sub(before?)
}

/// Time all threads of this process have been running.
pub(crate) fn of_process() -> Option<Duration> {
    imp::of_process()
}

/// Time the calling thread has been running.
pub(crate) fn of_thread() -> Option<Duration> {
    imp::of_thread()
}

#[cfg(target_os = "linux")]
mod imp {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn of_process() -> Option<Duration> {
        clock_gettime(ClockId::ProcessCPUTime).try_into().ok()
    }

    pub(super) fn of_thread() -> Option<Duration> {
        clock_gettime(ClockId::ThreadCPUTime).try_into().ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::time::Duration;

    pub(super) fn of_process() -> Option<Duration> {
        None
    }

    pub(super) fn of_thread() -> Option<Duration> {
        None
    }
}
