use crate::model::{Clock, SimulatedClock};

/// Where a node runs, which decides its clock.
#[derive(Debug, Clone)]
pub enum Environment {
    /// On recorded data, with a clock that the node sets.
    Backtest(SimulatedClock),
    /// On live data with simulated orders, in real time.
    Sandbox,
    /// On live data with real orders, in real time.
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
