use std::sync::Barrier;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::instruments::{Placement, TickClock, pin};
use crate::spec::PATIENCE;
use crate::system::{Closed, Lane};

/// Lets `work` run for each lane, on a thread of its own on the producer's core, all beginning
/// together. `work` gets the number of its producer, from 0.
pub(super) fn on_their_cores<L: Lane, T: Send>(
    lanes: Vec<L>,
    cores: &Placement,
    work: impl Fn(u64, L) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let start = &Barrier::new(lanes.len());
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(lanes.into_iter().zip(&cores.producers))
            .map(|(number, (lane, core))| {
                scope.spawn(move || {
                    let pinned = pin(*core);
                    start.wait();
                    pinned?;
                    work(number, lane)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a producer's thread does not panic"))
            .collect()
    })
}

/// What became of the system and of its producers. What made the system fail says more than that a
/// push was refused.
pub(super) fn both<T>(closed: Result<Closed>, pushed: Result<Vec<T>>) -> Result<(Closed, Vec<T>)> {
    match (closed, pushed) {
        (Err(error), Err(push)) => Err(error.context(push)),
        (closed, pushed) => Ok((closed?, pushed?)),
    }
}

/// Waits until `pushed` messages of `lane` are durable. Sleeps in between: the writer may need the
/// core.
pub(super) fn wait_durable(lane: &impl Lane, pushed: u64, clock: &TickClock) -> Result<()> {
    const NAP: Duration = Duration::from_micros(20);
    let began = clock.now();
    while lane.durable() < pushed {
        if u128::from(clock.now() - began) > PATIENCE.as_nanos() {
            let durable = lane.durable();
            bail!("of {pushed} messages {durable} are durable {PATIENCE:?} after the last push");
        }
        std::thread::sleep(NAP);
    }
    Ok(())
}
