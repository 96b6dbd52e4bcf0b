//! What measures: clocks, counters, histograms, and where things run.

mod clock;
mod cores;
pub(crate) mod cpu_time;
mod histogram;
#[cfg(feature = "peers")]
mod machine;
pub(crate) mod memory;
#[cfg(feature = "peers")]
mod placement;

pub(crate) use clock::TickClock;
pub use cores::{Placement, pin};
pub use histogram::Latencies;
#[cfg(feature = "peers")]
pub(crate) use histogram::Percentiles;
#[cfg(feature = "peers")]
pub(crate) use machine::Machine;
#[cfg(feature = "peers")]
pub(crate) use placement::CoreChoice;
