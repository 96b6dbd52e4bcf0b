use std::fs;
use std::path::Path;
use std::time::Duration;

use tapline::internals::{error_chain, run_path};
use tapline::runs::{SweepError, recover_predecessors};
use tapline::session::{KernelEventStore, OpenError};
use tapline::{InstanceId, UnixNanos};

use super::{cut, leave, lifecycle, open};
use crate::support::{instance, run_id};

/// The holder of the lock, taken from the error.
fn holder(error: SweepError) -> u32 {
    match error {
        SweepError::Locked { path, process_id, holder } => {
            assert!(path.ends_with("node-1/instance.lock"));
            assert!(holder.contains("since 20") && !holder.contains("no longer runs"), "{holder}");
            process_id.expect("a process id")
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_second_lifecycle_learns_who_holds_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = lifecycle(folder.path());
    let run = open(&mut first).unwrap();
    let mut second = lifecycle(folder.path());
    match open(&mut second).unwrap_err() {
        OpenError::Sweep(error) => assert_eq!(holder(error), std::process::id()),
        other => panic!("{other}"),
    }
    let swept = recover_predecessors(folder.path(), &instance());
    assert_eq!(holder(swept.unwrap_err()), std::process::id());
    assert_eq!(second.run_id(), None);

    // The folder was not harmed, and is free afterwards.
    let report = first.seal(UnixNanos::new(1)).unwrap().expect("the run was open");
    assert_eq!((report.watermark, report.manifest.run_id), (2, run));
    open(&mut second).unwrap();
}

#[test]
fn other_instances_are_free() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = lifecycle(folder.path());
    open(&mut first).unwrap();
    let other: InstanceId = "node-2".parse().unwrap();
    assert!(recover_predecessors(folder.path(), &other).is_ok());
}

#[test]
fn an_unheld_lock_file_locks_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    leave(folder.path(), 1, &cut());
    fs::write(folder.path().join("node-1/instance.lock"), "{\"process_id\":1}").unwrap();
    let report = recover_predecessors(folder.path(), &instance()).unwrap();
    assert_eq!(report.parent_run_id, Some(run_id(1)));
}

/// The lock would empty the file that the link points to.
#[cfg(unix)]
#[test]
fn a_link_as_lock_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    leave(folder.path(), 1, &cut());
    let (lock, notes) = (folder.path().join("node-1/instance.lock"), folder.path().join("notes"));
    fs::write(&notes, "not to be lost").unwrap();
    for target in [&notes, &folder.path().join("not there")] {
        fs::remove_file(&lock).ok();
        std::os::unix::fs::symlink(target, &lock).unwrap();
        let error = recover_predecessors(folder.path(), &instance()).unwrap_err();
        assert!(matches!(error, SweepError::Lock { .. }), "{error}");
        assert!(error_chain(&error).contains("it is no regular file"), "{error}");
    }
    assert_eq!(fs::read_to_string(&notes).unwrap(), "not to be lost");
    assert!(!folder.path().join("not there").exists());
}

#[cfg(unix)]
#[test]
fn a_pipe_as_lock_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    leave(folder.path(), 1, &cut());
    let lock = folder.path().join("node-1/instance.lock");
    fs::remove_file(&lock).ok();
    assert!(std::process::Command::new("mkfifo").arg(&lock).status().unwrap().success());
    let error = recover_predecessors(folder.path(), &instance()).unwrap_err();
    assert!(error_chain(&error).contains("it is no regular file"), "{error}");
}

/// Leaves a run behind, in a file that is held for a moment as `tapline ls` does.
fn leave_held(folder: &Path) -> fs::File {
    leave(folder, 1, &cut());
    let file = fs::File::open(run_path(folder, &instance(), run_id(1))).unwrap();
    file.lock_shared().unwrap();
    file
}

#[test]
fn the_sweep_waits_for_a_brief_reader() {
    let folder = tempfile::tempdir().unwrap();
    let file = leave_held(folder.path());
    let looked = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        drop(file);
    });
    let report = recover_predecessors(folder.path(), &instance()).unwrap();
    looked.join().unwrap();
    assert_eq!(report.parent_run_id, Some(run_id(1)));
}

#[test]
fn a_file_in_use_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = leave_held(folder.path());
    let report = recover_predecessors(folder.path(), &instance()).unwrap();
    assert_eq!((report.passed_over, report.recovered.len()), (vec![run_id(1)], 0));
    drop(file);
    let report = recover_predecessors(folder.path(), &instance()).unwrap();
    assert_eq!((report.passed_over, report.recovered.len()), (vec![], 1));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("a file");
    fs::write(&base, b"").unwrap();
    let error = recover_predecessors(&base, &instance()).unwrap_err();
    assert!(matches!(error, SweepError::Lock { .. }), "{error}");
    assert!(error.to_string().contains("a file"), "{error}");
}
