//! Ctrl-C, SIGTERM and SIGHUP end a recording in order; one that is stopped and goes on loses
//! nothing.

#![cfg(unix)]

use std::process::Command;
use std::time::{Duration, Instant};

use tapline::RunStatus;

use crate::running::{Running, wait_until};
use crate::support::{
    PROGRAM, Report, Sandbox, durable_reported, entries, manifest, numbered_lines, payloads,
    tapline,
};

/// `tapline record`, with signals as they are by default. What a script has in the background, as
/// tests may be, ignores some, and so does what it starts.
fn record(sandbox: &Sandbox) -> Command {
    let record = sandbox.command("record");
    // SIGHUP, SIGINT and SIGTERM.
    const ENDING: u64 = 0x4003;
    if signals("self", "SigIgn:").is_none_or(|ignored| ignored & ENDING == 0) {
        return record;
    }
    let mut with_defaults = Command::new("env");
    with_defaults.args(["--default-signal", PROGRAM]).args(record.get_args());
    with_defaults
}

/// One of the masks of signals that the system has of a process: signal n is bit n - 1. `None`
/// where it does not say.
fn signals(process: &str, mask: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix(mask))?;
    Some(u64::from_str_radix(mask.trim(), 16).expect("a mask"))
}

/// Waits until the recording has a run file and takes signals.
#[track_caller]
fn wait_until_recording(running: &Running, sandbox: &Sandbox) {
    wait_until("there is a run file", || sandbox.run_files().len() == 1);
    wait_until("signals are handled", || handles_interrupts(running));
}

/// Whether the process waits for SIGINT, which its threads block then.
fn handles_interrupts(running: &Running) -> bool {
    let Some(blocked) = signals(&running.id().to_string(), "SigBlk:") else {
        // Nobody says on this system: by then the thread should be there.
        std::thread::sleep(Duration::from_millis(500));
        return true;
    };
    blocked & 0b10 != 0
}

/// The recording must end soon, in order, and with a report.
#[track_caller]
fn assert_ends_in_order(mut running: Running) -> Report {
    let asked = Instant::now();
    let ran = running.end().exits(0).says("");
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?} to end", asked.elapsed());
    let report = ran.report();
    assert!(report.halted.is_none());
    assert_eq!(report.watermark, report.entries + 2);
    assert_eq!(manifest(&report.path).status, RunStatus::Ended);
    assert_eq!(entries(&report.path).len() as u64, report.watermark);
    tapline(["verify".as_ref(), report.path.as_os_str()]).exits(0);
    report
}

#[track_caller]
fn assert_ends_a_paced_recording(signal: &str) {
    let sandbox = Sandbox::new();
    let input = sandbox.file("input.ndjson", numbered_lines(100_000).as_bytes());
    let mut record = record(&sandbox);
    let running = Running::start(record.arg("--input").arg(input).args(["--rate", "1000"]));
    wait_until_recording(&running, &sandbox);
    std::thread::sleep(Duration::from_millis(300));
    running.send(signal);
    let report = assert_ends_in_order(running);
    assert!((1..50_000).contains(&report.entries), "{} entries", report.entries);
    let first: Vec<String> = (1..=report.entries).map(|number| number.to_string()).collect();
    assert_eq!(payloads(&report.path), first);
}

#[test]
fn ctrl_c_ends_a_paced_recording() {
    assert_ends_a_paced_recording("-INT");
}

#[test]
fn sigterm_ends_a_paced_recording() {
    assert_ends_a_paced_recording("-TERM");
}

/// As when its terminal is closed.
#[test]
fn sighup_ends_a_paced_recording() {
    assert_ends_a_paced_recording("-HUP");
}

/// `signal` comes while the recording waits for more of an open pipe that has given `lines`.
#[track_caller]
fn assert_ends_a_wait_for_stdin(signal: &str, lines: u64) {
    let sandbox = Sandbox::new();
    let mut running = Running::start(record(&sandbox).args(["--input", "-"]));
    running.feed(&numbered_lines(lines));
    wait_until_recording(&running, &sandbox);
    std::thread::sleep(Duration::from_millis(300));
    running.send(signal);
    let report = assert_ends_in_order(running);
    assert_eq!((report.entries, report.bad_lines), (lines, 0));
}

