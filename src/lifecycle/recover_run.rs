use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::is_run_ended;
use super::recovery_table::DurableTail;
use crate::model::{InstanceId, RunId, RunManifest};
use crate::read::{EventStoreReader, Finding, Verifier, VerifyReport};
use crate::store::{
    DiskMode, EventStore, FileError, OpenRunError, RedbBackend, RunReader, SealError,
};

/// A run that was left behind, and is sealed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recovered {
    pub(super) manifest: RunManifest,
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

/// Scans a run that was left behind, checks every hash, and seals it as the table says. Calls `progress`
/// with the entries scanned so far.
pub(super) fn recover_run(
    base_dir: &Path,
    instance_id: &InstanceId,
    run_id: RunId,
    disk_mode: DiskMode,
    progress: impl FnMut(u64),
) -> Result<Recovered, RecoverError> {
    let mut backend = RedbBackend::with_disk_mode(base_dir, disk_mode);
    reopen(&mut backend, instance_id, run_id)?;
    let (reader, tail) = backend.reader().zip(backend.tail()).ok_or(SealError::NoOpenRun)?;
    let report = Verifier::new(Arc::clone(&reader)).run(progress);
    let status = classify(reader, tail.watermark, &report).seal_as();
    let sealed = backend.seal(status, report.end_ts_init)?;
    Ok(Recovered { manifest: sealed.manifest, findings: report.findings })
}

/// Somebody who just looks at the file, as `tapline ls` does, holds it for moments.
fn reopen(
    backend: &mut RedbBackend,
    instance_id: &InstanceId,
    run_id: RunId,
) -> Result<RunManifest, OpenRunError> {
    const PATIENCE: Duration = Duration::from_secs(1);
    const NAP: Duration = Duration::from_millis(10);
    // Since it was first found in use: to compare it may have taken long before that.
    let mut in_use_since = None;
    loop {
        match backend.reopen(instance_id, run_id) {
            Err(OpenRunError::File(FileError::InUse { .. }))
                if in_use_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE =>
            {
                std::thread::sleep(NAP);
            }
            taken => return taken,
        }
    }
}

fn classify(reader: Arc<dyn RunReader>, watermark: u64, report: &VerifyReport) -> DurableTail {
    let last = EventStoreReader::new(reader).read(watermark);
    let (has_findings, ends_with_run_ended) = match last {
        Ok(last) => {
            (!report.is_clean(), last.map(|last| is_run_ended(&last.topic, &last.payload_type)))
        }
        // The verifier has found it too, unless it was only now that the disk failed.
        Err(_damage) => (true, None),
    };
    DurableTail::classify(has_findings, watermark, ends_with_run_ended)
}
