//! Bits that flip on a disk. A workload is played once. What it leaves is booted again and again,
//! each time with another bit of the run's file or its sidecar's flipped.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fastrand::Rng;
use tapline::RunStatus;
use tapline::internals::{error_chain, run_path};
use tapline::read::Verifier;
use tapline::runs::{SweepReport, recover_predecessors};
use tapline::store::open_sealed_file;

use crate::campaign::Counts;
use crate::crash::{Scratch, look_at_log};
use crate::sidecar::SidecarState;
use crate::stores::Stores;
use crate::support::{instance, manifest};
use crate::tape::Tape;
use crate::volume::{Files, Loss, SECTOR_BYTES, Volume};
use crate::workload::{Expected, State, Workload};

/// How many bits are flipped in each file.
const FLIPS: usize = 60;

/// redb's header. No checksum covers it as a whole.
const HEADER_BYTES: usize = 4096;

/// How the process left the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// It died.
    Open,
    /// It closed the file, sealed or not.
    Closed,
    /// It closed the file. Another process opened it and died before it did anything else.
    Reopened,
}

/// Flips bits in what the workload of `seed` leaves.
pub(crate) fn run(seed: u64, scratch: &Scratch, counts: &mut Counts) -> Result<(), String> {
    let workload = Workload::new(seed);
    let expected = workload.expected();
    let mut lot = Rng::with_seed(seed);
    let tape = Tape::default();
    scratch.restore(&Files::new());
    let mut stores = Stores::on_disk(&scratch.base_dir(), workload.disk_mode, None, &tape);
    workload.play(&mut stores, |_, _| ())?;
    let mut volume = Volume::default();
    let mut files_now = |lot: &mut Rng| {
        for step in tape.take() {
            volume.apply(&step, lot);
        }
        volume.after(Loss::Nothing, lot)
    };
    let open = files_now(&mut lot);
    drop(stores);
    let closed = files_now(&mut lot);
    let reopened = reopened(closed.clone());
    for (left, files) in [(Left::Open, open), (Left::Closed, closed), (Left::Reopened, reopened)] {
        for _ in 0..FLIPS {
            let mut files = files.clone();
            let paths: Vec<&PathBuf> = files.keys().collect();
            let path = paths[lot.usize(..paths.len())].clone();
            let bit = flip(files.get_mut(&path).expect("it is one of them"), &mut lot);
            scratch.restore(&files);
            let is_told = unless_it_panics(|| {
                let swept = recover_predecessors(&scratch.base_dir(), &instance());
                let swept = swept.map_err(|error| error_chain(&error))?;
                if is_left_alone(&path, &swept) {
                    // A file that was left open cannot be examined before redb has repaired it. A
                    // flip in the header may make a closed file look open.
                    let stays = left != Left::Open && bit >= 8 * HEADER_BYTES;
                    return match fs::read(&path) {
                        Ok(now) if stays && now != files[&path] => Err("it was changed".to_owned()),
                        _ => Ok(true),
                    };
                }
                let run = path_of_run(scratch);
                if path == run {
                    is_told_of_run(&path, &swept, &expected, left)
                } else {
                    is_told_of_sidecar(&run, &expected, left)
                }
            });
            counts.flips += 1;
            counts.flips_told += u64::from(is_told.map_err(|error| {
                format!("left {left:?}, bit {bit} of {} flipped: {error}", path.display())
            })?);
        }
    }
    Ok(())
}

/// Marks the files as open in redb's headers.
fn reopened(mut files: Files) -> Files {
    const FLAGS_AT: usize = 9;
    const RECOVERY_REQUIRED: u8 = 0b10;
    for file in files.values_mut() {
        file[FLAGS_AT] |= RECOVERY_REQUIRED;
    }
    files
}

fn path_of_run(scratch: &Scratch) -> PathBuf {
    run_path(&scratch.base_dir(), &instance(), manifest(1).run_id)
}

/// Flips a bit in a sector that is not all zeros.
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

/// True if the flip is reported. If it is not, everything must be as if it had not happened.
fn is_told_of_run(
    path: &Path,
    swept: &SweepReport,
    expected: &Expected,
    left: Left,
) -> Result<bool, String> {
    let [last, before] = expected.last_two_logs();
    let sealed_by_boot = swept.recovered.first().map(|run| run.status);
    if sealed_by_boot == Some(RunStatus::Quarantined) {
        return Ok(true);
    }
    match verify(path) {
        Ok(()) => {}
        Err(_told) if sealed_by_boot.is_none() && last.root.is_some() => return Ok(true),
        // The boot has read all of it and called it sound, or it has done and reported nothing.
        Err(error) => return Err(format!("sealed as {sealed_by_boot:?}, and then: {error}")),
    }
    let found = look_at_log(path, expected)?;
    if found.root.is_some() && found.root != last.root {
        // The root that was printed at the seal reveals it.
        return Ok(true);
    }
    // A damaged last commit in a file that was not closed looks torn to redb, which then falls back
    // to the commit before. It also does so if the flipped header bit says which of the two is the
    // last.
    let rolled_back = |log: &State| State { root: None, ..log.clone() } == found;
    let may_be_rolled_back = left == Left::Open || last.root.is_some();
    if found == last {
        return Ok(false);
    }
    if may_be_rolled_back && (rolled_back(&before) || rolled_back(&last)) {
        // For a sealed run the root reveals it, because it is no longer there.
        return Ok(last.root.is_some());
    }
    Err(format!("there is {found:?}, and nobody is told; it was {last:?}"))
}

/// The same for a sidecar. Its damage must not affect the run. The state that it falls back to is
/// not checked.
fn is_told_of_sidecar(run: &Path, expected: &Expected, left: Left) -> Result<bool, String> {
    let [last, _] = expected.last_two_logs();
    let log = look_at_log(run, expected)?;
    if log != last {
        return Err(format!("the run is {log:?} now; it was {last:?}"));
    }
    let last = expected.last_sidecar().ok_or("there is a sidecar that was not recorded")?;
    match unless_it_panics(|| SidecarState::of_sealed(run, log.watermark, expected)) {
        Err(_told) if last.is_sealed => Ok(true),
        Ok(Some(found)) if found == last => Ok(false),
        Ok(Some(found)) if left == Left::Open && found.is_before(&last) => Ok(false),
        found => Err(format!("the sidecar is {found:?}, and nobody is told; it was {last:?}")),
    }
}

/// As `tapline verify` does it. A panic of a library is a finding.
fn verify(path: &Path) -> Result<(), String> {
    unless_it_panics(|| {
        let source = open_sealed_file(path).map_err(|error| error_chain(&error))?;
        let report = Verifier::new(source).run(|_| {});
        if report.is_clean() { Ok(()) } else { Err(format!("{:?}", report.findings)) }
    })
}

fn unless_it_panics<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let read = catch_unwind(AssertUnwindSafe(read));
    read.unwrap_or_else(|_| Err("it panicked".to_owned()))
}
