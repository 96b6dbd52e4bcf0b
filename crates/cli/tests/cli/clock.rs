//! The system's clock is set while the program runs, and between its runs; as it seems to the
//! program by libfaketime.

use std::path::Path;
use std::process::Command;

use tapline::{RunStatus, UnixNanos};

use crate::running::{Running, wait_until};
use crate::support::{
    Sandbox, captured, durable_reported, manifest, numbered_lines, payloads, run, tapline,
};

/// Where Debian's package `libfaketime` has it.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
const YEAR_NS: u64 = 365 * 24 * 3_600_000_000_000;

/// `tapline record` reading stdin, which sees the time as the file at `offset` says; `None`, having
/// said why, where that cannot be done.
fn record_by_clock(sandbox: &Sandbox, offset: &Path) -> Option<Command> {
    if !Path::new(LIBRARY).exists() {
        println!("skipped: there is no {LIBRARY}");
        return None;
    }
    let mut record = sandbox.command("record");
    record.args(["--input", "-", "--durable-every-ms", "1"]);
    // Timeouts are the kernel's, by a clock that nobody can set.
    record.env("LD_PRELOAD", LIBRARY).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    record.env("FAKETIME_TIMESTAMP_FILE", offset).env("FAKETIME_NO_CACHE", "1");
    Some(record)
}

#[test]
fn killed_runs_sort_as_they_came_and_each_continues_from_the_one_before() {
    let sandbox = Sandbox::new();
    // A run that ended in order is the older one, whatever the times say.
    sandbox.record(numbered_lines(3), &[]).exits(0);
    for (offset, known) in ["-20y", "+30y", "-1d", "+0", "-40y"].into_iter().zip(1..) {
        let offset = sandbox.file("offset", offset.as_bytes());
        let Some(mut record) = record_by_clock(&sandbox, &offset) else { return };
        let mut running = Running::start(&mut record);
        running.feed(&numbered_lines(100));
        wait_until("all is durable", || durable_reported(&running.stderr()) == 101);
        running.kill();
        assert_eq!(running.end().code, None);
        assert_eq!(sandbox.run_files().len(), known + 1);
    }
    let offset = sandbox.file("offset", b"-40y");
    let Some(mut record) = record_by_clock(&sandbox, &offset) else { return };
    let last = run(&mut record, b"").exits(1).report();

    let runs = sandbox.run_files();
    assert_eq!(runs.last(), Some(&last.path));
    let manifests: Vec<_> = runs.iter().map(|path| manifest(path)).collect();
    assert_eq!(manifests[0].status, RunStatus::Ended);
    assert!(
        manifests[1..runs.len() - 1].iter().all(|run| run.status == RunStatus::CrashedRecovered)
    );
    for pair in manifests.windows(2) {
        assert_eq!(pair[1].parent_run_id, Some(pair[0].run_id));
    }
}

#[test]
fn within_a_run_entries_keep_their_order_and_have_the_time_of_the_clock() {
    const OFFSETS: [(&str, i64); 4] = [("+0", 0), ("-20y", -20), ("+30y", 30), ("-1y", -1)];
    let sandbox = Sandbox::new();
    let offset = sandbox.file("offset", OFFSETS[0].0.as_bytes());
    let Some(mut record) = record_by_clock(&sandbox, &offset) else { return };
    let before = UnixNanos::now().as_u64();
    let mut running = Running::start(&mut record);
    for ((text, _), round) in OFFSETS.into_iter().zip(1..) {
        // In one step, since the program may read it at any moment.
        let next = sandbox.file("offset.next", text.as_bytes());
        std::fs::rename(next, &offset).expect("it is ours");
        running.feed(&numbered_lines(100));
        wait_until("all is durable", || durable_reported(&running.stderr()) == round * 100 + 1);
    }
    running.close_stdin();
    let report = running.end().exits(0).report();
    assert_eq!((report.entries, report.watermark), (400, 402));
    let numbers: Vec<String> = (0..400).map(|index| (index % 100 + 1).to_string()).collect();
    assert_eq!(payloads(&report.path), numbers);
    for (entries, (text, years)) in captured(&report.path).chunks(100).zip(OFFSETS) {
        // To within some months: leap days.
        let expected = before.saturating_add_signed(years * YEAR_NS.cast_signed());
        let is_near = |at: u64| at.abs_diff(expected) < YEAR_NS / 4;
        assert!(entries.iter().all(|entry| is_near(entry.ts_publish.as_u64())), "{text}");
    }
    tapline(["verify".as_ref(), report.path.as_os_str()]).exits(0);
}
