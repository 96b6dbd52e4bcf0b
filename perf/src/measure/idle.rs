//! What the machine does to a loop that only reads the clock: the background against which
//! latencies are to be read (after Gil Tene's `jHiccup`).

use anyhow::Result;

use super::pacing::{Schedule, wait_until};
use crate::instruments::{Latencies, Placement, TickClock, pin};

/// Lets every producer's core run through the schedule for `seconds` without sending anything, and
/// returns by how much each message would have been late.
pub(crate) fn measure(
    clock: &TickClock,
    rate: u64,
    seconds: f64,
    placement: &Placement,
) -> Result<Latencies> {
    let producers = placement.producers.len() as u64;
    let start = clock.now();
    let mut all = Latencies::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(&placement.producers)
            .map(|(producer, core)| {
                let schedule = Schedule { rate, producers, producer, start };
                scope.spawn(move || {
                    pin(*core)?;
                    Ok(pass(clock, schedule, seconds))
                })
            })
            .collect();
        for thread in threads {
            let delays: Result<_> = thread.join().expect("the idle loop does not panic");
            all.merge(&delays?);
        }
        Ok(all)
    })
}

fn pass(clock: &TickClock, schedule: Schedule, seconds: f64) -> Latencies {
    let mut delays = Latencies::new();
    for message in 0..schedule.messages_in(seconds) {
        let due = schedule.due(message);
        let late = wait_until(clock, due, |_| ());
        delays.record(late.unwrap_or_else(|| clock.now() - due));
    }
    delays
}
