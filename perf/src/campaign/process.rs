//! One measurement, one process: no system warms another's allocator, and memory and processor time
//! are one system's.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::outcome::Outcome;
use crate::spec::Spec;

/// The hidden subcommand that makes one measurement.
pub(crate) const SUBCOMMAND: &str = "measure";

/// Lets the program `exe` make the measurement and returns what it found.
pub(crate) fn run(exe: &Path, spec: &Spec) -> Result<Outcome> {
    let text = serde_json::to_string(spec).context("cannot write the specification as JSON")?;
    let output = Command::new(exe)
        .args([SUBCOMMAND, &text])
        .env("RUST_LIB_BACKTRACE", "0")
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
