//! Opening run files with redb: sealed ones to be read, and those that were left to be looked at before they are
//! taken up.

use std::io;
use std::path::Path;
use std::sync::Arc;

use redb::{Builder, DatabaseError, ReadOnlyDatabase, ReadableDatabase};

use super::directory::{check_kind, run_path};
use super::redb_reader::{RedbReader, SealedDatabase};
use super::redb_tables::{NO_RUN, read_manifest};
use super::{BackendFault, OpenRunError, OpenSealedError, ReadFault, RunReader};
use crate::model::{InstanceId, RunId, RunManifest};

/// Memory redb may hold of a sealed file's pages. What a walk over the frames needs is one frame, read into the
/// same memory each time while the processor has it cached: with 64 MiB it takes a sixth more processor time. What
/// is left is for the pages of the tables that look-ups walk.
const SEALED_CACHE_BYTES: usize = 16 << 20;

/// Opens a sealed run of an instance for reading. The file is not changed. One that holds another run is refused.
pub fn open_sealed(
    base_dir: &Path,
    instance_id: &InstanceId,
    run_id: RunId,
) -> Result<Arc<dyn RunReader>, OpenSealedError> {
    let path = run_path(base_dir, instance_id, run_id);
    let reader = open_sealed_file(&path)?;
    let held = reader.manifest().and_then(|found| check_held(&found, instance_id, Some(run_id)));
    match held {
        Ok(()) => Ok(reader),
        Err(source) => Err(OpenSealedError::Read { path, source }),
    }
}

/// Opens the sealed run in the file at `path` for reading. The file is not changed.
pub fn open_sealed_file(path: &Path) -> Result<Arc<dyn RunReader>, OpenSealedError> {
    let path = path.to_owned();
    let not_opened = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => OpenSealedError::NotFound { path: path.clone() },
        _ => OpenSealedError::Open { path: path.clone(), source: BackendFault::io(error) },
    };
    check_kind(&path).map_err(not_opened)?;
    let database = match open_read_only(&path) {
        Ok(database) => database,
        // A file that was not closed needs repair, which is a change.
        Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::RepairAborted) => {
            return Err(OpenSealedError::NotSealed { path });
        }
        Err(DatabaseError::Storage(redb::StorageError::Io(error))) => {
            return Err(not_opened(error));
        }
        Err(error) => {
            return Err(OpenSealedError::Open { path, source: BackendFault::redb(error) });
        }
    };
    let reader = match SealedDatabase::new(database) {
        Ok(database) => RedbReader(database),
        Err(source) => return Err(OpenSealedError::Open { path, source }),
    };
    match reader.manifest() {
        Ok(manifest) if manifest.status.is_sealed() => Ok(Arc::new(reader)),
        Ok(_) => Err(OpenSealedError::NotSealed { path }),
        Err(source) => Err(OpenSealedError::Read { path, source }),
    }
}

fn open_read_only(path: &Path) -> Result<ReadOnlyDatabase, DatabaseError> {
    Builder::new().set_cache_size(SEALED_CACHE_BYTES).open_read_only(path)
}

/// Whether a file with this manifest is what its place says: a run of the instance, and where the name is a run's,
/// that run. Files are copied by people.
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

/// Looks at the file of a run that was left, before it is opened to be written, which changes it: what is no run of
/// ours, or nothing that this program reads, is left alone. A file that was not closed cannot be looked at before it
/// is repaired.
pub(super) fn check_left(
    path: &Path,
    instance_id: &InstanceId,
    run_id: RunId,
) -> Result<(), OpenRunError> {
    check_kind(path).map_err(|source| OpenRunError::Io { path: path.to_owned(), source })?;
    match open_read_only(path) {
        Ok(database) => left_manifest(path, &database, instance_id, run_id).map(drop),
        Err(DatabaseError::DatabaseAlreadyOpen) => {
            Err(OpenRunError::InUse { path: path.to_owned() })
        }
        // It needs repair; what else is wrong with it is said when it is opened for that.
        Err(_) => Ok(()),
    }
}

/// The manifest of a run that was left and may be taken up.
pub(super) fn left_manifest(
    path: &Path,
    database: &impl ReadableDatabase,
    instance_id: &InstanceId,
    run_id: RunId,
) -> Result<RunManifest, OpenRunError> {
    let foreign = || {
        let (path, instance_id) = (path.to_owned(), instance_id.clone());
        OpenRunError::Foreign { path, run_id, instance_id }
    };
    let manifest = match manifest_of(database) {
        Ok(manifest) => manifest,
        Err(ReadFault::Missing { what: NO_RUN }) => return Err(foreign()),
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

fn manifest_of(database: &impl ReadableDatabase) -> Result<RunManifest, ReadFault> {
    let transaction = database.begin_read().map_err(BackendFault::redb)?;
    read_manifest(&transaction)
}

/// Why redb did not open the file of a run.
pub(super) fn open_error(path: &Path, error: DatabaseError) -> OpenRunError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenRunError::InUse { path: path.to_owned() },
        error => match BackendFault::redb(error) {
            fault @ BackendFault::Corrupted(_) => {
                OpenRunError::Damaged { path: path.to_owned(), source: ReadFault::Fault(fault) }
            }
            fault => OpenRunError::Fault(fault.at(path)),
        },
    }
}
