//! What the boot after a crash takes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tapline::read::Verifier;
use tapline::runs::{list_runs, recover_predecessors};
use tapline::store::open_sealed_file;
use tapline::{InstanceId, RunStatus};

use super::{INSTANCE, Tapline};
use crate::instruments::{TickClock, memory, pin};
use crate::measure::payload::{message, payload};
use crate::outcome::{Figure, Outcome};
use crate::spec::{PATIENCE, Spec};
use crate::system::{Lane, System};

/// Leaves a run behind in a file of about `bytes_file`, and seals it as the next boot would.
pub(in crate::systems) fn measure(spec: &Spec, bytes_file: u64) -> Result<Outcome> {
    let (written, crashed) = (spec.dir.join("written"), spec.dir.join("crashed"));
    let entries = leave_behind(spec, bytes_file, &written, &crashed)?;
    // One core for all of it: the threads of the verifier inherit it.
    pin(spec.settings.cores.writer)?;
    memory::reset_peak();
    let clock = TickClock::new();
    let instance: InstanceId = INSTANCE.parse().context("the instance's name")?;
    let file = run_file(&crashed, &instance)?;
    let file_mb = fs::metadata(&file)?.len() as f64 / 1e6;

    let began = clock.now();
    let swept = recover_predecessors(&crashed, &instance)?;
    let recovered = clock.now();
    let statuses: Vec<_> = swept.recovered.iter().map(|run| (run.status, run.watermark)).collect();
    let expected = [(RunStatus::CrashedRecovered, entries)];
    ensure!(statuses == expected, "recovered {statuses:?} instead of {expected:?}");

    let verifying = clock.now();
    let report = Verifier::new(open_sealed_file(&file)?).run(|_| ());
    let verified = clock.now();
    ensure!(report.is_clean(), "findings in a recovered run: {:?}", report.findings);

    let recover_s = (recovered - began) as f64 / 1e9;
    let mut outcome = Outcome::new(&spec.system, Tapline::describe(&spec.settings));
    outcome.entries = entries;
    outcome.set(Figure::FileMb, file_mb);
    outcome.set(Figure::RecoverS, recover_s);
    outcome.set(Figure::RecoverGbPerS, file_mb / 1e3 / recover_s);
    outcome.set(Figure::VerifyS, (verified - verifying) as f64 / 1e9);
    outcome.set(Figure::PeakMemoryMb, memory::peak_mb());
    Ok(outcome)
}

/// Records entries, and copies the file while it is open: what a crash leaves.
fn leave_behind(spec: &Spec, bytes_file: u64, written: &Path, crashed: &Path) -> Result<u64> {
    // Header, hash and offset beside the record's lines, and a little for redb's pages.
    let entry_bytes = spec.settings.record_bytes() as u64 + 38;
    let entries = (bytes_file / entry_bytes).max(1);
    fs::create_dir_all(written)?;
    let (system, mut lanes) = Tapline::open(written, &spec.settings)?;
    let mut lane = lanes.pop().context("there is a producer")?;
    let payload = payload(&spec.settings);
    for number in 0..entries {
        lane.push(&message(&payload, number, None))?;
    }
    system.writer.flush(PATIENCE)?;
    let instance: InstanceId = INSTANCE.parse().context("the instance's name")?;
    let from = run_file(written, &instance)?;
    let to = crashed.join(INSTANCE).join(from.file_name().context("a run file has a name")?);
    fs::create_dir_all(to.parent().context("a run file is in a folder")?)?;
    fs::copy(&from, &to)?;
    fs::File::open(&to)?.sync_all()?;
    drop((lane, lanes, system));
    fs::remove_dir_all(written)?;
    Ok(entries)
}

fn run_file(dir: &Path, instance: &InstanceId) -> Result<PathBuf> {
    let runs = list_runs(dir, instance)?;
    Ok(runs.into_iter().next().context("there is no run file")?.path)
}
