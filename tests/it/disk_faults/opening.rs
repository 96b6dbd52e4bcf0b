//! Opening files that are no sealed run.

use std::fs;
use std::path::Path;

use tapline::internals::run_path;
use tapline::store::{
    BackendFault, EventStore, FileError, OpenRunError, OpenSealedError, ReadFault, RedbBackend,
    open_sealed, open_sealed_file,
};
use tapline::{RunManifest, RunStatus};

use crate::support::files::assert_unchanged;
use crate::support::message::messages;
use crate::support::places::SealedFile;
use crate::support::{FrameMaker, Place, assert_matches, instance, manifest, run_id, tamper};

fn refusal(path: &Path) -> OpenSealedError {
    match open_sealed_file(path) {
        Ok(_) => panic!("{} opened", path.display()),
        Err(error) => error,
    }
}

#[test]
fn a_missing_file_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let missing = open_sealed(folder.path(), &instance(), run_id(1));
    assert_matches!(missing.err(), Some(OpenSealedError::File(FileError::NotFound { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_run_being_recorded_is_not_sealed() {
    let place = Place::disk(tapline::store::DiskMode::Buffered);
    let mut store = place.open(1);
    FrameMaker::new().append_all(&mut *store, &[messages(1, 3)]);
    let path = run_path(place.folder(), &instance(), run_id(1));
    assert_unchanged(&path, || {
        assert_matches!(refusal(&path), OpenSealedError::File(FileError::NotSealed { .. }));
    });
    drop(store);
    assert_unchanged(&path, || {
        assert_matches!(refusal(&path), OpenSealedError::File(FileError::NotSealed { .. }));
    });
}

#[test]
fn opening_does_not_repair_a_crashed_run() {
    let place = Place::disk(tapline::store::DiskMode::Buffered);
    let mut store = place.open(1);
    FrameMaker::new().append_all(&mut *store, &[messages(1, 3)]);
    // A crash leaves the file in the state that it has while it is open.
    let path = run_path(place.folder(), &instance(), run_id(1));
    let crashed = place.folder().join("crashed.redb");
    fs::copy(&path, &crashed).unwrap();
    assert_unchanged(&crashed, || {
        assert_matches!(refusal(&crashed), OpenSealedError::File(FileError::NotSealed { .. }));
    });
}

#[test]
fn a_file_that_is_not_redb_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.redb");
    for len in [1, 8, 9, 100, 4096, 100_000] {
        fs::write(&path, vec![b'x'; len]).unwrap();
        assert_unchanged(&path, || {
            assert_matches!(
                refusal(&path),
                OpenSealedError::File(FileError::Fault { source: BackendFault::Corrupted(_), .. })
            );
        });
    }
}

#[test]
fn an_empty_file_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.redb");
    fs::write(&path, b"").unwrap();
    assert_unchanged(&path, || {
        assert_matches!(
            refusal(&path),
            OpenSealedError::File(FileError::Fault { source: BackendFault::Corrupted(_), .. })
        );
    });
}

#[test]
fn a_folder_is_not_a_run() {
    let folder = tempfile::tempdir().unwrap();
    assert_matches!(refusal(folder.path()), OpenSealedError::File(FileError::Fault { .. }));
}

#[test]
fn a_foreign_redb_file_has_no_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.redb");
    drop(redb::Database::create(&path).unwrap());
    assert_matches!(refusal(&path), OpenSealedError::Read { source: ReadFault::NoRun, .. });
}

#[test]
fn another_version_of_the_format_is_named() {
    let file = SealedFile::record(&[messages(1, 3)]);
    for version in [1, 2, 4] {
        tamper::meta(&file.path, "format", &u64::to_le_bytes(version));
        assert_matches!(
            refusal(&file.path),
            OpenSealedError::Read { source: ReadFault::Version { found, expected: 3 }, .. }
                if found == version
        );
    }
    tamper::meta(&file.path, "format", &[1]);
    assert_matches!(
        refusal(&file.path),
        OpenSealedError::Read { source: ReadFault::Missing { what: "format version" }, .. }
    );
}

#[test]
fn an_undecodable_manifest_is_an_error() {
    let file = SealedFile::record(&[messages(1, 3)]);
    tamper::meta(&file.path, "manifest", b"{}");
    assert_matches!(
        refusal(&file.path),
        OpenSealedError::Read { source: ReadFault::Manifest(_), .. }
    );
}

/// A file that is cut anywhere gives an error: no panic, and not fewer entries.
#[test]
fn a_truncated_file_does_not_open() {
    let file = SealedFile::record(&[messages(1, 300), messages(301, 600)]);
    let whole = fs::read(&file.path).unwrap();
    let cut = file.path.with_file_name("cut.redb");
    let lengths = (0..whole.len()).step_by(4096).chain([1, 8, 63, 64, 319, whole.len() - 1]);
    for len in lengths {
        fs::write(&cut, &whole[..len]).unwrap();
        assert_unchanged(&cut, || match refusal(&cut) {
            OpenSealedError::File(FileError::Fault { .. } | FileError::NotSealed { .. }) => {}
            other => panic!("cut to {len} bytes: {other:?}"),
        });
    }
}

fn write_refusal(base_dir: &Path, manifest: RunManifest) -> OpenRunError {
    match RedbBackend::new(base_dir).open_run(manifest) {
        Ok(opening) => panic!("it opened: {opening:?}"),
        Err(error) => error,
    }
}

#[test]
fn opening_refuses_a_file_without_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = run_path(folder.path(), &instance(), run_id(1));
    fs::create_dir(path.parent().unwrap()).unwrap();

    fs::write(&path, b"not a database, but twenty-nine kilobytes of somebody's work").unwrap();
    assert_unchanged(&path, || {
        assert_matches!(
            write_refusal(folder.path(), manifest(1)),
            OpenRunError::File(FileError::Fault { source: BackendFault::Corrupted(_), .. })
        );
    });

    fs::remove_file(&path).unwrap();
    drop(redb::Database::create(&path).unwrap());
    assert_matches!(
        write_refusal(folder.path(), manifest(1)),
        OpenRunError::Foreign { run_id: id, .. } if id == run_id(1)
    );
}

#[test]
fn a_run_is_not_opened_over_another_run() {
    let place = Place::disk(tapline::store::DiskMode::Direct);
    for (n, seal) in [(1, false), (2, true)] {
        let mut store = place.open(n);
        if seal {
            store.seal(RunStatus::Ended, None).unwrap();
        }
        drop(store);
        let (held, named) = (run_id(n), run_id(n + 10));
        let path = |id| run_path(place.folder(), &instance(), id);
        fs::rename(path(held), path(named)).unwrap();
        assert_matches!(
            write_refusal(place.folder(), manifest(n + 10)),
            OpenRunError::Foreign { run_id: id, .. } if id == named
        );
    }
}

#[test]
fn a_crashed_file_cut_short_is_damaged() {
    let place = Place::disk(tapline::store::DiskMode::Buffered);
    let path = run_path(place.folder(), &instance(), run_id(1));
    let mut store = place.open(1);
    FrameMaker::new().append_all(&mut *store, &[messages(1, 300)]);
    let whole = fs::read(&path).unwrap();
    drop(store);
    for len in [1, 64, 319, 4096, 10_000, whole.len() / 2] {
        fs::write(&path, &whole[..len]).unwrap();
        assert_matches!(
            write_refusal(place.folder(), manifest(1)),
            OpenRunError::File(FileError::Fault { source: BackendFault::Corrupted(_), .. })
        );
    }
}
