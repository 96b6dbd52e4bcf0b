use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::folder::{RunListing, list_runs, read_sealed, remove_temporary_files};
use super::lineage::{self, RunFacts};
use super::lock::InstanceLock;
use super::recovery::{RecoverError, Recovered, recover_run, recover_sidecar};
use super::recovery_options::RecoveryOptions;
use super::skipped::{SkipKind, SkipReason, SkippedFile};
use super::sweep_error::SweepError;
use crate::model::{Hash, InstanceId, RunId, RunManifest, RunStatus};
use crate::read::Finding;
use crate::store::{FileError, OpenRunError, OpenSealedError, guarded};

/// The result of a sweep over an instance's runs.
#[derive(Debug, Default)]
pub struct SweepReport {
    /// The runs that were left behind and are now sealed, oldest first.
    pub recovered: Vec<RecoveredRun>,
    /// The run that the next one continues: the head of the instance's history. It is the newest
    /// run sealed as [`Ended`](RunStatus::Ended) or
    /// [`CrashedRecovered`](RunStatus::CrashedRecovered). Runs of nodes that replayed do not count.
    /// `None` if there is no such run.
    ///
    /// Only runs whose files could be read are considered. One of the others may be newer and hold
    /// what happened last: [`passed_over`](Self::passed_over) names it.
    pub parent_run_id: Option<RunId>,
    /// Runs that would be [`parent_run_id`](Self::parent_run_id) if they were sound. Nobody could
    /// read their files, see [`skipped`](Self::skipped), or they are quarantined. The former may
    /// last for a moment (in use, not permitted, an error of the disk) or for good (damaged).
    ///
    /// A sweep alone decides nothing: the next one looks again. **But a live run that opens now
    /// takes their place for good**: it is newer, so nothing will continue them, even if they can
    /// be read again. They are then recovered and sealed like any other run, and their entries stay
    /// readable, but no node's state contains them. The new run has the feature flag
    /// `passed-over=<run id>` in its manifest for each of them. So opening a run refuses while there
    /// are any, unless [`OnUnreadableRun::PassOver`](crate::OnUnreadableRun::PassOver) is set.
    pub passed_over: Vec<RunId>,
    /// The newest run of all. The next run gets a later id. The name of a file that could not be
    /// read counts too, unless no clock ever shows its time (from the year 2262 on): one stray file
    /// would otherwise shift the ids of all later runs.
    pub newest_run_id: Option<RunId>,
    /// Files without a sound run or sidecar, and why: damaged, in use, not permitted, of another
    /// instance, no regular file, … They keep nobody from recording.
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
    /// Its last `seq`; 0 if it has none, or if the last is unknown.
    pub watermark: u64,
    /// Its root. It reveals any later change to the run; keep it away from the file.
    pub root: Hash,
    /// What is wrong with a quarantined run.
    pub findings: Vec<Finding>,
}

/// How far a sweep has come with one file.
#[derive(Debug, Clone, Copy)]
pub struct SweepProgress<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its bytes.
    pub bytes_file: u64,
    /// Entries scanned so far.
    pub entries_scanned: u64,
}

/// Seals every run of `instance_id` that a crash or a halt left behind, see [`SweepReport`]. Reads
/// only the manifests of other runs.
///
/// Blocks while it reads the runs that were left behind, up to four times: redb's repair reads a
/// file that was not closed up to three times; a file that was closed is compared in two. Then
/// every entry is read and checked, and the index is sorted, at about 0.1 µs a key. Waits up to a
/// second for a run that is in use.
///
/// Writes files in the default [`DiskMode`](crate::store::DiskMode), and makes do with the default
/// of [`recovery_memory_bytes`](crate::session::EventStoreConfig::recovery_memory_bytes). A node
/// sweeps as it is configured.
pub fn recover_predecessors(
    base_dir: &Path,
    instance_id: &InstanceId,
) -> Result<SweepReport, SweepError> {
    recover_predecessors_with(base_dir, instance_id, RecoveryOptions::default(), |_progress| {})
}

