//! One measurement, one process: no system warms another's allocator, and memory and processor time
//! are one system's.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::measure;
use crate::outcome::Outcome;
use crate::spec::Spec;
use crate::system::System;

/// What a program with one system does: the first argument, or after [`SUBCOMMAND`] the second, is a
/// [`Spec`] in JSON; its [`Outcome`] is printed in JSON.
pub fn child_main<S: System>() -> Result<()> {
    let last = std::env::args().nth_back(0).context("there is no specification")?;
    answer(&last, measure::run::<S>)
}

/// Measures by the specification `spec` and prints the outcome.
pub(crate) fn answer(spec: &str, measure: impl Fn(&Spec) -> Result<Outcome>) -> Result<()> {
    let spec: Spec =
        serde_json::from_str(spec).context("the last argument is not a specification in JSON")?;
    let outcome = measure(&spec)?;
    println!("{}", serde_json::to_string(&outcome).context("cannot write the outcome as JSON")?);
    Ok(())
}

/// The hidden subcommand that makes one measurement.
pub(crate) const SUBCOMMAND: &str = "measure";

/// Lets the program `exe` make the measurement and returns what it found.
#[cfg(feature = "peers")]
pub(crate) fn run(exe: &Path, spec: &Spec) -> Result<Outcome> {
    let text = serde_json::to_string(spec).context("cannot write the specification as JSON")?;
    let output = Command::new(exe)
        .args([SUBCOMMAND, &text])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("cannot start {}", exe.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed: {}", spec.system, said.trim());
    eprint!("{said}");
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{} printed something else than an outcome", exe.display()))
}
