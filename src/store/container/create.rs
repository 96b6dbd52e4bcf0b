use std::fs::{self, File};
use std::path::Path;

use redb::{Database, WriteTransaction};

use super::file::ContainerFile;
use super::redb_header::shrink_regions;
use super::{FileConfig, FileError, Growth, commit};
use crate::store::DiskOp;
use crate::store::directory::{TEMPORARY_EXTENSION, sync_name};

/// Makes the file at `path`: writes a temporary file beside it, durably, and gives that its name.
///
/// So a crash before leaves nothing that could be taken for a damaged file. What it does leave is
/// cleared away by whoever makes the next one.
pub(super) fn create_file(
    path: &Path,
    config: &FileConfig,
    initialize: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<Database, FileError> {
    let temporary = path.with_extension(TEMPORARY_EXTENSION);
    let at_temporary = |error| FileError::io(&temporary, error);
    config.ask(&temporary, DiskOp::Create).map_err(at_temporary)?;
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&temporary);
    let file = file.map_err(at_temporary)?;
    let made = fill(&temporary, file, config, initialize).inspect_err(|_error| {
        let _ = fs::remove_file(&temporary);
    })?;
    let name = || {
        config.ask(&temporary, DiskOp::Rename { to: path })?;
        fs::rename(&temporary, path)?;
        // What is in the file is durable; its name is content of the folder.
        config.ask(path, DiskOp::SyncFolder)?;
        sync_name(path)
    };
    name().map_err(|error| FileError::io(path, error))?;
    Ok(made)
}

fn fill(
    path: &Path,
    file: File,
    config: &FileConfig,
    initialize: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<Database, FileError> {
    let failed = |error| FileError::redb(path, error);
    let open = || -> Result<_, redb::DatabaseError> {
        ContainerFile::new(file.try_clone()?, path, config)
    };
    if config.growth == Growth::ByRegion {
        // Made and closed, for its header to be complete.
        drop(config.builder().create_with_backend(open().map_err(failed)?).map_err(failed)?);
        shrink_regions(&open().map_err(failed)?).map_err(|error| FileError::io(path, error))?;
    }
    let made = config.builder().create_with_backend(open().map_err(failed)?).map_err(failed)?;
    commit(&made, initialize)
        .map_err(|source| FileError::Fault { path: path.to_owned(), source })?;
    Ok(made)
}
