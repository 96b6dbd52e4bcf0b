//! Opening run files: sealed ones to be read, and what is asked of those that were left before they
//! are reopened.

use std::path::Path;
use std::sync::Arc;

use redb::ReadTransaction;

use super::directory::run_path;
use super::redb_reader::RedbReader;
use super::redb_tables::read_manifest;
use super::{FileError, OpenRunError, OpenSealedError, ReadFault, RunReader, container};
use crate::model::{InstanceId, RunId, RunManifest};

/// Memory redb may hold of a sealed file's pages. What a walk over the frames needs is one frame,
/// read into the same memory each time while the processor has it cached: with 64 MiB it takes a
/// sixth more processor time. What is left is for the pages of the tables that look-ups walk.
const SEALED_CACHE_BYTES: usize = 16 << 20;

/// Opens a sealed run of an instance for reading. The file is not changed. One that holds another
/// run is refused.
pub fn open_sealed(
    base_dir: &Path,
    instance_id: &InstanceId,
    run_id: RunId,
) -> Result<Arc<dyn RunReader>, OpenSealedError> {
    let path = run_path(base_dir, instance_id, run_id);
    let (reader, manifest) = open_sealed_reader(&path)?;
    match check_held(&manifest, instance_id, Some(run_id)) {
        Ok(()) => Ok(Arc::new(reader)),
        Err(source) => Err(OpenSealedError::Read { path, source }),
    }
}

/// Opens the sealed run in the file at `path` for reading. The file is not changed.
pub fn open_sealed_file(path: &Path) -> Result<Arc<dyn RunReader>, OpenSealedError> {
    let (reader, _) = open_sealed_reader(path)?;
    Ok(Arc::new(reader))
}

pub(super) fn open_sealed_reader(
    path: &Path,
) -> Result<(RedbReader, RunManifest), OpenSealedError> {
    let reader = RedbReader::sealed(container::open_sealed(path, SEALED_CACHE_BYTES)?);
    let path = path.to_owned();
    match reader.manifest() {
        Ok(manifest) if manifest.status.is_sealed() => Ok((reader, manifest)),
        Ok(_) => Err(FileError::NotSealed { path }.into()),
        Err(source) => Err(OpenSealedError::Read { path, source }),
    }
}

/// Whether a file with this manifest is what its place says: a run of the instance, and where the
/// name is a run's, that run. Files are copied by people.
pub(crate) fn check_held(
    found: &RunManifest,
    instance_id: &InstanceId,
    run_id: Option<RunId>,
) -> Result<(), ReadFault> {
    if found.instance_id == *instance_id && Some(found.run_id) == run_id {
        return Ok(());
    }
    let (run_id, instance_id) = (found.run_id, found.instance_id.clone());
    Err(ReadFault::Foreign { run_id, instance_id })
}

/// The manifest of a run that was left and may be reopened. What is no run of ours, or nothing that
/// this program reads, is left alone.
pub(super) fn left_manifest(
    path: &Path,
    transaction: &ReadTransaction,
    instance_id: &InstanceId,
    run_id: RunId,
) -> Result<RunManifest, OpenRunError> {
    let foreign = || OpenRunError::foreign(path, instance_id, run_id);
    let manifest = match read_manifest(transaction) {
        Ok(manifest) => manifest,
        Err(ReadFault::NoRun) => return Err(foreign()),
        Err(source) => return Err(OpenRunError::Damaged { path: path.to_owned(), source }),
    };
    if check_held(&manifest, instance_id, Some(run_id)).is_err() {
        return Err(foreign());
    }
    if manifest.status.is_sealed() {
        return Err(OpenRunError::Sealed { run_id, status: manifest.status });
    }
    Ok(manifest)
}
