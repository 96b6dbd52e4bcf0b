//! The side of a measurement's own process: it gets a specification and prints an outcome.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::measure;
use crate::outcome::Outcome;
use crate::spec::Spec;
use crate::system::System;

/// What a program with one system does: the last argument is a [`Spec`] in JSON; the
/// [`Outcome`](crate::Outcome) is printed in JSON.
pub fn child_main<S: System>() -> Result<()> {
    let last = std::env::args().nth_back(0).context("there is no specification")?;
    answer(&last, measure::run::<S>)
}

/// Measures by the specification `spec` and prints the outcome.
pub(crate) fn answer(spec: &str, measure: impl Fn(&Spec) -> Result<Outcome>) -> Result<()> {
    let spec: Spec =
        serde_json::from_str(spec).context("the last argument is not a specification in JSON")?;
    give_up_after(Duration::from_secs(spec.deadline_s));
    let outcome = measure(&spec)?;
    println!("{}", serde_json::to_string(&outcome).context("cannot write the outcome as JSON")?);
    Ok(())
}

/// Ends the process after `deadline`: a system that hangs must not keep the others from being
/// measured.
fn give_up_after(deadline: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(deadline);
        eprintln!("no end after {deadline:?}");
        std::process::exit(1);
    });
}
