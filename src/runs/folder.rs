use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::{InstanceId, RunId, RunManifest};
use crate::store::{
    BackendFault, FileError, OpenSealedError, RUN_SUFFIX, ReadFault, RunReader, SIDECAR_SUFFIX,
    TEMPORARY_EXTENSION, check_held, guarded, log_path, open_sealed_file, sidecar_path, sync_name,
};

/// The part of a sidecar's name between the run's id and the extension.
const SIDECAR_INFIX: &str = ".markers";
/// The same of a log that is being made.
const LOG_INFIX: &str = ".log";

/// One run file of an instance.
#[derive(Debug)]
pub struct RunListing {
    /// The file.
    pub path: PathBuf,
    /// The run that the file is named after; `None` if its name is no run id.
    pub run_id: Option<RunId>,
    /// Bytes of the file.
    pub bytes_file: u64,
    /// The manifest, or why it could not be read. A run that is still being recorded is
    /// [`FileError::NotSealed`](crate::store::FileError::NotSealed). A run of another instance, or
    /// under another run's name, is [`ReadFault::Foreign`].
    pub manifest: Result<RunManifest, OpenSealedError>,
}

/// Lists an instance's runs, oldest first. A file that cannot be read is listed with its error. An
/// instance without a folder has no runs.
pub fn list_runs(base_dir: &Path, instance_id: &InstanceId) -> io::Result<Vec<RunListing>> {
    let list = |(run_id, path): (Option<RunId>, PathBuf)| {
        let manifest = read_sealed(&path, |run| {
            let manifest = run.manifest()?;
            // Only a run's name says which run should be in the file.
            if run_id.is_some() {
                check_held(&manifest, instance_id, run_id)?;
            }
            Ok(manifest)
        });
        let bytes_file = fs::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
        RunListing { path, run_id, bytes_file, manifest }
    };
    Ok(run_files(base_dir, instance_id)?.into_iter().map(list).collect())
}

/// Finds an instance's run files, oldest first. Returns each with the run in its name; `None` if
/// the name is no run id. Opens no file. An instance without a folder has none.
pub(crate) fn run_files(
    base_dir: &Path,
    instance_id: &InstanceId,
) -> io::Result<Vec<(Option<RunId>, PathBuf)>> {
    let mut files = Vec::new();
    for entry in entries(base_dir, instance_id)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(RUN_SUFFIX)
            && !name.ends_with(SIDECAR_SUFFIX)
        {
            files.push((stem.parse().ok(), entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

/// Everything in an instance's folder; nothing if there is no folder.
fn entries(base_dir: &Path, instance_id: &InstanceId) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(base_dir.join(instance_id.as_str())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}

/// Reads from a sealed run. redb panics over some kinds of damage; such a panic becomes an error
/// here.
pub(super) fn read_sealed<T>(
    path: &Path,
    read: impl FnOnce(&dyn RunReader) -> Result<T, ReadFault>,
) -> Result<T, OpenSealedError> {
    let outcome = guarded(|| {
        let reader = open_sealed_file(path)?;
        read(&*reader).map_err(|source| OpenSealedError::Read { path: path.to_owned(), source })
    });
    outcome.unwrap_or_else(|said| {
        let source = BackendFault::corrupted(said);
        Err(FileError::Fault { path: path.to_owned(), source }.into())
    })
}

/// Removes a run file and its sidecar, durably. The error names the file.
///
/// The sidecar and a log that was left over go first, durably. If a crash comes in between, it
/// leaves a run without markers.
/// That run is still listed and can be reclaimed again. The other order could leave a sidecar
/// without a run, which nothing lists and nobody would ever remove.
pub(super) fn remove_run(run: &Path) -> Result<(), (PathBuf, io::Error)> {
    for beside in [sidecar_path(run), log_path(run)] {
        match remove_durably(&beside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(|error| (beside, error))?,
        }
    }
    remove_durably(run).map_err(|error| (run.to_owned(), error))
}

fn remove_durably(file: &Path) -> io::Result<()> {
    fs::remove_file(file)?;
    sync_name(file)
}

/// Removes the temporary files of processes that died while they made a run or a sidecar, and logs
/// without a run file. These files hold no entry. The caller must hold the instance's lock.
pub(super) fn remove_temporary_files(base_dir: &Path, instance_id: &InstanceId) -> io::Result<()> {
    for entry in entries(base_dir, instance_id)? {
        let path = entry.path();
        let is_temporary =
            path.extension().is_some_and(|extension| extension == TEMPORARY_EXTENSION);
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let run = stem.map(|stem| {
            let of_sidecar = stem.strip_suffix(SIDECAR_INFIX);
            of_sidecar.or_else(|| stem.strip_suffix(LOG_INFIX)).unwrap_or(stem)
        });
        // A log is made before its run file.
        let is_forlorn_log = || {
            let run = path.with_extension(&RUN_SUFFIX[1..]);
            path == log_path(&path) && matches!(run.try_exists(), Ok(false))
        };
        if (is_temporary || is_forlorn_log()) && run.is_some_and(|run| run.parse::<RunId>().is_ok())
        {
            // A file that cannot be removed does no harm.
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunStatus;
    use crate::store::{EventStore, RedbBackend, run_path};

    #[test]
    fn what_a_panic_said_is_part_of_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let instance_id: InstanceId = "node-1".parse().unwrap();
        let run_id: RunId = "1-00000000".parse().unwrap();
        let mut store = RedbBackend::new(folder.path());
        let manifest = RunManifest::new(instance_id.clone(), run_id, run_id.start());
        store.open_run(manifest).unwrap();
        store.seal(RunStatus::Ended, None).unwrap();
        drop(store);
        let path = run_path(folder.path(), &instance_id, run_id);
        let read: Result<(), _> = read_sealed(&path, |_run| panic!("page 7 is no page"));
        let error = crate::model::error_chain(&read.unwrap_err());
        assert!(error.contains("page 7 is no page"), "{error}");
    }
}
