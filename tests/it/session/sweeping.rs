use std::fs;
use std::path::{Path, PathBuf};

use tapline::RunStatus::{self, CrashedRecovered, Ended, Quarantined};
use tapline::internals::{RUN_ENDED_TOPIC, run_path};
use tapline::read::{Finding, Verifier};
use tapline::runs::{RUN_ENDED_TYPE, SweepReport, recover_predecessors};
use tapline::store::{DiskMode, EventStore, RedbBackend, open_sealed_file};
use tapline::{RunId, UnixNanos};

use super::{cut, ended, leave, leave_child, leave_closed};
use crate::support::files::assert_unchanged;
use crate::support::{FrameMaker, Message, instance, manifest, run_id, tamper};

pub(super) fn sweep(folder: &Path) -> SweepReport {
    recover_predecessors(folder, &instance()).expect("the folder is free")
}

pub(super) fn path(folder: &Path, n: u32) -> PathBuf {
    run_path(folder, &instance(), run_id(n))
}

pub(super) fn recovered(report: &SweepReport) -> Vec<(RunId, RunStatus, u64)> {
    report.recovered.iter().map(|run| (run.run_id, run.status, run.watermark)).collect()
}

fn seal(folder: &Path, n: u32, status: RunStatus) {
    let mut store = RedbBackend::with_disk_mode(folder, DiskMode::Buffered);
    store.open_run(manifest(n)).unwrap();
    FrameMaker::new().append_all(&mut store, &cut());
    store.seal(status, Some(UnixNanos::new(1_010))).unwrap();
}

#[test]
fn every_row_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &[]);
    leave(folder, 2, &ended());
    leave(folder, 3, &cut());
    leave_closed(folder, 4, &cut());
    tamper::frame(&path(folder, 4), 4, |frame| frame.records[1][70] ^= 1);
    leave_closed(folder, 5, &cut());
    tamper::remove_frame(&path(folder, 5), 4);
    leave_closed(folder, 6, &cut());
    tamper::frame_bytes(&path(folder, 6), 7, |bytes| bytes.truncate(100));

    let report = sweep(folder);
    assert_eq!(
        recovered(&report),
        [
            (run_id(1), CrashedRecovered, 0),
            (run_id(2), Ended, 11),
            (run_id(3), CrashedRecovered, 10),
            (run_id(4), Quarantined, 10),
            (run_id(5), Quarantined, 10),
            (run_id(6), Quarantined, 0), // where it ends cannot be said
        ]
    );
    assert_eq!(report.parent_run_id, Some(run_id(3)));
    assert_eq!(report.skipped, []);
    assert_eq!(report.recovered[3].findings[0], Finding::HashMismatch { seq: 5 });
    assert_eq!(report.recovered[4].findings[0], Finding::Gap { from: 4, to: 6 });
    assert!(matches!(report.recovered[5].findings[0], Finding::FrameDamaged { first_seq: 7, .. }));

    for (n, status, end) in
        [(1, CrashedRecovered, None), (2, Ended, Some(2_000)), (3, CrashedRecovered, Some(1_010))]
    {
        let source = open_sealed_file(&path(folder, n)).unwrap();
        let manifest = source.manifest().unwrap();
        assert_eq!((manifest.status, manifest.end_ts_init), (status, end.map(UnixNanos::new)));
        let root = report.recovered[n as usize - 1].root;
        let verdict = Verifier::new(source).expect_root(root).run(|_| ());
        assert_eq!(verdict.findings, [], "run {n}");
    }
    for n in [4, 5, 6] {
        let manifest = open_sealed_file(&path(folder, n)).unwrap().manifest().unwrap();
        assert_eq!(manifest.status, Quarantined);
    }
}

#[test]
fn a_second_sweep_finds_the_same_parent() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &cut());
    leave(folder, 2, &cut());
    assert_eq!(sweep(folder).parent_run_id, Some(run_id(2)));
    for n in [1, 2] {
        assert_unchanged(&path(folder, n), || {
            let again = sweep(folder);
            assert_eq!((again.recovered, again.parent_run_id), (vec![], Some(run_id(2))));
        });
    }
}

#[test]
fn an_end_needs_topic_and_type() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let last = |topic: &str, payload_type: &str| {
        let mut batches = cut();
        batches.push(vec![Message::new(topic, payload_type, 2_000, b"{}")]);
        batches
    };
    leave(folder, 1, &last(RUN_ENDED_TOPIC, "OrderEvent"));
    leave(folder, 2, &last("events.order", RUN_ENDED_TYPE));
    // There may be another such entry before the end.
    let mut batches = ended();
    batches.push(vec![Message::nth(12)]);
    leave(folder, 3, &batches);
    let statuses: Vec<_> = sweep(folder).recovered.iter().map(|run| run.status).collect();
    assert_eq!(statuses, [CrashedRecovered; 3]);
}

#[test]
fn the_newest_sound_run_is_the_parent() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    seal(folder, 1, CrashedRecovered);
    assert_eq!(sweep(folder).parent_run_id, Some(run_id(1)));
    seal(folder, 2, Quarantined);
    assert_eq!(sweep(folder).parent_run_id, Some(run_id(1)), "a damaged one does not");
    seal(folder, 3, Ended);
    assert_eq!(sweep(folder).parent_run_id, Some(run_id(3)), "however it ended");
    leave(folder, 4, &cut());
    assert_eq!(sweep(folder).parent_run_id, Some(run_id(4)));
}

