use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;

use crate::engine::SubmitError;
use crate::engine::driver::Engine;
use crate::protocol::{HaltOutcome, HaltReason};

/// A ring of the default size takes a producer 150 µs to fill and a disk a millisecond to take in,
/// so that a nap of this length loses nothing. A much smaller ring may run empty meanwhile.
const NAP: Duration = Duration::from_micros(50);

/// Waits until `try_push` finds room, up to `halt_threshold`.
///
/// Spins, yields the core, then sleeps for [`NAP`] at a time: on a machine with few cores the
/// writer may be waiting for this one.
#[cold]
pub(super) fn wait_for_room(
    engine: &Engine,
    mut try_push: impl FnMut() -> bool,
) -> Result<(), SubmitError> {
    let shared = &engine.shared;
    let threshold = shared.config.halt_threshold;
    let began = Instant::now();
    let backoff = Backoff::new();
    loop {
        if shared.halt.is_halted() || !shared.gate.is_open() {
            return Err(SubmitError::Closed);
        }
        if try_push() {
            return Ok(());
        }
        let stalled_for = began.elapsed();
        if stalled_for >= threshold {
            let reason = HaltReason::BackpressureStall { stalled_for, threshold };
            // Of several submitters that stall at one time, one halts the run. The others find it
            // halted.
            return Err(match shared.halt.fire(reason) {
                HaltOutcome::Halted => SubmitError::HaltSignaled { stalled_for, threshold },
                HaltOutcome::AlreadyHalted => SubmitError::Closed,
            });
        }
        if backoff.is_completed() {
            // It may have gone to sleep before the ring filled up, for longer than this may wait.
            engine.wake_writer();
            std::thread::sleep(NAP);
        } else {
            backoff.snooze();
        }
    }
}
