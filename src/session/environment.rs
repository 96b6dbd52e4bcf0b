use crate::model::{Clock, SimulatedClock};

/// What a node runs in, which decides its clock.
#[derive(Debug, Clone)]
pub enum Environment {
    /// Over recorded data, on a clock that the node sets.
    Backtest(SimulatedClock),
    /// Live data, simulated orders, real time.
    Sandbox,
    /// Live.
    Live,
}

impl Environment {
    /// The clock of this environment.
    pub fn clock(&self) -> Clock {
        match self {
            Self::Backtest(clock) => Clock::Simulated(clock.clone()),
            Self::Sandbox | Self::Live => Clock::Realtime,
        }
    }
}
