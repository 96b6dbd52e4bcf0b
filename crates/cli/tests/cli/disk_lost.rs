//! The disk goes away under a recording: it ends with the reason, and what was reported durable is
//! there where anything is.

use serde_json::{Value, json};
use tapline::RunStatus;

use crate::disks::SmallDisk;
use crate::running::{Running, wait_until};
use crate::support::{
    Sandbox, durable_reported, entries, manifest, numbered_lines, program, recover, tapline,
};

#[test]
fn a_file_system_that_becomes_read_only() {
    for mode in ["direct", "buffered"] {
        let sandbox = Sandbox::new();
        let Some(disk) = SmallDisk::ext4(&sandbox) else { return };
        let runs = disk.path().join("runs");
        let mut record = program();
        record.args(["record", "--json", "--input", "-", "--durable-every-ms", "1"]);
        record.args(["--disk-mode", mode]).arg("--dir").arg(&runs);
        let mut running = Running::start(&mut record);
        running.feed(&numbered_lines(1000));
        wait_until("all is reported durable", || durable_reported(&running.stderr()) == 1001);
        if !disk.break_down() {
            return;
        }
        running.feed(&numbered_lines(500));

        // With stdin still open: there is nothing to wait for.
        let ran = running.end().exits(2);
        let report = ran.report();
        let reason = report.halted.as_ref().map(|halted| &*halted.reason);
        assert_eq!(reason, Some("the store failed: Read-only file system (os error 30)"));
        assert_eq!((report.entries, report.watermark), (1000, 1001));
        assert_eq!(report.root, None);

        disk.mount_anew(&sandbox);
        let swept = recover(&runs).exits(0).json();
        assert_eq!(swept["recovered"][0]["watermark"], 1001);
        assert_eq!(swept["parent_run_id"], json!(report.run_id));
        let entries = entries(&report.path);
        assert_eq!(entries.len(), 1001);
        for (entry, number) in entries[1..].iter().zip(1..) {
            assert_eq!(&*entry.payload, format!("{number}").as_bytes());
        }
        assert_eq!(manifest(&report.path).status, RunStatus::CrashedRecovered);
        tapline(["verify".as_ref(), report.path.as_os_str()]).exits(0);
    }
}

/// The system goes on writing and syncing a file that has no name any more. The recording must not.
#[test]
fn a_folder_that_is_removed() {
    for mode in ["direct", "buffered"] {
        let sandbox = Sandbox::new();
        let mut record = sandbox.command("record");
        record.args(["--input", "-", "--durable-every-ms", "1", "--disk-mode", mode]);
        let mut running = Running::start(&mut record);
        running.feed(&numbered_lines(1000));
        wait_until("all is reported durable", || durable_reported(&running.stderr()) == 1001);
        std::fs::remove_dir_all(sandbox.instance()).expect("it is ours");
        running.feed(&numbered_lines(500));

        let ran = running.end().exits(2);
        assert_eq!(durable_reported(&ran.stderr), 1001, "nothing is durable any more");
        let report = ran.report();
        let reason = report.halted.as_ref().map(|halted| &*halted.reason);
        assert_eq!(reason, Some("the store failed: its log was removed"));
        assert_eq!((report.entries, report.watermark), (1000, 1001));
        assert_eq!(report.root, None);
        assert!(!sandbox.instance().exists(), "nobody made it anew");

        // The next one begins with nothing.
        let next = sandbox.record(numbered_lines(3), &[]).exits(0).json();
        assert_eq!((&next["entries"], &next["parent_run_id"]), (&json!(3), &Value::Null));
        assert_eq!(sandbox.run_files().len(), 1);
    }
}

/// As with nothing to commit but the end.
#[test]
fn a_run_file_that_is_removed_before_the_seal() {
    let sandbox = Sandbox::new();
    let mut record = sandbox.command("record");
    let mut running = Running::start(record.args(["--input", "-", "--durable-every-ms", "1"]));
    running.feed(&numbered_lines(10));
    wait_until("all is reported durable", || durable_reported(&running.stderr()) == 11);
    std::fs::remove_file(&sandbox.run_files()[0]).expect("it is ours");
    running.close_stdin();

    let ran = running.end().exits(2);
    assert!(ran.stderr.contains("its file was removed"), "{}", ran.stderr);
    let report = ran.report();
    assert_eq!((report.watermark, report.root), (11, None));
}