#[test]
fn an_ended_unsealed_run_is_the_parent() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    seal(folder, 1, CrashedRecovered);
    leave_child(folder, 2, Some(1), &ended());
    for sweeps in 1..=2 {
        assert_eq!(sweep(folder).parent_run_id, Some(run_id(2)), "sweep {sweeps}");
    }
}

#[test]
fn a_run_in_brief_use_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave_closed(folder, 1, &cut());
    let looking = redb::ReadOnlyDatabase::open(path(folder, 1)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            drop(looking);
        });
        assert_eq!(recovered(&sweep(folder)), [(run_id(1), CrashedRecovered, 10)]);
    });
}

#[test]
fn a_run_in_use_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave_closed(folder, 1, &cut());
    let looking = redb::ReadOnlyDatabase::open(path(folder, 1)).unwrap();
    let report = sweep(folder);
    assert_eq!((report.recovered, report.parent_run_id), (vec![], None));
    assert!(report.skipped[0].error.contains("is in use by"), "{}", report.skipped[0].error);
    drop(looking);
    assert_eq!(sweep(folder).parent_run_id, Some(run_id(1)));
}

#[test]
fn an_unopenable_file_does_not_stop_a_boot() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &cut());
    leave(folder, 2, &cut());
    // Neither of redb's last two commits can be read.
    let mut bytes = fs::read(path(folder, 2)).unwrap();
    for byte in &mut bytes[4096..] {
        *byte ^= 0x5a;
    }
    fs::write(path(folder, 2), bytes).unwrap();
    let report = sweep(folder);
    assert_eq!(recovered(&report), [(run_id(1), CrashedRecovered, 10)]);
    assert_eq!(report.skipped.len(), 1);
    assert_eq!(report.skipped[0].path, path(folder, 2));
}

#[test]
fn foreign_files_are_reported_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &cut());
    let whole = fs::read(path(folder, 1)).unwrap();
    fs::write(path(folder, 2), b"").unwrap();
    fs::write(path(folder, 3), b"this is no run file").unwrap();
    fs::write(path(folder, 4), &whole[..5_000]).unwrap();
    fs::write(path(folder, 5), &whole).unwrap(); // run 1 under another name
    let instance_folder = folder.join("node-1");
    fs::write(instance_folder.join("notes.redb"), &whole).unwrap();
    fs::create_dir(path(folder, 6)).unwrap();
    // It is no run. It is not the sidecar that it should be, either.
    let sidecar = format!("{}.markers.redb", run_id(1));
    fs::write(instance_folder.join(&sidecar), b"a sidecar").unwrap();
    // Files of others.
    fs::write(instance_folder.join("README"), b"").unwrap();

    let report = sweep(folder);
    assert_eq!(recovered(&report), [(run_id(1), CrashedRecovered, 10)]);
    assert_eq!(report.parent_run_id, Some(run_id(1)));
    let skipped: Vec<_> =
        report.skipped.iter().map(|file| file.path.file_name().unwrap().to_owned()).collect();
    let name = |n| path(folder, n).file_name().unwrap().to_owned();
    let notes = "notes.redb".into();
    assert_eq!(skipped, [notes, sidecar.into(), name(2), name(3), name(4), name(5), name(6)]);
    for file in &report.skipped {
        assert!(!file.error.is_empty());
    }
    assert_eq!(report.skipped[0].error, "its name is not that of a run");
    let error = report.skipped[5].error.clone();
    assert!(error.contains("does not hold run"), "{error}");
    assert_eq!(fs::read(path(folder, 3)).unwrap(), b"this is no run file");
}

#[test]
fn temporary_files_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &cut());
    let temporary =
        ["new", "markers.new"].map(|extension| path(folder, 2).with_extension(extension));
    for file in &temporary {
        fs::write(file, b"half a header").unwrap();
    }
    let foreign = folder.join("node-1/notes.new");
    fs::write(&foreign, b"somebody's notes").unwrap();
    assert_eq!(sweep(folder).skipped, []);
    assert!(temporary.iter().all(|file| !file.exists()) && foreign.exists());
}

#[test]
fn a_sealed_but_unclosed_file_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut store = RedbBackend::with_disk_mode(folder, DiskMode::Buffered);
    store.open_run(manifest(1)).unwrap();
    FrameMaker::new().append_all(&mut store, &cut());
    store.seal(CrashedRecovered, Some(UnixNanos::new(1_010))).unwrap();
    // A power cut between seal and close leaves it like this.
    let as_left = fs::read(path(folder, 1)).unwrap();
    drop(store);
    fs::write(path(folder, 1), as_left).unwrap();
    assert!(open_sealed_file(&path(folder, 1)).is_err());

    let report = sweep(folder);
    assert_eq!((recovered(&report), report.skipped), (vec![], vec![]));
    assert_eq!(report.parent_run_id, Some(run_id(1)));
    assert!(open_sealed_file(&path(folder, 1)).is_ok());
}

#[test]
fn a_missing_folder_has_nothing_to_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let report = sweep(&folder.path().join("not/there"));
    assert_eq!((report.recovered, report.parent_run_id, report.skipped), (vec![], None, vec![]));
}