/// A closing terminal and a service manager, each with its signal.
#[test]
fn two_different_signals_end_a_recording_in_order() {
    let sandbox = Sandbox::new();
    let mut running = Running::start(record(&sandbox).args(["--input", "-"]));
    running.feed(&numbered_lines(10));
    wait_until_recording(&running, &sandbox);
    std::thread::sleep(Duration::from_millis(300));
    // While it is stopped, so that it finds both.
    running.pause();
    running.send("-TERM");
    running.send("-HUP");
    running.resume();
    let report = assert_ends_in_order(running);
    assert_eq!(report.entries, 10);
}

/// It hangs over a pipe for bad lines that nobody reads.
#[cfg(target_os = "linux")]
#[test]
fn a_repeated_signal_ends_a_recording_that_hangs() {
    for (signal, code) in [("-INT", 130), ("-TERM", 130)] {
        let sandbox = Sandbox::new();
        let pipe = fifo(&sandbox);
        let unread = std::fs::File::options().read(true).write(true).open(&pipe).expect("a pipe");
        let mut running =
            Running::start(record(&sandbox).args(["--input", "-", "--bad-lines"]).arg(&pipe));
        running.feed(&("x".repeat(40_000) + "\n").repeat(3));
        wait_until_recording(&running, &sandbox);
        std::thread::sleep(Duration::from_millis(300));
        for signal in ["-HUP", "-HUP", signal] {
            running.send(signal);
            std::thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(manifest(&sandbox.run_files()[0]).status, RunStatus::Ended);
        running.send(signal);
        running.end().exits(code);
        drop(unread);
    }
}

fn fifo(sandbox: &Sandbox) -> std::path::PathBuf {
    let path = sandbox.path("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    path
}

/// The instance is locked, and what was left behind recovered, before anybody writes to the FIFO.
#[test]
fn a_fifo_that_opens_late_delays_nothing() {
    let sandbox = Sandbox::new();
    let pipe = fifo(&sandbox);
    let mut running = Running::start(record(&sandbox).arg("--input").arg(&pipe));
    wait_until_recording(&running, &sandbox);
    let second = sandbox.record(numbered_lines(1), &[]).exits(2);
    assert!(second.stderr.contains(" is locked by "), "{}", second.stderr);
    std::fs::write(&pipe, numbered_lines(5)).expect("it is read");
    let ran = running.end().exits(0).says("");
    assert_eq!(ran.report().entries, 5);
}

#[test]
fn sigterm_ends_a_wait_for_a_fifo() {
    let sandbox = Sandbox::new();
    let pipe = fifo(&sandbox);
    let running = Running::start(record(&sandbox).arg("--input").arg(&pipe));
    wait_until_recording(&running, &sandbox);
    running.send("-TERM");
    assert_eq!(assert_ends_in_order(running).entries, 0);
}

#[test]
fn ctrl_c_ends_a_wait_for_stdin() {
    assert_ends_a_wait_for_stdin("-INT", 10);
}

#[test]
fn sigterm_ends_a_wait_for_stdin() {
    assert_ends_a_wait_for_stdin("-TERM", 10);
}

#[test]
fn ctrl_c_ends_a_wait_for_the_first_line() {
    assert_ends_a_wait_for_stdin("-INT", 0);
}

#[test]
fn ctrl_c_ends_the_demo() {
    let sandbox = Sandbox::new();
    let args = ["--demo", "--instance", "node-1", "--entries", "1000000000", "--producers", "2"];
    let running = Running::start(record(&sandbox).args(args));
    wait_until_recording(&running, &sandbox);
    running.send("-INT");
    assert_ends_in_order(running);
}

/// A signal that the program was started to ignore, which came twice, is as if it had not come.
#[cfg(target_os = "linux")]
#[track_caller]
fn assert_goes_on(ignored: &str) {
    let sandbox = Sandbox::new();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("trap '' {ignored}; exec \"$0\" \"$@\"")).arg(PROGRAM);
    shell.args(sandbox.command("record").get_args());
    let mut running = Running::start(shell.args(["--input", "-", "--durable-every-ms", "1"]));
    running.feed(&numbered_lines(10));
    wait_until("all is durable", || durable_reported(&running.stderr()) == 11);
    for _ in 0..2 {
        running.send(&format!("-{ignored}"));
        std::thread::sleep(Duration::from_millis(200));
    }
    running.feed(&numbered_lines(10));
    wait_until("more is durable", || durable_reported(&running.stderr()) == 21);
    // With stdin open.
    running.send("-TERM");
    let report = running.end().exits(0).report();
    assert_eq!((report.entries, report.watermark), (20, 22));
    assert_eq!(manifest(&report.path).status, RunStatus::Ended);
}

/// As under `nohup`.
#[cfg(target_os = "linux")]
#[test]
fn a_recording_that_ignores_sighup_survives_its_terminal() {
    assert_goes_on("HUP");
}

/// As in the background of a script.
#[cfg(target_os = "linux")]
#[test]
fn a_recording_that_ignores_sigint_is_not_ended_by_it() {
    assert_goes_on("INT");
}

/// SIGSTOP and SIGCONT, for longer than a producer may wait for the writer: nobody waits meanwhile.
#[test]
fn a_recording_that_is_stopped_goes_on_where_it_was() {
    const PAUSES: u64 = 6;
    // All of them fit a pipe of 64 KiB: it is fed while nobody reads, and on a busy machine nothing
    // may have been read before.
    const LINES_A_PAUSE: u64 = 180;
    let sandbox = Sandbox::new();
    let args = ["--input", "-", "--producers", "3", "--halt-threshold-ms", "50"];
    let mut running = Running::start(sandbox.command("record").args(args));
    wait_until_recording(&running, &sandbox);
    let mut fed = 0..;
    let mut lines = |count: u64| {
        let line = |number| {
            let (topic, producer) = (number % 7, number % 5);
            format!(r#"{{"topic":"t{topic}","type":"T","payload":{number},"producer":{producer}}}"#)
        };
        fed.by_ref().take(count as usize).map(line).collect::<Vec<_>>().join("\n") + "\n"
    };
    for _ in 0..PAUSES {
        running.feed(&lines(LINES_A_PAUSE / 2));
        running.pause();
        running.feed(&lines(LINES_A_PAUSE / 2));
        std::thread::sleep(Duration::from_millis(100));
        running.resume();
    }
    running.close_stdin();
    let report = assert_ends_in_order(running);
    assert_eq!((report.entries, report.bad_lines), (PAUSES * LINES_A_PAUSE, 0));
    let mut next =
        [0, 1, 2].map(|own| (0..PAUSES * LINES_A_PAUSE).filter(move |n| n % 5 % 3 == own));
    for payload in payloads(&report.path) {
        let number: u64 = payload.parse().expect("a number");
        assert_eq!(next[(number % 5 % 3) as usize].next(), Some(number), "in its producer's order");
    }
}

/// Lines are recorded as they come, not when a batch of them is full.
#[test]
fn a_pause_of_stdin_does_not_keep_lines_waiting() {
    let sandbox = Sandbox::new();
    let mut running = Running::start(sandbox.command("record").args(["--input", "-"]));
    // A blank line, and the beginning of a fourth, hold nothing up either.
    let (lines, rest) = (numbered_lines(3) + "\n{", r#""topic":"t","type":"T","payload":4}"#);
    running.feed(&lines);
    wait_until_recording(&running, &sandbox);
    std::thread::sleep(Duration::from_millis(300));
    let paused_until = tapline::UnixNanos::now();
    running.feed(rest);
    running.close_stdin();
    let report = assert_ends_in_order(running);
    assert_eq!(payloads(&report.path), ["1", "2", "3", "4"]);
    for entry in &entries(&report.path)[..4] {
        assert!(entry.ts_publish < paused_until, "{entry:?}");
    }
}
