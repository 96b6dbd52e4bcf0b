//! Opens runs for reading, also those that were left behind.

use std::path::Path;
use std::sync::Arc;

use tapline::internals::changed_since_closed;
use tapline::markers::{MarkerSource, MarkerStoreError, open_markers, open_sealed_markers};
use tapline::read::EventStoreReader;
use tapline::store::{
    BackendFault, FileError, OpenSealedError, RunReader, open_file, open_sealed_file,
};

use super::error::CliError;
use super::stderr::tell;
use super::words::recover_command;

/// Opens the run at `path` for reading, and says on stderr if it is not sealed. The file stays as
/// it is.
pub(super) fn open_run(path: &Path) -> Result<Arc<dyn RunReader>, CliError> {
    match open_sealed_file(path) {
        Err(OpenSealedError::File(FileError::NotSealed { .. })) => {}
        opened => return Ok(opened?),
    }
    check_left(path)?;
    let source = open_file(path)?;
    tell_unsealed(path);
    Ok(source)
}

/// As [`open_run`].
pub(super) fn open_reader(path: &Path) -> Result<EventStoreReader, CliError> {
    open_run(path).map(EventStoreReader::new)
}

/// Opens a sidecar, as [`open_run`] opens a run.
pub(super) fn open_sidecar(path: &Path) -> Result<Arc<dyn MarkerSource>, MarkerStoreError> {
    match open_sealed_markers(path) {
        Err(MarkerStoreError::File(FileError::NotSealed { .. })) => {}
        opened => return opened,
    }
    check_left(path)?;
    let source = open_markers(path)?;
    tell_unsealed(path);
    Ok(source)
}

/// Refuses a file that redb would repair although it was closed in order. It is damaged, and a
/// repair may go back to an earlier state.
fn check_left(path: &Path) -> Result<(), FileError> {
    if !changed_since_closed(path) {
        return Ok(());
    }
    let source = BackendFault::Corrupted(changed(path).into());
    Err(FileError::Fault { path: path.to_owned(), source })
}

/// What is wrong with a file for which [`changed_since_closed`] holds.
pub(super) fn changed(path: &Path) -> String {
    format!(
        "{} was closed in order, and changed since: it was cut, or its structure does not fit",
        path.display()
    )
}

pub(super) fn tell_unsealed(path: &Path) {
    tell(format_args!(
        "{} is not sealed: a crash or a halt left it behind, and it is read up to its last commit; \
         `{}` seals it",
        path.display(),
        recover_command(path)
    ));
}
