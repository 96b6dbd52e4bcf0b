//! The measurements, the same for every system.

mod ack;
mod check;
mod disk;
mod idle;
mod paced;
pub(crate) mod pacing;
pub(crate) mod payload;
mod points;
mod producers;
mod reading;
mod saturated;
#[cfg(all(test, feature = "peers"))]
mod tests;
mod timeline;
mod writing;

use anyhow::{Result, bail};

use self::points::Bound;
use crate::outcome::Outcome;
use crate::spec::{Measure, Spec};
use crate::system::System;

/// Makes the measurement of `spec` in this process.
pub(crate) fn run<S: System>(spec: &Spec) -> Result<Outcome> {
    let mut outcome = Outcome::new(&spec.system, S::describe(&spec.settings));
    match spec.measure {
        Measure::Saturated { stop } => saturated::run::<S>(spec, stop, &mut outcome)?,
        Measure::Paced { .. } => paced::run::<S>(spec, &mut outcome)?,
        Measure::Reading { stop } => reading::run::<S>(spec, stop, &mut outcome)?,
        Measure::Points { stop, reads, seconds } => {
            points::run::<S>(spec, stop, Bound { reads, seconds }, &mut outcome)?;
        }
        Measure::Recovery { .. } => bail!("{} is not recovered by the laboratory", spec.system),
        Measure::Record { .. } => bail!("{} is not a program that records files", spec.system),
    }
    if spec.check {
        check::everything_is_stored::<S>(spec, &outcome)?;
    }
    Ok(outcome)
}
