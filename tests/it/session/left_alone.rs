//! Files in an instance's folder that are no runs of it, or cannot be read. They stay as they are
//! and do not stop a boot, and the sweep says what is wrong with them.

use std::fs;
use std::path::Path;

use tapline::RunStatus::CrashedRecovered;
use tapline::internals::run_path;
use tapline::runs::{RestoreParentError, SkipKind};
use tapline::session::{
    EventStoreConfig, EventStoreLifecycle, KernelEventStore, LifecycleOptions, OpenError,
};
use tapline::store::{
    DiskMode, EventStore, FileError, OpenRunError, OpenSealedError, ReadFault, RedbBackend,
};
use tapline::{InstanceId, OnUnreadableRun, RunManifest, RunStatus, UnixNanos};

use super::sweeping::{path, recovered, sweep};
use super::{cut, leave, leave_child, leave_closed, lifecycle, open};
use crate::support::files::assert_unchanged;
use crate::support::ledger::Ledger;
use crate::support::{FrameMaker, assert_matches, instance, run_id, tamper};

/// Copies run `n` of another instance into this one's folder. Without a status it was left
/// unsealed, in a closed file.
fn copy_of_another(folder: &Path, n: u32, status: Option<RunStatus>) {
    let other: InstanceId = "node-2".parse().unwrap();
    let mut store = RedbBackend::with_disk_mode(folder, DiskMode::Buffered);
    store.open_run(RunManifest::new(other.clone(), run_id(n), run_id(n).start())).unwrap();
    FrameMaker::new().append_all(&mut store, &cut());
    if let Some(status) = status {
        store.seal(status, Some(UnixNanos::new(1_010))).unwrap();
    }
    drop(store);
    fs::create_dir_all(folder.join("node-1")).unwrap();
    fs::copy(run_path(folder, &other, run_id(n)), path(folder, n)).unwrap();
}

#[test]
fn a_foreign_run_is_left_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &cut());
    copy_of_another(folder, 2, None);
    copy_of_another(folder, 3, Some(CrashedRecovered));
    let sweep = || assert_unchanged(&path(folder, 2), || sweep(folder));
    let swept = assert_unchanged(&path(folder, 3), sweep);
    assert_eq!(recovered(&swept), [(run_id(1), CrashedRecovered, 10)]);
    assert_eq!((swept.parent_run_id, swept.newest_run_id), (Some(run_id(1)), Some(run_id(1))));
    assert_eq!(swept.passed_over, []);
    let said = ["does not hold run", "of instance node-2"];
    assert_eq!(swept.skipped.len(), said.len());
    assert!(swept.skipped.iter().all(|skipped| skipped.kind == SkipKind::Foreign));
    for (skipped, said) in swept.skipped.iter().zip(said) {
        assert!(skipped.error.contains(said), "{}", skipped.error);
    }
}

#[test]
fn a_foreign_run_is_never_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    copy_of_another(folder, 1, Some(CrashedRecovered));
    let foreign = |source: &OpenSealedError| {
        matches!(source, OpenSealedError::Read { source: ReadFault::Foreign { .. }, .. })
    };
    let mut config = EventStoreConfig::new(folder);
    config.replay_from_run_id = Some(run_id(1));
    let mut replaying = EventStoreLifecycle::new(Some(config), LifecycleOptions::default());
    assert_matches!(
        open(&mut replaying),
        Err(OpenError::ReplayRun(RestoreParentError::Open { source, .. })) if foreign(&source)
    );

    leave_child(folder, 2, Some(1), &cut());
    let mut ledger = Ledger::default();
    assert_matches!(
        lifecycle(folder).restore_parent_cache(&instance(), &mut ledger),
        Err(OpenError::Restore(RestoreParentError::Open { run_id: run, source }))
            if run == run_id(1) && foreign(&source)
    );
}

/// Opening a file for writing changes it.
#[test]
fn a_skipped_file_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for n in 1..=3 {
        leave_closed(folder, n, &cut());
    }
    fs::rename(path(folder, 1), path(folder, 11)).unwrap();
    tamper::meta(&path(folder, 2), "format", &9_u64.to_le_bytes());
    tamper::edit(&path(folder, 3), |transaction| {
        let mut table = transaction.open_table(tamper::META).unwrap();
        table.remove("format").unwrap();
    });
    let refused = |n| {
        let mut store = RedbBackend::with_disk_mode(folder, DiskMode::Buffered);
        let taken = assert_unchanged(&path(folder, n), || store.reopen(&instance(), run_id(n)));
        taken.unwrap_err()
    };
    assert_matches!(refused(11), OpenRunError::Foreign { .. });
    assert_matches!(
        refused(2),
        OpenRunError::Damaged { source: ReadFault::Version { found: 9, .. }, .. }
    );
    assert_matches!(
        refused(3),
        OpenRunError::Damaged { source: ReadFault::Missing { what: "format version" }, .. }
    );
}

