//! A full disk is told apart from damage. A limit on file size stands for the end of the disk: this
//! test binary is started again under `ulimit -f`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tapline::store::{
    AppendError, BackendFault, DiskMode, EventStore, FileError, OpenRunError, RedbBackend,
    RunOpening,
};

use crate::support::message::messages;
use crate::support::{FrameMaker, Message, assert_matches, manifest};

const FOLDER: &str = "TAPLINE_TEST_FOLDER";

/// Runs an ignored test of this binary in a process that cannot write files beyond `kib`.
fn run_under_limit(test: &str, kib: u32, folder: &Path) {
    // Without the trap, the system ends a process that writes beyond the limit.
    let script = format!("trap '' XFSZ; ulimit -f {} && exec \"$0\" \"$@\"", kib * 2);
    let name = format!("disk_faults::disk_full::{test}");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--ignored", "--test-threads=1"])
        .env(FOLDER, folder)
        .output()
        .unwrap();
    let passed = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    assert!(output.status.success() && passed, "{output:?}");
}

/// The folder that [`run_under_limit`] chose; `None` if the ignored tests are run in another way.
fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

#[test]
#[ignore = "needs a limit on the size of files; the test below starts it"]
fn opening_under_the_limit() {
    let Some(folder) = folder() else { return };
    assert_matches!(
        RedbBackend::new(folder).open_run(manifest(1)),
        Err(OpenRunError::File(FileError::Fault { source: BackendFault::Disk(_), .. }))
    );
}

#[test]
fn a_full_disk_refuses_a_new_run() {
    let folder = tempfile::tempdir().unwrap();
    run_under_limit("opening_under_the_limit", 16, folder.path());
}

fn large(n: u64) -> Message {
    Message::new("large", "Blob", n, &vec![0x5a; 60_000])
}

#[test]
#[ignore = "needs a limit on the size of files; the test below starts it"]
fn appending_under_the_limit() {
    let Some(folder) = folder() else { return };
    for mode in [DiskMode::Direct, DiskMode::Buffered] {
        let mut store = RedbBackend::with_disk_mode(folder.join(format!("{mode:?}")), mode);
        store.open_run(manifest(1)).unwrap();
        let mut maker = FrameMaker::new();
        let refused = (1..=100)
            .find_map(|n| store.append(&[maker.frame(&[large(n), large(n), large(n)])]).err());
        assert_matches!(refused, Some(AppendError::Fault(BackendFault::Disk(_))));
        let acknowledged = store.tail().unwrap().watermark;
        assert!(acknowledged > 0);
        let noted = folder.join(format!("{mode:?}")).join("acknowledged");
        std::fs::write(noted, acknowledged.to_string()).unwrap();
    }
}

#[test]
fn a_full_disk_keeps_acknowledged_entries() {
    let folder = tempfile::tempdir().unwrap();
    run_under_limit("appending_under_the_limit", 4096, folder.path());
    for mode in [DiskMode::Direct, DiskMode::Buffered] {
        let base_dir = folder.path().join(format!("{mode:?}"));
        let acknowledged = std::fs::read_to_string(base_dir.join("acknowledged")).unwrap();
        let mut store = RedbBackend::with_disk_mode(&base_dir, mode);
        assert_matches!(store.open_run(manifest(1)), Ok(RunOpening::CrashedPredecessor(_)));
        let tail = store.tail().unwrap();
        assert_eq!(tail.watermark.to_string(), acknowledged);

        let mut maker = FrameMaker::behind(tail);
        store.append(&[maker.frame(&messages(1, 1))]).unwrap();
    }
}
