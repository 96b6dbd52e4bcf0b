//! Where an instance's files are, and how their names become durable.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::model::{InstanceId, RunId};

pub(crate) const RUN_SUFFIX: &str = ".redb";
/// The extension of a file that is still being made. Once it is complete, it is renamed.
pub(crate) const TEMPORARY_EXTENSION: &str = "new";
pub(crate) const SIDECAR_SUFFIX: &str = ".markers.redb";

/// The path of a run.
pub(crate) fn run_path(base_dir: &Path, instance_id: &InstanceId, run_id: RunId) -> PathBuf {
    base_dir.join(instance_id.as_str()).join(format!("{run_id}{RUN_SUFFIX}"))
}

/// The path of the sidecar of the run at `run`. Neither file has to exist.
pub(crate) fn sidecar_path(run: &Path) -> PathBuf {
    run.with_extension(&SIDECAR_SUFFIX[1..])
}

/// Makes a file's name or its removal durable. A name is content of its folder, so that is synced.
pub(crate) fn sync_name(file: &Path) -> io::Result<()> {
    file.parent().map_or(Ok(()), sync_folder)
}

/// Refuses anything that is not a plain file. To open a pipe, for example, would wait for its other
/// end. The system itself refuses a folder.
pub(crate) fn check_kind(path: &Path) -> io::Result<()> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() || kind.is_dir() {
        return Ok(());
    }
    Err(io::Error::other("it is no regular file"))
}

/// Makes a folder and its missing parents, and makes their names durable.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(folder)?;
    missing.into_iter().filter_map(Path::parent).try_for_each(sync_folder)
}

/// Makes durable the name of an instance's folder, and of the folder above it. Does so even if both
/// were there already: the process that made them may have died before their names were durable.
/// Folders further up existed before any run, or [`make_folder`] made them. Calls `ask` before each
/// sync.
pub(super) fn sync_folder_names(
    folder: &Path,
    ask: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<()> {
    for named in folder.ancestors().take(2) {
        ask(named)?;
        match sync_name(named) {
            Err(error) if was_made_by_others(&error) => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// True if a folder cannot be synced because this process could not have changed it: it may not
/// read it, the file system is read-only, or it has no sync. Whoever made the content had to make
/// it durable.
fn was_made_by_others(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Unsupported
    )
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}
