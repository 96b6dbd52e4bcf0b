//! A run that was left behind can be read as it is: without a sweep, and without a change to its
//! file.

use std::fs;
use std::path::Path;

use tapline::read::{Direction, EventStoreReader};
use tapline::store::{EventStore, FileError, OpenSealedError, RedbBackend};
use tapline::{Entry, RunStatus};

use super::sweeping::path;
use super::{cut, ended, leave, leave_closed};
use crate::support::files::assert_unchanged;
use crate::support::{FrameMaker, Message, assert_matches, instance, manifest, run_id, tamper};

fn entries(reader: &EventStoreReader) -> Vec<Entry> {
    reader.scan(1, u64::MAX, Direction::Forward).map(|entry| entry.expect("sound")).collect()
}

/// Reads the run at `path` before and after its recovery: the same entries.
fn assert_readable(folder: &Path, path: &Path) {
    let left = assert_unchanged(path, || {
        let reader = EventStoreReader::open_file(path).unwrap();
        assert_eq!(reader.manifest().unwrap().status, RunStatus::Running);
        let report = reader.verifier().run(|_| {});
        assert!(report.is_clean(), "{:?}", report.findings);
        let left = entries(&reader);
        assert_eq!(reader.watermark().unwrap(), left.len() as u64);
        assert_eq!(reader.read(7).unwrap().as_ref(), left.get(6));
        left
    });
    assert!(EventStoreReader::open_sealed_file(path).is_err());
    super::sweeping::sweep(folder);
    let sealed = EventStoreReader::open_sealed_file(path).unwrap();
    assert_eq!(entries(&sealed), left);
    assert_eq!(entries(&EventStoreReader::open_file(path).unwrap()), left, "sealed or not");
}

#[test]
fn a_run_that_was_left_behind_can_be_read() {
    for batches in [cut(), ended(), vec![(0..3_000).map(Message::nth).collect()]] {
        let folder = tempfile::tempdir().unwrap();
        leave(folder.path(), 1, &batches);
        assert_readable(folder.path(), &path(folder.path(), 1));
        leave_closed(folder.path(), 2, &batches);
        assert_readable(folder.path(), &path(folder.path(), 2));
    }
}

/// A copy that was made while the run was recorded is at some commit, or is refused.
#[test]
fn a_run_that_is_being_recorded_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = RedbBackend::new(folder.path());
    store.open_run(manifest(1)).unwrap();
    FrameMaker::new().append_all(&mut store, &cut());
    let path = path(folder.path(), 1);
    let refused = EventStoreReader::open_file(&path).err();
    assert_matches!(refused, Some(OpenSealedError::File(FileError::InUse { .. })));
    let copy = folder.path().join("copy.redb");
    fs::copy(&path, &copy).unwrap();
    assert_eq!(entries(&EventStoreReader::open_file(&copy).unwrap()).len(), 10);
    // Nobody is kept from writing by a reader that failed.
    drop(store);
    let held = EventStoreReader::open_file(&path).unwrap();
    let reopened = RedbBackend::new(folder.path()).reopen(&instance(), run_id(1));
    assert!(reopened.is_err(), "a reader holds the file");
    drop(held);
    RedbBackend::new(folder.path()).reopen(&instance(), run_id(1)).unwrap();
}

#[test]
fn what_is_no_run_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.redb");
    let open = || EventStoreReader::open_file(&path).err();
    assert_matches!(open(), Some(OpenSealedError::File(FileError::NotFound { .. })));
    fs::write(&path, b"").unwrap();
    assert_matches!(open(), Some(OpenSealedError::File(FileError::Empty { .. })));
    fs::write(&path, b"this is no run file").unwrap();
    assert_matches!(open(), Some(OpenSealedError::File(FileError::Fault { .. })));
    leave_closed(folder.path(), 1, &cut());
    let run = super::sweeping::path(folder.path(), 1);
    tamper::meta(&run, "format", &9_u64.to_le_bytes());
    assert_matches!(EventStoreReader::open_file(&run).err(), Some(OpenSealedError::Read { .. }));
}
