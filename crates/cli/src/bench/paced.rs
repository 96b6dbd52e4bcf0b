//! One thread that captures at a given rate.
//!
//! All due times are fixed before the first message. A late message counts from its due time.
//! Otherwise a pause would hide how many messages it delayed. Halfway between two messages the
//! thread only looks at the clock: how late that is comes from the machine alone.

use std::time::{Duration, Instant};

use serde::Serialize;
use tapline::Captured;
use tapline::session::RunSession;

use super::{Bench, TOPIC};
use crate::error::CliError;
use crate::meter::{AckMeter, Meter, latency_histogram, nanos};
use crate::report::Percentiles;

#[derive(Serialize)]
pub(super) struct Paced {
    pub(super) rate: u64,
    /// Messages a second that were captured. It is below `rate` if the machine is too slow.
    pub(super) rate_kept: f64,
    pub(super) entries: u64,
    pub(super) idle_ns: Percentiles,
    pub(super) capture_ns: Percentiles,
    pub(super) ack_ns: Percentiles,
}

pub(super) fn measure(bench: &Bench, rate: u64, seconds: u64) -> Result<Paced, CliError> {
    let capture = |session: &RunSession| capture_at(bench, session, rate, seconds);
    bench.on_a_run(capture).map(|(paced, _bytes_file)| paced)
}

fn capture_at(
    bench: &Bench,
    session: &RunSession,
    rate: u64,
    seconds: u64,
) -> Result<Paced, CliError> {
    let mut adapter = session.adapter()?;
    let acks = AckMeter::start()?;
    let mut meter = Meter::new(adapter.durability(), acks.samples());
    let mut idle_ns = latency_histogram();
    let began = Instant::now();
    for nth in 0..rate * seconds {
        // Half an interval before the message. If that time has passed already, the last message
        // took too long.
        if let Some(idle) = wait_until(began + due_after(2 * nth, 2 * rate)) {
            idle_ns.saturating_record(nanos(idle));
        }
        let due = began + due_after(2 * nth + 1, 2 * rate);
        wait_until(due);
        if let Captured::Logged(ticket) = adapter.capture(TOPIC, &bench.message)? {
            meter.captured(due, ticket);
        }
        if bench.stop.is_set() {
            break;
        }
    }
    let elapsed = began.elapsed();
    let capture_ns = (&meter.capture_ns).into();
    // Drops the last sender of samples, so that the acknowledgements end.
    drop(meter);
    let entries = adapter.counts().captured();
    Ok(Paced {
        rate,
        rate_kept: entries as f64 / elapsed.as_secs_f64(),
        entries,
        idle_ns: (&idle_ns).into(),
        capture_ns,
        ack_ns: (&acks.finish()).into(),
    })
}

/// When event `nth` is due, at `rate` events a second.
fn due_after(nth: u64, rate: u64) -> Duration {
    const NANOS_PER_SECOND: u64 = 1_000_000_000;
    // In two parts: after some hours, the whole in nanoseconds would not fit into 64 bits.
    let nanos = (nth % rate) * NANOS_PER_SECOND / rate;
    Duration::from_secs(nth / rate) + Duration::from_nanos(nanos)
}

/// Waits in a loop that looks at the clock. Returns how late it ended; `None` if `due` had already
/// passed.
fn wait_until(due: Instant) -> Option<Duration> {
    let mut has_waited = false;
    loop {
        let now = Instant::now();
        if now >= due {
            return has_waited.then(|| now - due);
        }
        has_waited = true;
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_due_evenly_in_the_longest_bench() {
        assert_eq!(due_after(0, 3), Duration::ZERO);
        assert_eq!(due_after(1, 3), Duration::from_nanos(333_333_333));
        assert_eq!(due_after(3, 3), Duration::from_secs(1));
        let rate = 2 * 1_000_000;
        let last = due_after(rate * 3_600 - 1, rate);
        assert_eq!(last, Duration::from_secs(3_600) - Duration::from_nanos(500));
    }
}
