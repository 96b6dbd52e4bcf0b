//! Opens sealed run files for reading, and checks unsealed ones before they are reopened.

use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase};

use super::directory::run_path;
use super::log::{frames_of_log, log_path};
use super::redb_reader::RedbReader;
use super::redb_tables::read_manifest;
use super::tree_writer::TreeWriter;
use super::{FileError, OpenRunError, OpenSealedError, ReadFault, RunReader, container};
use crate::model::{InstanceId, RunId, RunManifest};

/// How much memory redb may use for a sealed file's pages. A walk over the frames needs one frame
/// at a time. It reads each into the same memory, which stays in the processor's cache: with 64 MiB
/// here, a walk takes a sixth more processor time. The rest is for the tables that look-ups use.
const SEALED_CACHE_BYTES: usize = 16 << 20;

/// Opens a sealed run of an instance for reading. Does not change the file. Refuses a file that
/// holds another run.
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

/// Opens the sealed run in the file at `path` for reading. Does not change the file.
pub fn open_sealed_file(path: &Path) -> Result<Arc<dyn RunReader>, OpenSealedError> {
    let (reader, _) = open_sealed_reader(path)?;
    Ok(Arc::new(reader))
}

/// Opens the run in the file at `path` for reading, sealed or not. Does not change the file. A run
/// that a crash left behind is read up to its last commit, which takes a repair in memory; one that
/// is being recorded is [`FileError::InUse`].
pub fn open_file(path: &Path) -> Result<Arc<dyn RunReader>, OpenSealedError> {
    container::check_not_empty(path)?;
    match open_sealed_file(path) {
        Err(OpenSealedError::File(FileError::NotSealed { .. })) => {}
        opened => return opened,
    }
    let read = |source| OpenSealedError::Read { path: path.to_owned(), source };
    let database = container::open_unclosed(path, SEALED_CACHE_BYTES)?;
    replay_log(path, &database)?;
    let reader = RedbReader::left(database).map_err(read)?;
    reader.manifest().map_err(read)?;
    Ok(Arc::new(reader))
}

/// Brings what the log of the run at `path` has into `database`, which is the run's file under
/// changes in memory.
fn replay_log(path: &Path, database: &Database) -> Result<(), OpenSealedError> {
    let read = |source| OpenSealedError::Read { path: path.to_owned(), source };
    let transaction = database.begin_read().map_err(ReadFault::redb).map_err(read)?;
    let file = RedbReader::live(transaction);
    if !file.has_log().map_err(read)? {
        return Ok(());
    }
    let (run_id, tail) = (file.manifest().map_err(read)?.run_id, file.tail().map_err(read)?);
    let frames = frames_of_log(&log_path(path), run_id, tail)?.map_err(read)?;
    let mut tree = TreeWriter::default();
    let write = |transaction: &_| tree.write_replayed(transaction, &frames, tail.names);
    container::commit(database, write).map_err(|fault| read(fault.into()))
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

/// Checks that a file belongs at its place: a run of this instance and, if the file is named after
/// a run, that run. People copy files.
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

/// The manifest of an unsealed run that may be reopened. A file without a run of ours, or in a
/// format that this program does not read, is an error and stays as it is.
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
