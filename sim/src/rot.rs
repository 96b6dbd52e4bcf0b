//! Bits that flip on a disk: a workload is played once, and what it leaves is booted from again and again, each time with
//! another bit of the run's file, or of its sidecar's, flipped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fastrand::Rng;
use tapline::RunStatus;
use tapline::lifecycle::{SweepReport, recover_predecessors};
use tapline::read::Verifier;
use tapline::store::{open_sealed_file, run_path};

use crate::campaign::Counts;
use crate::crash::{Scratch, look_at_log};
use crate::sidecar::{SidecarState, sidecar_path};
use crate::stores::Stores;
use crate::support::{instance, manifest};
use crate::tape::Tape;
use crate::volume::{Files, Loss, SECTOR_BYTES, Volume};
use crate::workload::{Expected, Workload};

/// Bits that are flipped of each.
const FLIPS: usize = 60;

/// How the file was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Its process died.
    Open,
    /// Its process closed it, sealed or not.
    Closed,
}

/// Flips bits of what the workload of `seed` leaves.
pub(crate) fn run(seed: u64, scratch: &Scratch, counts: &mut Counts) -> Result<(), String> {
    let workload = Workload::new(seed);
    let expected = workload.expected();
    let mut lot = Rng::with_seed(seed);
    let tape = Tape::default();
    scratch.restore(&Files::new());
    let mut stores = Stores::on_disk(&scratch.base_dir(), workload.disk_mode, &tape);
    workload.play(&mut stores, |_, _| ())?;
    let mut volume = Volume::default();
    let mut files_now = |lot: &mut Rng| {
        tape.take().iter().for_each(|step| volume.apply(step, lot));
        volume.after(Loss::Nothing, lot)
    };
    let open = files_now(&mut lot);
    drop(stores);
    let closed = files_now(&mut lot);
    for (left, files) in [(Left::Open, open), (Left::Closed, closed)] {
        for _ in 0..FLIPS {
            let mut files = files.clone();
            let paths: Vec<&PathBuf> = files.keys().collect();
            let path = paths[lot.usize(..paths.len())].clone();
            let bit = flip(files.get_mut(&path).expect("it is one of them"), &mut lot);
            scratch.restore(&files);
            let swept = recover_predecessors(&scratch.base_dir(), &instance());
            let swept = swept.map_err(|error| error.to_string())?;
            let is_told = if path == path_of_run(scratch) {
                is_told_of_run(&path, &swept, &expected, left)
            } else {
                is_told_of_sidecar(&path_of_run(scratch), &swept, &expected, left)
            };
            counts.flips += 1;
            counts.flips_told += u64::from(is_told.map_err(|error| {
                format!("left {left:?}, bit {bit} of {} flipped: {error}", path.display())
            })?);
        }
    }
    Ok(())
}

fn path_of_run(scratch: &Scratch) -> PathBuf {
    run_path(&scratch.base_dir(), &instance(), manifest(1).run_id)
}

/// Flips a bit in a sector that has anything but zeros.
fn flip(file: &mut [u8], lot: &mut Rng) -> usize {
    let has_content = |(_, sector): &(usize, &[u8])| sector.iter().any(|byte| *byte != 0);
    let written = file.chunks(SECTOR_BYTES).enumerate().filter(has_content);
    let written: Vec<usize> = written.map(|(number, _)| number).collect();
    let sector = written[lot.usize(..written.len())];
    let bit = (sector * SECTOR_BYTES * 8 + lot.usize(..SECTOR_BYTES * 8)) % (file.len() * 8);
    file[bit / 8] ^= 1 << (bit % 8);
    bit
}

fn is_left_alone(path: &Path, swept: &SweepReport) -> bool {
    swept.skipped.iter().any(|skipped| skipped.path == path)
}

/// Whether somebody is told of the bit; where nobody is, all has to be as if it had not flipped.
fn is_told_of_run(
    path: &Path,
    swept: &SweepReport,
    expected: &Expected,
    left: Left,
) -> Result<bool, String> {
    let sealed_by_boot = swept.recovered.first().map(|run| run.status);
    if is_left_alone(path, swept) || sealed_by_boot == Some(RunStatus::Quarantined) {
        return Ok(true);
    }
    match verify(path) {
        Ok(()) => {}
        // Recovery has looked at all of it, and called it sound.
        Err(error) if sealed_by_boot.is_some() => {
            return Err(format!("sealed as {sealed_by_boot:?}, and then: {error}"));
        }
        Err(_told) => return Ok(true),
    }
    let found = look_at_log(path, expected)?;
    let [last, before] = expected.last_two_logs();
    if found.root != last.root {
        // The root that was printed at the seal tells.
        return Ok(true);
    }
    // A commit that is damaged in a file that was not closed is one that was torn, for all that redb can know.
    let may_be_rolled_back = left == Left::Open && last.root.is_none();
    if found == last || (may_be_rolled_back && found == before) {
        return Ok(false);
    }
    Err(format!("there is {found:?}, and nobody is told; it was {last:?}"))
}

/// The same of a sidecar, which does nothing to its run.
fn is_told_of_sidecar(
    run: &Path,
    swept: &SweepReport,
    expected: &Expected,
    left: Left,
) -> Result<bool, String> {
    let [last, _] = expected.last_two_logs();
    let log = look_at_log(run, expected)?;
    if log != last {
        return Err(format!("the run is {log:?} now; it was {last:?}"));
    }
    if is_left_alone(&sidecar_path(run), swept) {
        return Ok(true);
    }
    let last = expected.last_sidecar().ok_or("there is a sidecar that was not recorded")?;
    match unless_it_panics(|| SidecarState::of_sealed(run, log.watermark, expected)) {
        Err(_told) if last.is_sealed => Ok(true),
        Ok(Some(found)) if found == last => Ok(false),
        Ok(Some(found)) if left == Left::Open && found.is_before(&last) => Ok(false),
        found => Err(format!("the sidecar is {found:?}, and nobody is told; it was {last:?}")),
    }
}

/// As `tapline verify` does it, to which a library's panic is a finding.
fn verify(path: &Path) -> Result<(), String> {
    unless_it_panics(|| {
        let source = open_sealed_file(path).map_err(|error| error.to_string())?;
        let report = Verifier::new(source).run(|_| {});
        if report.is_clean() { Ok(()) } else { Err(format!("{:?}", report.findings)) }
    })
}

fn unless_it_panics<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let read = catch_unwind(AssertUnwindSafe(read));
    read.unwrap_or_else(|_| Err("it panicked".to_owned()))
}
