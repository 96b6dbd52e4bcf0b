//! Seals a run that a crash left behind, and its sidecar.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::recovery_options::RecoveryOptions;
use super::skipped::{SkipKind, SkipReason, SkippedFile};
use crate::markers::{MarkerStoreError, RedbMarkerBackend};
use crate::model::{Hash, InstanceId, MarkerManifest, RunId, RunManifest, RunStatus, error_chain};
use crate::read::{EventStoreReader, Finding, Verifier, VerifyReport};
use crate::store::{
    EventStore, FileError, OpenRunError, RedbBackend, RunReader, SealError, guarded, sidecar_path,
};

/// Topic of the last entry of a run that was closed in order.
pub(crate) const RUN_ENDED_TOPIC: &str = "run.lifecycle.RunEnded";
/// Payload type of the last entry of a run that was closed in order.
pub const RUN_ENDED_TYPE: &str = "RunEnded";

/// True for the topic and payload type of a run's last entry: both must match.
pub(crate) fn is_run_ended(topic: &str, payload_type: &str) -> bool {
    topic == RUN_ENDED_TOPIC && payload_type == RUN_ENDED_TYPE
}

/// A run that was left behind and is now sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recovered {
    pub(super) manifest: RunManifest,
    pub(super) root: Hash,
    pub(super) findings: Vec<Finding>,
}

/// Why a run that was left behind could not be sealed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecoverError {
    /// Its file could not be reopened.
    #[error(transparent)]
    Open(#[from] OpenRunError),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl From<&RecoverError> for SkipReason {
    fn from(error: &RecoverError) -> Self {
        let kind = match error {
            RecoverError::Open(error) => match error {
                OpenRunError::RunOpen { .. } => SkipKind::InUse,
                OpenRunError::Foreign { .. } => SkipKind::Foreign,
                OpenRunError::Damaged { source, .. } => SkipKind::of_read(source),
                OpenRunError::File(error) => SkipKind::of_file(error),
                OpenRunError::Sealed { .. } | OpenRunError::Thread(_) => SkipKind::Io,
            },
            RecoverError::Seal(SealError::Fault(source)) => SkipKind::of_fault(source),
            RecoverError::Seal(_) => SkipKind::Damaged,
        };
        Self::new(kind, error_chain(error))
    }
}

/// Scans a run that was left behind, checks every hash, and seals it by the table in
/// [`DurableTail::seal_as`]. Calls `progress` with the entries scanned so far.
pub(super) fn recover_run(
    base_dir: &Path,
    instance_id: &InstanceId,
    run_id: RunId,
    options: RecoveryOptions,
    progress: impl FnMut(u64),
) -> Result<Recovered, RecoverError> {
    let mut backend =
        RedbBackend::with_disk_mode(base_dir, options.disk_mode).within(options.redb_memory());
    reopen(&mut backend, instance_id, run_id)?;
    let (reader, tail) = backend.reader().zip(backend.tail()).ok_or(SealError::NoOpenRun)?;
    let report = Verifier::new(Arc::clone(&reader)).threads(options.threads()).run(progress);
    let status = classify(reader, tail.watermark, &report).seal_as();
    let sealed = backend.seal(status, report.end_ts_init)?;
    Ok(Recovered { manifest: sealed.manifest, root: sealed.root, findings: report.findings })
}

/// Reopens the run. Waits a moment for a process that only looks at the file, as `tapline ls` does.
fn reopen(
    backend: &mut RedbBackend,
    instance_id: &InstanceId,
    run_id: RunId,
) -> Result<RunManifest, OpenRunError> {
    const PATIENCE: Duration = Duration::from_secs(1);
    const NAP: Duration = Duration::from_millis(10);
    // Counts from the first time the file was in use. A comparison before that may have taken long.
    let mut in_use_since = None;
    loop {
        match backend.reopen(instance_id, run_id) {
            Err(OpenRunError::File(FileError::InUse { .. }))
                if in_use_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE =>
            {
                std::thread::sleep(NAP);
            }
            reopened => return reopened,
        }
    }
}

fn classify(reader: Arc<dyn RunReader>, watermark: u64, report: &VerifyReport) -> DurableTail {
    let last = EventStoreReader::new(reader).read(watermark);
    let (has_findings, ends_with_run_ended) = match last {
        Ok(last) => {
            (!report.is_clean(), last.map(|last| is_run_ended(&last.topic, &last.payload_type)))
        }
        // The verifier has found the damage too, unless the disk failed only now.
        Err(_damage) => (true, None),
    };
    DurableTail::classify(has_findings, watermark, ends_with_run_ended)
}

