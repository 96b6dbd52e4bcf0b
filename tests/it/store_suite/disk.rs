//! What a backend with files does to the disk, and in which order.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tapline::internals::{DiskOp, DiskProbe, run_path};
use tapline::store::{BackendFault, DiskMode, EventStore, FileError, OpenRunError, RedbBackend};

use super::abandoned;
use crate::support::files::assert_unchanged;
use crate::support::{Place, assert_matches, instance, manifest, run_id};

/// Writes down each operation, and lets it fail on request.
#[derive(Debug, Default)]
struct Notes {
    done: Mutex<Vec<(PathBuf, &'static str)>>,
    /// How many more syncs fail.
    failing_syncs: Mutex<u32>,
    is_full: bool,
}

impl DiskProbe for Notes {
    fn before(&self, path: &Path, op: DiskOp<'_>) -> io::Result<()> {
        let what = match op {
            DiskOp::Read { .. } => "read",
            DiskOp::Write { .. } => "write",
            DiskOp::Sync => "sync",
            DiskOp::DropCache => "drop cache",
            DiskOp::SyncFolder => "sync folder",
            _ => "other",
        };
        self.done.lock().unwrap().push((path.to_owned(), what));
        let mut failing_syncs = self.failing_syncs.lock().unwrap();
        match what {
            "sync" if *failing_syncs > 0 => {
                *failing_syncs -= 1;
                Err(io::Error::other("the disk is gone"))
            }
            "write" if self.is_full => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl Notes {
    fn done(&self) -> Vec<&'static str> {
        self.done.lock().unwrap().iter().map(|(_, what)| *what).collect()
    }
}

/// A backend on `place` whose disk is watched.
fn watched(place: &Place, notes: Notes) -> (RedbBackend, Arc<Notes>) {
    let notes = Arc::new(notes);
    let store = RedbBackend::with_disk_mode(place.folder(), DiskMode::Buffered);
    (store.probed(notes.clone()), notes)
}

fn path(place: &Place) -> PathBuf {
    run_path(place.folder(), &instance(), run_id(1))
}

/// After a failed sync, the system may go on to serve data that exists only in its memory.
#[test]
fn a_reopened_run_is_read_from_disk() {
    let place = Place::disk(DiskMode::Buffered);
    abandoned(&place);
    let (mut store, notes) = watched(&place, Notes::default());
    store.reopen(&instance(), run_id(1)).unwrap();
    let done = notes.done();
    assert_eq!(done[..2], ["sync", "drop cache"]);
    assert!(done.contains(&"read") && store.tail().unwrap().watermark == 9);
}

/// The first sync may report the failure of earlier writes, which nobody waits for any more.
#[test]
fn a_failed_sync_fails_the_run() {
    let place = Place::disk(DiskMode::Buffered);
    abandoned(&place);
    let failing = |syncs| Notes { failing_syncs: Mutex::new(syncs), ..Notes::default() };
    let (mut store, _) = watched(&place, failing(2));
    assert_unchanged(&path(&place), || {
        assert_matches!(
            store.reopen(&instance(), run_id(1)),
            Err(OpenRunError::File(FileError::Fault { path: at, .. })) if at == path(&place)
        );
    });
    let (mut store, notes) = watched(&place, failing(1));
    store.reopen(&instance(), run_id(1)).unwrap();
    assert_eq!(notes.done()[..3], ["sync", "sync", "drop cache"]);
}

/// Whoever made the folders may have died before their names were durable.
#[test]
fn existing_folder_names_are_synced_too() {
    let place = Place::disk(DiskMode::Buffered);
    let base_dir = place.folder();
    for n in 1..=2 {
        let (mut store, notes) = watched(&place, Notes::default());
        store.open_run(manifest(n)).unwrap();
        let done = notes.done.lock().unwrap();
        let synced = done.iter().filter(|(_, what)| *what == "sync folder");
        let synced: Vec<&Path> = synced.map(|(path, _)| &**path).collect();
        let run = run_path(base_dir, &instance(), run_id(n));
        assert_eq!(synced, [&*base_dir.join("node-1"), base_dir, &*run]);
    }
}

#[test]
fn a_full_disk_names_the_file() {
    let place = Place::disk(DiskMode::Buffered);
    let (mut store, _) = watched(&place, Notes { is_full: true, ..Notes::default() });
    let error = store.open_run(manifest(1)).unwrap_err();
    assert_matches!(
        &error,
        OpenRunError::File(FileError::Fault { source: BackendFault::Disk(_), .. })
    );
    let temporary = path(&place).with_extension("new").display().to_string();
    assert!(error.to_string().contains(&temporary), "{error}");
}