/// Like [`recover_predecessors`], but calls `observe` about once a second while the entries of a
/// long run are checked. `observe` is not called while redb compares or repairs a file before that,
/// which may take as long; that is logged at the few moments at which redb reports progress. Nor is
/// it called while the index is sorted afterwards.
pub(crate) fn recover_predecessors_with(
    base_dir: &Path,
    instance_id: &InstanceId,
    options: RecoveryOptions,
    observe: impl FnMut(SweepProgress<'_>),
) -> Result<SweepReport, SweepError> {
    let _lock = InstanceLock::acquire(base_dir, instance_id)?;
    sweep(base_dir, instance_id, options, observe)
}

/// The sweep itself. The caller holds the instance's lock.
pub(crate) fn sweep(
    base_dir: &Path,
    instance_id: &InstanceId,
    options: RecoveryOptions,
    mut observe: impl FnMut(SweepProgress<'_>),
) -> Result<SweepReport, SweepError> {
    let path = base_dir.join(instance_id.as_str());
    let at = |source| SweepError::List { path: path.clone(), source };
    remove_temporary_files(base_dir, instance_id).map_err(at)?;
    let mut report = SweepReport::default();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for listing in list_runs(base_dir, instance_id).map_err(at)? {
        match look_at(base_dir, instance_id, options, &listing, &mut observe) {
            Ok((manifest, recovered)) => {
                known.push(RunFacts::of(&manifest));
                report.found(listing.path, &manifest, recovered);
            }
            Err(reason) => {
                let run_id = listing.run_id.filter(|run_id| may_hold(*run_id, &reason));
                unknown.extend(run_id);
                report.left_alone(listing.path, run_id, reason);
            }
        }
    }
    report.parent_run_id = lineage::head(&known);
    report.passed_over = lineage::passed_over(&known, &unknown);
    report.newest_run_id = known.iter().map(|run| run.run_id).chain(unknown).max();
    Ok(report)
}

impl SweepReport {
    /// Notes a run that is sealed by now.
    fn found(&mut self, path: PathBuf, manifest: &RunManifest, recovered: Option<Recovered>) {
        let run_id = manifest.run_id;
        self.skipped.extend(recover_sidecar(&path, run_id, manifest.high_watermark));
        self.recovered.extend(recovered.map(|recovered| RecoveredRun {
            run_id,
            path,
            status: recovered.manifest.status,
            watermark: recovered.manifest.high_watermark,
            root: recovered.root,
            findings: recovered.findings,
        }));
    }

    /// Notes a file that was left as it is. `run_id` is the run that may be in it.
    fn left_alone(&mut self, path: PathBuf, run_id: Option<RunId>, error: SkipReason) {
        // Where the run ends is unknown.
        let sidecar = run_id.and_then(|run_id| recover_sidecar(&path, run_id, u64::MAX));
        self.skipped.extend(sidecar);
        self.skipped.push(error.at(path));
    }
}

/// True if a file that was skipped for this reason may hold the run that it is named after. A name
/// whose time no clock shows is not believed.
fn may_hold(run_id: RunId, reason: &SkipReason) -> bool {
    reason.kind != SkipKind::Foreign && run_id.is_of_a_clock()
}

/// The manifest of a run. If the run was left behind, recovers it first.
fn look_at(
    base_dir: &Path,
    instance_id: &InstanceId,
    options: RecoveryOptions,
    listing: &RunListing,
    observe: &mut dyn FnMut(SweepProgress<'_>),
) -> Result<(RunManifest, Option<Recovered>), SkipReason> {
    let Some(run_id) = listing.run_id else {
        return Err(SkipReason::new(SkipKind::Foreign, "its name is not that of a run"));
    };
    match &listing.manifest {
        Ok(manifest) => return Ok((manifest.clone(), None)),
        Err(OpenSealedError::File(FileError::NotSealed { .. })) => {}
        Err(error) => return Err(error.into()),
    }
    let mut watch = Watch::new(listing, observe);
    let recover =
        || recover_run(base_dir, instance_id, run_id, options, |entries| watch.scanned(entries));
    let recovered = match guarded(recover) {
        Ok(Ok(recovered)) => Some(recovered),
        // The run was sealed. Only its file was not closed, and is now.
        Ok(Err(RecoverError::Open(OpenRunError::Sealed { .. }))) => None,
        Ok(Err(error)) => return Err(SkipReason::from(&error)),
        Err(panic) => return Err(SkipReason::new(SkipKind::Damaged, panic)),
    };
    // Read it as the next run would. A file that could not be closed does not count as recovered.
    match read_sealed(&listing.path, |run| run.manifest()) {
        Ok(manifest) => Ok((manifest, recovered)),
        Err(error) => Err(SkipReason::from(&error)),
    }
}

/// Calls the observer about once a second.
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
