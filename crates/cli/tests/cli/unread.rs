//! Nobody reads what the program writes, or there is no room for it: that hides nothing that was
//! found, and costs no message.

use std::io::PipeWriter;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tapline::RunStatus;

use crate::support::{
    Ran, Report, Sandbox, flip_byte_in, manifest, numbered_lines, payloads, program, recover,
};

/// A pipe that nobody reads any more.
fn unread_pipe() -> PipeWriter {
    std::io::pipe().expect("a pipe").1
}

/// Runs the program with nothing on stdin, and nobody to read its stdout.
fn run_unread(command: &mut Command) -> Ran {
    Ran::new(command.stdin(Stdio::null()).stdout(unread_pipe()).output().expect("it runs"))
}

/// Runs the program with nothing on stdin, and nobody to read its stderr.
fn run_unheard(command: &mut Command) -> Ran {
    Ran::new(command.stdin(Stdio::null()).stderr(unread_pipe()).output().expect("it runs"))
}

fn record(sandbox: &Sandbox) -> Report {
    let line =
        |payload: &str| format!("{{\"topic\":\"t\",\"type\":\"T\",\"payload\":\"{payload}\"}}\n");
    let input = [line("one"), line("needle-in-the-file"), line("three")].concat();
    sandbox.record(input, &[]).exits(0).report()
}

/// A run in which one entry is damaged.
fn damaged(sandbox: &Sandbox) -> PathBuf {
    let path = record(sandbox).path;
    flip_byte_in(&path, b"needle-in-the-file");
    path
}

#[test]
fn commands_that_find_nothing() {
    let sandbox = Sandbox::new();
    let path = record(&sandbox).path;
    for command in ["verify", "scan"] {
        run_unread(program().arg(command).arg(&path)).exits(0).says("");
    }
    run_unread(&mut sandbox.command("ls")).exits(0).says("");
    run_unread(program().arg("recover").arg(sandbox.runs())).exits(0).says("");
    run_unread(sandbox.command("retain").args(["--mode", "full"])).exits(0).says("");
}

#[test]
fn what_was_found_is_in_the_exit_code() {
    let sandbox = Sandbox::new();
    let damaged = damaged(&sandbox);
    run_unread(program().arg("verify").arg(&damaged)).exits(1).says("");
    let found = format!("{}: entry 3 does not match its hash\n", damaged.display());
    run_unread(program().arg("scan").arg(&damaged)).exits(1).says(&found);
    let no_such_key = ["venue_order_id", "X-1", "--json"];
    run_unread(program().arg("lookup").arg(&damaged).args(no_such_key)).exits(1).says("");

    std::fs::write(&damaged, "no run").expect("writable");
    run_unread(&mut sandbox.command("ls")).exits(1).says("");
    run_unread(program().arg("recover").arg(sandbox.runs())).exits(1).says("");
    run_unread(sandbox.command("retain").args(["--mode", "full"])).exits(1).says("");
}

#[test]
fn what_could_not_be_done_is_in_the_exit_code() {
    let sandbox = Sandbox::new();
    let path = record(&sandbox).path;
    let ran = run_unread(program().arg("verify").arg(sandbox.path("missing.redb")).arg(&path));
    ran.exits(2).says("error: not every run could be verified; see above\n");
}

#[test]
fn verify_goes_on_to_the_last_run() {
    let sandbox = Sandbox::new();
    let (good, damaged) = (record(&sandbox).path, damaged(&sandbox));
    run_unread(program().arg("verify").args([&good, &good, &damaged])).exits(1).says("");
    run_unread(&mut sandbox.command("verify")).exits(1).says("");
}

/// More than is written at a time: a scan that nobody reads ends long before the run does.
#[test]
fn a_long_scan_that_nobody_reads_ends_with_what_it_found() {
    let sandbox = Sandbox::new();
    let report = sandbox.record(numbered_lines(20_000), &[]).exits(0).report();
    run_unread(program().arg("scan").arg(&report.path)).exits(0).says("");
}

/// Where the report is lost though somebody wants it, the command has not done its work.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_without_room_for_the_report() {
    let sandbox = Sandbox::new();
    let path = record(&sandbox).path;
    let error = "error: cannot write to stdout: No space left on device (os error 28)\n";
    for command in ["verify", "scan"] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("it is there");
        let mut command_line = program();
        let ran = command_line.arg(command).arg(&path).stdin(Stdio::null()).stdout(full).output();
        Ran::new(ran.expect("it runs")).exits(2).says(error);
    }
}

#[test]
fn bad_lines_that_nobody_is_told_of_are_counted_and_cost_no_other() {
    let sandbox = Sandbox::new();
    let input = ["nonsense\n", &*numbered_lines(300), "nonsense\n", &*numbered_lines(3)].concat();
    let input = sandbox.file("input.ndjson", input.as_bytes());
    let ran = run_unheard(sandbox.command("record").arg("--input").arg(&input)).exits(0);
    let report = ran.report();
    assert_eq!((report.entries, report.bad_lines), (303, 2));
    assert_eq!(payloads(&report.path).last().map(String::as_str), Some("3"));
    assert_eq!(manifest(&report.path).status, RunStatus::Ended);

    let mut strict = sandbox.command("record");
    let ran = run_unheard(strict.arg("--strict").arg("--input").arg(&input)).exits(1);
    assert_eq!((ran.report().entries, ran.report().bad_lines), (0, 1));
}

/// What cannot be encoded is found on the thread that publishes it.
#[test]
fn messages_that_are_refused_and_nobody_told() {
    use std::fmt::Write;

    let mut input = String::new();
    for topic in (1..=65_540).chain([1]) {
        writeln!(input, r#"{{"topic":"t{topic}","type":"T","payload":1}}"#).expect("a string");
    }
    let sandbox = Sandbox::new();
    let input = sandbox.file("input.ndjson", input.as_bytes());
    let ran = run_unheard(sandbox.command("record").arg("--input").arg(input)).exits(1);
    // One producer can use 65 536 topics and types.
    assert_eq!((ran.report().entries, ran.report().bad_lines), (65_536, 5));
}

#[test]
fn progress_that_nobody_hears_of() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("input.ndjson", numbered_lines(500).as_bytes());
    let mut record = sandbox.command("record");
    record.arg("--input").arg(input).args(["--rate", "1000", "--durable-every-ms", "1"]);
    let report = run_unheard(&mut record).exits(0).report();
    assert_eq!((report.entries, report.watermark), (500, 502));
}

/// A file that cannot be recovered is warned of in the log.
#[test]
fn warnings_that_nobody_hears_of() {
    let sandbox = Sandbox::new();
    sandbox.record(numbered_lines(3), &[]).exits(0);
    let broken = sandbox.instance().join("1700000000000000000-0000000a.redb");
    std::fs::write(broken, b"this is no run file").expect("writable");
    recover(&sandbox.runs()).exits(1);
    let input = sandbox.file("input.ndjson", numbered_lines(3).as_bytes());
    let record = run_unheard(sandbox.command("record").arg("--input").arg(input));
    assert_eq!(record.exits(0).report().entries, 3);
}

#[test]
fn errors_and_findings_that_nobody_hears_of() {
    let sandbox = Sandbox::new();
    let missing = sandbox.path("missing");
    run_unheard(sandbox.command("record").arg("--input").arg(&missing)).exits(2);
    let damaged = damaged(&sandbox);
    let scan = run_unheard(program().arg("scan").arg(&damaged)).exits(1);
    assert_eq!(scan.stdout.lines().count(), 4);
    run_unheard(program().arg("lookup").arg(&damaged).args(["venue_order_id", "X-1"])).exits(1);
}
