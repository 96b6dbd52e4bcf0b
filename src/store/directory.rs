//! Where a run's files are, and how their names become durable: what stores and sidecars need of
//! an instance's folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::model::{InstanceId, RunId};

pub(crate) const RUN_SUFFIX: &str = ".redb";
/// Of a file that is no run, or sidecar, yet.
pub(crate) const UNBORN_EXTENSION: &str = "new";
pub(crate) const SIDECAR_SUFFIX: &str = ".markers.redb";

/// Where a run is kept.
pub(crate) fn run_path(base_dir: &Path, instance_id: &InstanceId, run_id: RunId) -> PathBuf {
    base_dir.join(instance_id.as_str()).join(format!("{run_id}{RUN_SUFFIX}"))
}

/// The file of the data markers of the run at `run`, which need not exist.
pub(crate) fn sidecar_path(run: &Path) -> PathBuf {
    run.with_extension(&SIDECAR_SUFFIX[1..])
}

/// Makes it durable that a file is where it is, or that it is gone: a name is content of its
/// folder.
pub(crate) fn sync_name(file: &Path) -> io::Result<()> {
    file.parent().map_or(Ok(()), sync_folder)
}

/// Refuses what only seems to be a file: to open a pipe, one would wait for somebody at its other
/// end. A folder is refused by the system.
pub(crate) fn check_kind(path: &Path) -> io::Result<()> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() || kind.is_dir() {
        return Ok(());
    }
    Err(io::Error::other("it is no regular file"))
}

/// Makes a folder and those it is in, as far as they are missing, and their names durable.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(folder)?;
    missing.into_iter().filter_map(Path::parent).try_for_each(sync_folder)
}

/// Makes the names of an instance's folder and of the folder that one is in durable, also where
/// they were there already: who made them may have died, or failed, before their names were. Those
/// further up were there before anybody thought of runs, or [`make_folder`] has made them. `ask` is
/// asked before each.
pub(super) fn sync_folder_names(
    folder: &Path,
    ask: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<()> {
    for named in folder.ancestors().take(2) {
        ask(named)?;
        match sync_name(named) {
            Err(error) if is_none_of_ours(&error) => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// Whether a folder cannot be synced because this process could not have made anything in it: it
/// may not read it, or the file system takes no changes, or knows no sync. Whoever made what is in
/// it had to see to it.
fn is_none_of_ours(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Unsupported
    )
}

/// Makes the names of what is in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}