/// Opening a pipe waits for its other end.
#[cfg(unix)]
#[test]
fn a_pipe_as_run_file_does_not_block() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &cut());
    let pipes = [path(folder, 1).with_extension("markers.redb"), path(folder, 2)];
    for pipe in &pipes {
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    let swept = sweep(folder);
    assert_eq!(recovered(&swept), [(run_id(1), CrashedRecovered, 10)]);
    assert_eq!(swept.skipped.len(), pipes.len());
    assert!(swept.skipped.iter().all(|skipped| skipped.kind == SkipKind::Io));
    for (skipped, pipe) in swept.skipped.iter().zip(pipes) {
        assert_eq!(skipped.path, pipe);
        assert!(skipped.error.ends_with("it is no regular file"), "{}", skipped.error);
    }
    let taken = RedbBackend::new(folder).reopen(&instance(), run_id(2));
    assert_matches!(taken, Err(OpenRunError::File(FileError::Fault { .. })));
}

#[test]
fn a_stray_file_does_not_shift_ids() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &cut());
    fs::write(folder.join("node-1/18446744073709551615-00000000.redb"), b"no run").unwrap();
    let swept = sweep(folder);
    assert_eq!((swept.skipped.len(), swept.passed_over), (1, vec![]));
    assert_eq!(swept.newest_run_id, Some(run_id(1)));
    let mut lifecycle = lifecycle(folder);
    let first = open(&mut lifecycle).unwrap();
    let second = open(&mut lifecycle).unwrap();
    assert!(run_id(1) < first && first < second, "{first}, {second}");
    assert!(second.start() < UnixNanos::new(1 << 62), "{second}");
}

#[test]
fn an_unreadable_newer_run_is_passed_over_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &cut());
    leave_closed(folder, 2, &cut());
    let looking = redb::ReadOnlyDatabase::open(path(folder, 2)).unwrap();
    // A sweep alone decides nothing.
    for _ in 0..2 {
        let swept = sweep(folder);
        assert_eq!((swept.parent_run_id, swept.passed_over), (Some(run_id(1)), vec![run_id(2)]));
    }
    let refused = open(&mut lifecycle(folder)).unwrap_err();
    assert_matches!(&refused, OpenError::PassedOver { run_id: run, file }
        if *run == run_id(2) && file.kind == SkipKind::InUse);
    let mut config = EventStoreConfig::new(folder);
    config.on_unreadable_run = OnUnreadableRun::PassOver;
    let mut lifecycle = EventStoreLifecycle::new(Some(config), LifecycleOptions::default());
    let opened = open(&mut lifecycle).unwrap();
    let manifest = lifecycle.session().unwrap().reader().manifest().unwrap();
    assert_eq!(manifest.parent_run_id, Some(run_id(1)));
    let said = [format!("passed-over={}", run_id(2)), "retention=full".to_owned()];
    assert_eq!(manifest.feature_flags, said);
    lifecycle.seal(UnixNanos::new(1)).unwrap();
    drop((lifecycle, looking));

    let swept = sweep(folder);
    assert_eq!(recovered(&swept), [(run_id(2), CrashedRecovered, 10)]);
    assert_eq!((swept.parent_run_id, swept.passed_over), (Some(opened), vec![]));
}

/// A node can tell what to do without reading the text.
#[test]
fn a_skipped_file_names_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for n in 1..=3 {
        leave_closed(folder, n, &cut());
    }
    let _looking = redb::ReadOnlyDatabase::open(path(folder, 1)).unwrap();
    tamper::meta(&path(folder, 2), "format", &9_u64.to_le_bytes());
    fs::write(path(folder, 3), b"this is no run file").unwrap();
    fs::create_dir(path(folder, 4)).unwrap();
    fs::write(folder.join("node-1/notes.redb"), b"").unwrap();
    let swept = sweep(folder);
    let kinds: Vec<SkipKind> = swept.skipped.iter().map(|file| file.kind).collect();
    use SkipKind::{Damaged, Foreign, InUse, Io, OtherVersion};
    assert_eq!(kinds, [Foreign, InUse, OtherVersion, Damaged, Io], "{:?}", swept.skipped);
}

#[test]
fn an_unreadable_older_run_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave_closed(folder, 1, &cut());
    leave(folder, 2, &cut());
    let _looking = redb::ReadOnlyDatabase::open(path(folder, 1)).unwrap();
    let swept = sweep(folder);
    assert_eq!((swept.parent_run_id, swept.passed_over), (Some(run_id(2)), vec![]));
}
