use std::fs;
use std::io;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use super::{BackendFault, OpenSealedError, open_sealed_file};
use crate::model::{InstanceId, RunId, RunManifest};

const RUN_SUFFIX: &str = ".redb";
/// Of a file that is not a run yet.
pub(super) const UNBORN_EXTENSION: &str = "new";
const SIDECAR_SUFFIX: &str = ".markers.redb";

/// Where a run is kept.
pub fn run_path(base_dir: &Path, instance_id: &InstanceId, run_id: RunId) -> PathBuf {
    base_dir.join(instance_id.as_str()).join(format!("{run_id}{RUN_SUFFIX}"))
}

/// One run file of an instance.
#[derive(Debug)]
pub struct RunListing {
    /// The file.
    pub path: PathBuf,
    /// The run, as the file's name says; `None` for a file whose name is no run id.
    pub run_id: Option<RunId>,
    /// Bytes of the file.
    pub bytes_file: u64,
    /// The manifest, or why it could not be read (a run that is still being recorded is
    /// [`OpenSealedError::NotSealed`]).
    pub manifest: Result<RunManifest, OpenSealedError>,
}

/// Reads a manifest. redb takes some damage for impossible and panics; here that is one more way in which
/// a file cannot be read.
fn read_manifest(path: &Path) -> Result<RunManifest, OpenSealedError> {
    let path = path.to_owned();
    let read = catch_unwind(|| {
        let reader = open_sealed_file(&path)?;
        reader.manifest().map_err(|source| OpenSealedError::Read { path: path.clone(), source })
    });
    read.unwrap_or_else(|_panic| {
        let source = BackendFault::corrupted("redb panicked on it");
        Err(OpenSealedError::Open { path, source })
    })
}

/// Lists an instance's runs, oldest first. A file that cannot be read is listed with its error.
/// An instance without a folder has no runs.
pub fn list_runs(base_dir: &Path, instance_id: &InstanceId) -> io::Result<Vec<RunListing>> {
    let entries = match fs::read_dir(base_dir.join(instance_id.as_str())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut runs = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(RUN_SUFFIX) else {
            continue;
        };
        if name.ends_with(SIDECAR_SUFFIX) {
            continue;
        }
        let path = entry.path();
        let manifest = read_manifest(&path);
        let bytes_file = entry.metadata().map_or(0, |metadata| metadata.len());
        runs.push(RunListing { run_id: stem.parse().ok(), bytes_file, manifest, path });
    }
    runs.sort_by(|a, b| (a.run_id, &a.path).cmp(&(b.run_id, &b.path)));
    Ok(runs)
}

/// Deletes what an instance's processes left of runs that they died before they had made: files that hold
/// no entry and have no run's name yet. Only for whoever alone makes runs of this instance.
pub(crate) fn remove_unborn_runs(base_dir: &Path, instance_id: &InstanceId) -> io::Result<()> {
    let entries = match fs::read_dir(base_dir.join(instance_id.as_str())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let is_unborn = path.extension().is_some_and(|extension| extension == UNBORN_EXTENSION)
            && stem.is_some_and(|stem| stem.parse::<RunId>().is_ok());
        if is_unborn {
            // One that cannot be deleted is in nobody's way.
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

/// Makes a folder and those it is in, as far as they are missing, and their names durable.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(folder)?;
    missing.into_iter().filter_map(Path::parent).try_for_each(sync_folder)
}

/// Makes the names of what is in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs::File::open(folder)?.sync_all()
}
