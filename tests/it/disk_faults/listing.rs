//! Lists an instance's runs: oldest first. An error concerns only its own file.

use std::fs;
use std::path::Path;

use tapline::internals::run_path;
use tapline::runs::{RunListing, list_runs};
use tapline::store::{DiskMode, EventStore, FileError, OpenSealedError, RedbBackend};
use tapline::{RunId, RunManifest, RunStatus};

use crate::support::{Place, assert_matches, instance, run_id};

fn runs(base_dir: &Path) -> Vec<RunListing> {
    list_runs(base_dir, &instance()).unwrap()
}

fn record(base_dir: &Path, id: &str, seal: bool) {
    let id: RunId = id.parse().unwrap();
    let mut store = RedbBackend::new(base_dir);
    store.open_run(RunManifest::new(instance(), id, id.start())).unwrap();
    if seal {
        store.seal(RunStatus::Ended, None).unwrap();
    }
}

#[test]
fn an_instance_without_a_folder_has_no_runs() {
    let folder = tempfile::tempdir().unwrap();
    assert!(runs(folder.path()).is_empty());
    assert!(runs(&folder.path().join("missing")).is_empty());
}

#[test]
fn runs_are_listed_by_start_time() {
    let folder = tempfile::tempdir().unwrap();
    let ordered = ["0-00000000", "9-0000ffff", "10-00000001", "10-00000002", "1000-00000000"];
    for id in ["1000-00000000", "10-00000002", "9-0000ffff", "0-00000000", "10-00000001"] {
        record(folder.path(), id, true);
    }
    let listed: Vec<String> =
        runs(folder.path()).iter().map(|run| run.run_id.unwrap().to_string()).collect();
    assert_eq!(listed, ordered);
}

#[test]
fn unreadable_files_are_listed_with_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = |id: &str| run_path(folder.path(), &instance(), id.parse().unwrap());
    record(folder.path(), "5-00000000", true);
    record(folder.path(), "3-00000000", false);
    record(folder.path(), "4-00000000", true);
    let whole = fs::read(path("4-00000000")).unwrap();
    fs::write(path("4-00000000"), &whole[..whole.len() / 2]).unwrap();
    fs::write(path("1-00000000"), b"").unwrap();
    fs::write(path("2-00000000"), b"no database").unwrap();
    fs::create_dir(path("6-00000000")).unwrap();
    fs::write(folder.path().join("node-1/backup.redb"), b"").unwrap();

    let listed = runs(folder.path());
    let ids: Vec<Option<u64>> =
        listed.iter().map(|run| run.run_id.map(|id| id.start().as_u64())).collect();
    assert_eq!(ids, [None, Some(1), Some(2), Some(3), Some(4), Some(5), Some(6)]);
    for (start, run) in ids.iter().zip(&listed) {
        match start {
            Some(5) => assert_eq!(run.manifest.as_ref().unwrap().status, RunStatus::Ended),
            // For a truncated file, redb says that it needs repair, as for one that was left open.
            Some(3 | 4) => {
                assert_matches!(
                    &run.manifest,
                    Err(OpenSealedError::File(FileError::NotSealed { .. }))
                );
            }
            _ => {
                assert_matches!(&run.manifest, Err(OpenSealedError::File(FileError::Fault { .. })));
            }
        }
        let on_disk = fs::symlink_metadata(&run.path).unwrap().len();
        assert_eq!(run.bytes_file, on_disk);
    }
}

#[test]
fn only_run_files_are_listed() {
    let place = Place::disk(DiskMode::Buffered);
    place.open(1).seal(RunStatus::Ended, None).unwrap();
    let folder = place.folder().join("node-1");
    for other in ["notes.txt", "1-00000000.redb.bak", "redb"] {
        fs::write(folder.join(other), b"").unwrap();
    }
    fs::write(folder.join(format!("{}.markers.redb", run_id(1))), b"").unwrap();
    let listed = runs(place.folder());
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].run_id, Some(run_id(1)));
}

#[test]
fn a_live_run_is_listed_as_unsealed() {
    let place = Place::disk(DiskMode::Direct);
    let store = place.open(1);
    let listed = runs(place.folder());
    assert_matches!(&listed[0].manifest, Err(OpenSealedError::File(FileError::NotSealed { .. })));
    drop(store);
}

#[test]
fn listing_a_file_as_folder_fails() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("node-1"), b"").unwrap();
    assert!(list_runs(folder.path(), &instance()).is_err());
}