/// What is durable in a run that was never sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DurableTail {
    /// No entry.
    Empty,
    /// Every entry is in order and the last is `RunEnded`. Only the seal is missing.
    Ended,
    /// Every entry is in order, and there is no `RunEnded`.
    Cut,
    /// A hash that does not match, a gap, or damage to the structure.
    Damaged,
}

impl DurableTail {
    /// Every tail, for tests to walk.
    #[cfg(test)]
    const ALL: [Self; 4] = [Self::Empty, Self::Ended, Self::Cut, Self::Damaged];

    /// Classifies a run. `has_findings` is true if anything durable is wrong. `watermark` is the
    /// last entry. `ends_with_run_ended` is true if the last entry has topic and payload type of
    /// `RunEnded`, and `None` if no last entry can be read.
    fn classify(has_findings: bool, watermark: u64, ends_with_run_ended: Option<bool>) -> Self {
        match (has_findings, watermark, ends_with_run_ended) {
            (false, 0, None) => Self::Empty,
            (false, 1.., Some(true)) => Self::Ended,
            (false, 1.., Some(false)) => Self::Cut,
            // The last two cannot happen without a finding: a watermark without an entry, or an
            // entry without a watermark. Such a run is not trusted.
            (true, _, _) | (false, 0, Some(_)) | (false, 1.., None) => Self::Damaged,
        }
    }

    /// The table. A quarantined run is never continued; see `lineage.rs`.
    fn seal_as(self) -> RunStatus {
        match self {
            Self::Empty | Self::Cut => RunStatus::CrashedRecovered,
            Self::Ended => RunStatus::Ended,
            Self::Damaged => RunStatus::Quarantined,
        }
    }
}

/// Seals the sidecar that a dead process left for the run at `run`, which ends at `watermark`.
/// Returns what is wrong with it.
pub(super) fn recover_sidecar(run: &Path, run_id: RunId, watermark: u64) -> Option<SkippedFile> {
    let path = sidecar_path(run);
    let recovered = guarded(|| RedbMarkerBackend::new(&path).recover(run_id, watermark));
    let error = match recovered {
        Ok(Ok(MarkerManifest { status: status @ RunStatus::Quarantined, .. })) => SkipReason::new(
            SkipKind::Damaged,
            format!("it is damaged ({status}): `tapline verify` says what is wrong"),
        ),
        Ok(
            Ok(_)
            | Err(
                MarkerStoreError::Sealed { .. }
                | MarkerStoreError::File(FileError::NotFound { .. }),
            ),
        ) => return None,
        Ok(Err(error)) => SkipReason::from(&error),
        Err(panic) => SkipReason::new(SkipKind::Damaged, panic),
    };
    Some(error.at(path))
}

#[cfg(test)]
mod tests {
    use super::DurableTail::{Cut, Damaged, Empty, Ended};
    use super::*;

    #[test]
    fn each_tail_is_sealed_by_the_table() {
        use RunStatus::{CrashedRecovered, Ended as SealedEnded, Quarantined};
        let rows = DurableTail::ALL.map(|tail| (tail, tail.seal_as()));
        assert_eq!(
            rows,
            [
                (Empty, CrashedRecovered),
                (Ended, SealedEnded),
                (Cut, CrashedRecovered),
                (Damaged, Quarantined),
            ]
        );
    }

    #[test]
    fn impossible_tails_are_damage() {
        let expected = [
            (false, 0, None, Empty),
            (false, 0, Some(false), Damaged), // impossible: an entry without a watermark
            (false, 0, Some(true), Damaged),  // impossible
            (false, 7, None, Damaged),        // impossible: a watermark without an entry
            (false, 7, Some(false), Cut),
            (false, 7, Some(true), Ended),
            (true, 0, None, Damaged),
            (true, 0, Some(false), Damaged),
            (true, 0, Some(true), Damaged),
            (true, 7, None, Damaged),
            (true, 7, Some(false), Damaged),
            (true, 7, Some(true), Damaged),
        ];
        for (findings, watermark, run_ended, tail) in expected {
            let found = DurableTail::classify(findings, watermark, run_ended);
            assert_eq!(found, tail, "{findings} {watermark} {run_ended:?}");
        }
        let largest = DurableTail::classify(false, u64::MAX, Some(false));
        assert_eq!(largest, Cut);
    }
}
