use std::time::Duration;

use crate::engine::WaitStrategy;

/// How the writer passes rounds in which there was nothing to do.
#[derive(Debug)]
pub(in crate::engine) struct Idle {
    strategy: WaitStrategy,
    idle_rounds: u32,
}

impl Idle {
    pub(in crate::engine) fn new(strategy: WaitStrategy) -> Self {
        Self { strategy, idle_rounds: 0 }
    }

    /// There was something to do.
    pub(in crate::engine) fn reset(&mut self) {
        self.idle_rounds = 0;
    }

    /// Waits a little; longer the longer there has been nothing to do.
    pub(in crate::engine) fn wait(&mut self) {
        match self.strategy {
            WaitStrategy::Park { spins, yields, park_us } if self.idle_rounds >= spins => {
                if self.idle_rounds - spins < yields {
                    self.idle_rounds = self.idle_rounds.saturating_add(1);
                    std::thread::yield_now();
                } else {
                    // Commands unpark the thread; producers, who must not make a system call, do
                    // not.
                    std::thread::park_timeout(Duration::from_micros(park_us));
                }
            }
            WaitStrategy::Park { .. } => {
                self.idle_rounds = self.idle_rounds.saturating_add(1);
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
        let mut idle = Idle::new(WaitStrategy::Park { spins: 2, yields: 3, park_us: 20_000 });
        for rounds in 1..=5 {
            idle.wait();
            assert_eq!(idle.idle_rounds, rounds);
        }
        idle.wait();
        assert_eq!(idle.idle_rounds, 5);
        idle.reset();
        assert_eq!(idle.idle_rounds, 0);
    }
}
