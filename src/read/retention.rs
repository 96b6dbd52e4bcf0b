use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::retention_rule::{Candidate, RetentionDecision, Standing, decide};
use crate::model::{InstanceId, RetentionMode, RunId, RunManifest};
use crate::store::{
    FileError, OpenSealedError, RunReader, check_held, read_sealed, run_files, sidecar_path,
};

/// What would be kept of an instance's runs, and what removed. Making a plan changes nothing;
/// [`apply`](Self::apply) does what it says.
///
/// A run is a **restore point**, known to be good, when it is sealed, not quarantined, not recorded by a
/// node that replayed another run, and has a snapshot anchor within its durable watermark, as the
/// manifest has it and as the frames have it.
/// From a restore point state is restored without any other run: the snapshot, and the entries after it.
/// From any other run it is restored by going back through parents to one with a snapshot, or to the
/// first; so a run that stays keeps its parents up to there. The parent of a run that is still being
/// recorded cannot be read: the newest run before it that was recovered after a crash stays in its
/// place, which is what recovery at its start chose, unless it was told another
/// (`replay_from_run_id`).
///
/// Whatever is removed, the next start continues from the run that it would have continued from: that one stays, and
/// of each run that stays and was cut off by a crash, one that took over from it.
///
/// Only sealed runs that can be read are ever removed, and none at all without a restore point.
#[derive(Debug)]
pub struct RetentionPlan {
    base_dir: PathBuf,
    instance_id: InstanceId,
    mode: RetentionMode,
    runs: Vec<PlannedRun>,
    /// What the rule knows of each.
    pub(super) candidates: Vec<Candidate>,
}

/// One run of a plan.
#[derive(Debug, Clone)]
pub struct PlannedRun {
    /// The run file.
    pub path: PathBuf,
    /// The run, as the file's name says; `None` for a file whose name is no run id.
    pub run_id: Option<RunId>,
    /// Bytes of the run file and its sidecar.
    pub bytes: u64,
    /// What is to become of it, and why.
    pub decision: RetentionDecision,
    /// What it was when the plan was made; `None` where it is not sealed or cannot be read.
    pub(super) sealed: Option<SealedFacts>,
}

/// What a sealed run has to say for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SealedFacts {
    manifest: RunManifest,
    /// Whether it has a valid anchor.
    anchored: bool,
}

impl SealedFacts {
    /// Reads them from the file.
    pub(super) fn read(path: &Path) -> Result<Self, OpenSealedError> {
        let read = |run: &dyn RunReader| {
            let manifest = run.manifest()?;
            let durable = run.watermark()?.min(manifest.high_watermark);
            let anchor = run.anchor()?;
            let anchored = anchor.is_some_and(|anchor| anchor.high_watermark <= durable);
            Ok(Self { manifest, anchored })
        };
        read_sealed(path, read)
    }

    fn standing(&self) -> Standing {
        let RunManifest { status, parent_run_id: parent, .. } = self.manifest;
        let (anchored, is_replay) = (self.anchored, self.manifest.is_replay());
        Standing::Sealed { status, parent, anchored, is_replay }
    }

    pub(super) fn is_restore_point(&self) -> bool {
        self.standing().is_restore_point()
    }
}

impl RetentionPlan {
    /// Looks at all runs of an instance and plans what `mode` keeps of them. Reads of each run its
    /// manifest, anchor and last frame.
    pub fn new(base_dir: &Path, instance_id: &InstanceId, mode: RetentionMode) -> io::Result<Self> {
        let files = run_files(base_dir, instance_id)?;
        let look = |(run_id, path): &(Option<RunId>, PathBuf)| {
            let (standing, sealed) = standing(path, instance_id, *run_id);
            ((*run_id, standing), sealed)
        };
        let (candidates, sealed): (Vec<Candidate>, Vec<_>) = files.iter().map(look).unzip();
        let mut runs = Vec::with_capacity(files.len());
        for (((run_id, path), sealed), decision) in
            files.into_iter().zip(sealed).zip(decide(mode, &candidates))
        {
            let bytes = bytes_of(&path) + bytes_of(&sidecar_path(&path));
            runs.push(PlannedRun { path, run_id, bytes, decision, sealed });
        }
        let (base_dir, instance_id) = (base_dir.to_owned(), instance_id.clone());
        Ok(Self { base_dir, instance_id, mode, runs, candidates })
    }

    /// The plan as it would be made now.
    pub(super) fn again(&self) -> io::Result<Self> {
        Self::new(&self.base_dir, &self.instance_id, self.mode)
    }

    /// What is kept of older runs.
    pub fn mode(&self) -> RetentionMode {
        self.mode
    }

    /// All runs of the instance, oldest first.
    pub fn runs(&self) -> &[PlannedRun] {
        &self.runs
    }

    /// The runs that may be removed, oldest first.
    pub fn reclaimable(&self) -> impl Iterator<Item = &PlannedRun> {
        self.runs.iter().filter(|run| matches!(run.decision, RetentionDecision::Reclaim(_)))
    }

    /// The newest known-good run.
    pub(super) fn restore_point(&self) -> Option<&PlannedRun> {
        let is_good =
            |run: &&PlannedRun| run.sealed.as_ref().is_some_and(SealedFacts::is_restore_point);
        self.runs.iter().rev().find(is_good)
    }
}

fn standing(
    path: &Path,
    instance_id: &InstanceId,
    run_id: Option<RunId>,
) -> (Standing, Option<SealedFacts>) {
    let unreadable = |error: String| (Standing::Unreadable { error }, None);
    match SealedFacts::read(path) {
        Ok(facts) => match check_held(&facts.manifest, instance_id, run_id) {
            Ok(()) => (facts.standing(), Some(facts)),
            Err(foreign) => unreadable(foreign.to_string()),
        },
        Err(OpenSealedError::File(FileError::NotSealed { .. })) => (Standing::NotSealed, None),
        Err(error) => unreadable(error.to_string()),
    }
}

fn bytes_of(file: &Path) -> u64 {
    fs::symlink_metadata(file).map_or(0, |metadata| metadata.len())
}
