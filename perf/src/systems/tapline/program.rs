//! The `tapline` program end to end: file in, sealed run out. The program is linked into this one
//! and started under its own name.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::instruments::TickClock;
use crate::outcome::{Figure, Outcome};
use crate::spec::{Settings, Spec};

/// What a process is called that is to be the `tapline` program.
pub(crate) const NAME: &str = "tapline";

/// Of the program's report, see `docs/program.md`.
#[derive(Debug, Deserialize)]
struct Report {
    entries: u64,
    bytes_payload: u64,
    bytes_file: u64,
    bad_lines: u64,
    durable_per_s: f64,
    capture_ns: Percentiles,
    ack_ns: Percentiles,
}

#[derive(Debug, Deserialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
    p999: f64,
}

/// Records `input` and reports the program's own figures, and how long all of it took.
pub(in crate::systems) fn record(spec: &Spec, input: &Path) -> Result<Outcome> {
    let Settings { cores, .. } = &spec.settings;
    let producers = cores.producers.len();
    let exe = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(exe);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, NAME);
    command.arg("record").arg("--json").arg("--input").arg(input).arg("--dir").arg(&spec.dir);
    command.arg("--producers").arg(producers.to_string());
    if let Some(core) = cores.writer {
        command.arg("--writer-core").arg(core.to_string());
    }
    let clock = TickClock::new();
    let began = clock.now();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .context("cannot start tapline record")?;
    let ended = clock.now();
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "tapline record failed: {said}");
    let report: Report = serde_json::from_slice(&output.stdout)
        .context("tapline record printed something else than its report")?;
    ensure!(report.bad_lines == 0, "{} lines of {} are bad", report.bad_lines, input.display());

    let described = format!("tapline record, {producers} producer(s), parsing included");
    let mut outcome = Outcome::new(&spec.system, described);
    outcome.entries = report.entries;
    let read = fs::metadata(input).map_or(0, |metadata| metadata.len());
    outcome.set(Figure::ElapsedS, (ended - began) as f64 / 1e9);
    outcome.set(Figure::DurablePerS, report.durable_per_s);
    let payload = report.bytes_payload as f64;
    outcome.set(Figure::FileByPayload, report.bytes_file as f64 / payload);
    outcome.set(Figure::CaptureP50, report.capture_ns.p50);
    outcome.set(Figure::CaptureP99, report.capture_ns.p99);
    outcome.set(Figure::CaptureP999, report.capture_ns.p999);
    outcome.set(Figure::AckP50, report.ack_ns.p50);
    outcome.set(Figure::AckP99, report.ack_ns.p99);
    ensure!(read > 0 && report.entries > 0, "{} holds no messages", input.display());
    Ok(outcome)
}
