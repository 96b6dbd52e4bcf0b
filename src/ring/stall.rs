use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;
use rtrb::Producer as RingProducer;

use super::SubmitError;
use crate::format::Line;
use crate::protocol::HaltReason;
use crate::writer::Connection;

/// A ring of the default size takes a producer 150 µs to fill and a disk a millisecond to take in, so
/// that a nap of this length loses nothing. A much smaller ring may run empty meanwhile.
const NAP: Duration = Duration::from_micros(50);

/// Pushes into a ring that has been found full: waits for room, up to `halt_threshold`.
///
/// Spins, yields the core, then sleeps for [`NAP`] at a time: on a machine with few cores the writer may be
/// waiting for this one.
#[cold]
pub(super) fn push_when_room(
    ring: &mut RingProducer<Line>,
    record: &[Line],
    connection: &Connection,
) -> Result<(), SubmitError> {
    let threshold = connection.config.halt_threshold;
    let began = Instant::now();
    let backoff = Backoff::new();
    loop {
        if connection.halt.is_halted() || !connection.gate.is_open() {
            return Err(SubmitError::Closed);
        }
        if ring.push_entire_slice(record).is_ok() {
            return Ok(());
        }
        let stalled_for = began.elapsed();
        if stalled_for >= threshold {
            let reason = HaltReason::BackpressureStall { stalled_for, threshold };
            // Of several submitters that stall at one time, one halts the run; the others find it
            // halted.
            return Err(if connection.halt.fire(reason) {
                SubmitError::HaltSignaled { stalled_for, threshold }
            } else {
                SubmitError::Closed
            });
        }
        if backoff.is_completed() {
            // It may have gone to sleep before the ring filled up, for longer than this may wait.
            connection.wake_writer();
            std::thread::sleep(NAP);
        } else {
            backoff.snooze();
        }
    }
}
