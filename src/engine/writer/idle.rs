use std::time::Duration;

use crate::engine::WaitStrategy;
use crate::sync::Naps;

/// How the writer passes rounds in which there was nothing to do.
#[derive(Debug)]
pub(in crate::engine) struct Idle {
    strategy: WaitStrategy,
    rounds: u32,
    naps: Naps,
}

impl Idle {
    pub(in crate::engine) fn new(strategy: WaitStrategy) -> Self {
        let (shortest, longest) = match strategy {
            WaitStrategy::Spin => (0, 0),
            WaitStrategy::Park { park_us, idle_park_us, .. } => (park_us, idle_park_us),
        };
        let naps = Naps::new(Duration::from_micros(shortest), Duration::from_micros(longest));
        Self { strategy, rounds: 0, naps }
    }

    /// There was something to do.
    pub(in crate::engine) fn reset(&mut self) {
        self.rounds = 0;
        self.naps.reset();
    }

    /// Waits a little; longer the longer there has been nothing to do.
    pub(in crate::engine) fn wait(&mut self) {
        match self.strategy {
            WaitStrategy::Park { spins, yields, .. } if self.rounds >= spins => {
                if self.rounds - spins < yields {
                    self.rounds = self.rounds.saturating_add(1);
                    std::thread::yield_now();
                } else {
                    // Commands and whoever waits for an entry unpark the thread; producers, who
                    // must not make a system call, do not.
                    std::thread::park_timeout(self.naps.next());
                }
            }
            WaitStrategy::Park { .. } => {
                self.rounds = self.rounds.saturating_add(1);
                std::hint::spin_loop();
            }
            WaitStrategy::Spin => std::hint::spin_loop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_spins_then_yields_then_sleeps() {
        let (park_us, idle_park_us) = (20_000, 20_000);
        let mut idle = Idle::new(WaitStrategy::Park { spins: 2, yields: 3, park_us, idle_park_us });
        for rounds in 1..=5 {
            idle.wait();
            assert_eq!(idle.rounds, rounds);
        }
        idle.wait();
        assert_eq!(idle.rounds, 5);
        idle.reset();
        assert_eq!(idle.rounds, 0);
    }
}
