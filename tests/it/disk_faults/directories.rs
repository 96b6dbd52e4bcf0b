//! Folders in which no run can be made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tapline::internals::run_path;
use tapline::store::{BackendFault, EventStore, FileError, OpenRunError, RedbBackend, RunOpening};

use crate::support::{assert_matches, instance, manifest, run_id};

fn open(base_dir: &Path) -> Result<RunOpening, OpenRunError> {
    RedbBackend::new(base_dir).open_run(manifest(1))
}

#[test]
fn missing_folders_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let base_dir = folder.path().join("not/yet/there");
    assert_matches!(open(&base_dir), Ok(RunOpening::Created));
    assert!(run_path(&base_dir, &instance(), run_id(1)).is_file());
}

#[test]
fn a_file_as_base_dir_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let base_dir = folder.path().join("runs");
    fs::write(&base_dir, b"a file").unwrap();
    assert_matches!(open(&base_dir), Err(OpenRunError::File(FileError::Fault { .. })));
    assert_eq!(fs::read(&base_dir).unwrap(), b"a file");
}

#[test]
fn a_file_as_instance_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("node-1"), b"a file").unwrap();
    assert_matches!(open(folder.path()), Err(OpenRunError::File(FileError::Fault { .. })));
}

#[test]
fn a_folder_as_run_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(run_path(folder.path(), &instance(), run_id(1))).unwrap();
    assert_matches!(open(folder.path()), Err(OpenRunError::File(FileError::Fault { .. })));
}

/// Makes `path` read-only. Returns false if this process can still write to it, as root can.
fn is_protected(path: &Path, mode: u32) -> bool {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let probe = if path.is_dir() {
        fs::write(path.join("probe"), b"").is_err()
    } else {
        fs::File::options().write(true).open(path).is_err()
    };
    if !probe {
        println!("skipped: this process may write anywhere (it runs as root)");
    }
    probe
}

#[test]
fn a_folder_without_permission_is_an_io_error() {
    let folder = tempfile::tempdir().unwrap();
    if is_protected(folder.path(), 0o555) {
        assert_matches!(
            open(folder.path()),
            Err(OpenRunError::File(FileError::Fault { source: BackendFault::Other(source), .. }))
                if source.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
                    == Some(std::io::ErrorKind::PermissionDenied)
        );
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_run_file_without_permission_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).unwrap();
    let path = run_path(folder.path(), &instance(), run_id(1));
    if is_protected(&path, 0o444) {
        assert_matches!(open(folder.path()), Err(OpenRunError::File(FileError::Fault { path: at, .. })) if at == path);
    }
}
