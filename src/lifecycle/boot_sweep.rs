use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::instance_lock::{InstanceLock, LockError};
use super::parent::{Known, choose_parent};
use super::recover_run::{RecoverError, Recovered, recover_run};
use super::sidecar;
use crate::model::{InstanceId, RunId, RunManifest, RunStatus};
use crate::read::Finding;
use crate::store::{
    OpenRunError, OpenSealedError, RunListing, guarded, list_runs, read_sealed, remove_unborn_files,
};

/// What a sweep over an instance's runs came to.
#[derive(Debug, Default)]
pub struct SweepReport {
    /// The runs that were left behind and are sealed now, oldest first.
    pub recovered: Vec<RecoveredRun>,
    /// The run that the next one continues from: the newest that is sealed as
    /// [`CrashedRecovered`](RunStatus::CrashedRecovered), of those that none has come after: a sound run that
    /// continues from it, or a newer one, unless this sweep found both left behind.
    /// Runs of nodes that replayed do not count.
    pub parent_run_id: Option<RunId>,
    /// The newest run of all, by the names of their files; the id of the next one sorts behind it.
    pub newest_run_id: Option<RunId>,
    /// Files of which no sound run or sidecar could be made, and why. They keep nobody from recording.
    pub skipped: Vec<SkippedFile>,
}

/// A run that was left behind, and how it was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredRun {
    /// The run.
    pub run_id: RunId,
    /// Its file.
    pub path: PathBuf,
    /// How it was sealed.
    pub status: RunStatus,
    /// Its last `seq`; 0 for none, or where that cannot be said.
    pub watermark: u64,
    /// What is wrong with it, for a quarantined run.
    pub findings: Vec<Finding>,
}

/// A file that could not be recovered or read; or a sidecar that is damaged, and sealed as such.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedFile {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub error: String,
}

/// Why no sweep could be made.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The instance's folder is not free.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The instance's folder could not be listed.
    #[error("cannot list the runs in {path}: {source}")]
    List {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// How far the sweep is with one file.
#[derive(Debug, Clone, Copy)]
pub struct SweepProgress<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its bytes.
    pub bytes_file: u64,
    /// Entries scanned so far.
    pub entries_scanned: u64,
}

/// Seals every run of `instance_id` that was left behind by a crash or a halt, see
/// [`SweepReport`]. Blocks for as long as it takes to read those runs once.
pub fn recover_predecessors(
    base_dir: &Path,
    instance_id: &InstanceId,
) -> Result<SweepReport, SweepError> {
    recover_predecessors_with(base_dir, instance_id, |_progress| {})
}

/// As [`recover_predecessors`]; calls `observe` about once a second for a file that takes longer.
pub fn recover_predecessors_with(
    base_dir: &Path,
    instance_id: &InstanceId,
    observe: impl FnMut(SweepProgress<'_>),
) -> Result<SweepReport, SweepError> {
    let _lock = InstanceLock::acquire(base_dir, instance_id)?;
    sweep(base_dir, instance_id, observe)
}

/// The sweep itself, for whoever holds the instance's lock.
pub(super) fn sweep(
    base_dir: &Path,
    instance_id: &InstanceId,
    mut observe: impl FnMut(SweepProgress<'_>),
) -> Result<SweepReport, SweepError> {
    let path = base_dir.join(instance_id.as_str());
    let at = |source| SweepError::List { path: path.clone(), source };
    remove_unborn_files(base_dir, instance_id).map_err(at)?;
    let mut report = SweepReport::default();
    let mut known = Vec::new();
    for listing in list_runs(base_dir, instance_id).map_err(at)? {
        report.newest_run_id = report.newest_run_id.max(listing.run_id);
        match look_at(base_dir, instance_id, &listing, &mut observe) {
            Ok((manifest, recovered)) => {
                let run = Known::new(&manifest, recovered.is_some());
                known.push(run);
                let watermark = manifest.high_watermark;
                report.skipped.extend(sidecar::recover(&listing.path, run.run_id, watermark));
                report.recovered.extend(recovered.map(|recovered| RecoveredRun {
                    run_id: run.run_id,
                    path: listing.path,
                    status: recovered.manifest.status,
                    watermark: recovered.manifest.high_watermark,
                    findings: recovered.findings,
                }));
            }
            Err(error) => {
                // Nobody knows where the run ends.
                let sidecar =
                    listing.run_id.map(|id| sidecar::recover(&listing.path, id, u64::MAX));
                report.skipped.extend(sidecar.flatten());
                report.skipped.push(SkippedFile { path: listing.path, error });
            }
        }
    }
    report.parent_run_id = choose_parent(&known);
    Ok(report)
}

/// The manifest of a run, and what was done about one that was left behind.
fn look_at(
    base_dir: &Path,
    instance_id: &InstanceId,
    listing: &RunListing,
    observe: &mut dyn FnMut(SweepProgress<'_>),
) -> Result<(RunManifest, Option<Recovered>), String> {
    let run_id = listing.run_id.ok_or("its name is not that of a run")?;
    match &listing.manifest {
        Ok(manifest) if manifest.run_id == run_id => {
            return Ok((manifest.clone(), None));
        }
        Ok(manifest) => return Err(format!("it holds another run, {}", manifest.run_id)),
        Err(OpenSealedError::NotSealed { .. }) => {}
        Err(error) => return Err(error.to_string()),
    }
    let mut watch = Watch::new(listing, observe);
    let recovered =
        guarded(|| recover_run(base_dir, instance_id, run_id, |entries| watch.scanned(entries)))?;
    let recovered = match recovered {
        Ok(recovered) => Some(recovered),
        // Only its file was not closed, and is now.
        Err(RecoverError::Open(OpenRunError::Sealed { .. })) => None,
        Err(error) => return Err(error.to_string()),
    };
    // As the next run would read it: a file that could not be closed is not taken for recovered.
    let manifest = read_sealed(&listing.path, |run| run.manifest());
    let manifest = manifest.map_err(|error| error.to_string())?;
    Ok((manifest, recovered))
}

/// Tells the observer now and then.
struct Watch<'a> {
    listing: &'a RunListing,
    observe: &'a mut dyn FnMut(SweepProgress<'_>),
    told: Instant,
}

const TELL_EVERY: Duration = Duration::from_secs(1);

impl<'a> Watch<'a> {
    fn new(listing: &'a RunListing, observe: &'a mut dyn FnMut(SweepProgress<'_>)) -> Self {
        Self { listing, observe, told: Instant::now() }
    }

    fn scanned(&mut self, entries_scanned: u64) {
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            let RunListing { path, bytes_file, .. } = self.listing;
            (self.observe)(SweepProgress { path, bytes_file: *bytes_file, entries_scanned });
        }
    }
}
