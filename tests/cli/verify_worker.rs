//! `verify` looks into a file in a process of its own: whatever becomes of that process, is a finding.
//!
//! A named pipe in the place of a run file is a file that makes its reader hang, for as long as one
//! likes to look at it.

#![cfg(target_os = "linux")]

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::running::{Running, wait_until};
use crate::support::{Sandbox, numbered_lines, program, run};

/// A run file that nobody comes to the end of.
fn endless(sandbox: &Sandbox) -> PathBuf {
    let path = sandbox.path("endless.redb");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    path
}

fn start_verify(path: &Path) -> Running {
    Running::start(program().args(["verify", "--json", "--timeout", "60"]).arg(path))
}

/// The process that `verify` started, once it looks into the file.
fn worker(verify: &Running) -> String {
    let children = format!("/proc/{0}/task/{0}/children", verify.id());
    let children = || std::fs::read_to_string(&children).expect("it runs").trim().to_owned();
    wait_until("there is a worker", || !children().is_empty());
    let worker = children();
    let state = format!("/proc/{worker}/cmdline");
    wait_until("the worker is a program of its own", || {
        std::fs::read(&state)
            .is_ok_and(|line| line.windows(13).any(|word| word == b"verify-worker"))
    });
    worker
}

fn send(signal: &str, process: &str) {
    assert!(Command::new("kill").args([signal, process]).status().expect("kill runs").success());
}

#[test]
fn a_file_that_makes_its_reader_hang_is_timed_out() {
    let sandbox = Sandbox::new();
    let path = endless(&sandbox);
    let began = Instant::now();
    let args = ["verify", "--timeout", "1"];
    let verdict = run(program().args(args).arg("--json").arg(&path), b"").exits(1).says("").json();
    assert!(began.elapsed() >= Duration::from_secs(1), "it took {:?}", began.elapsed());
    assert_eq!(verdict["error"], "timed out after 1 s; --timeout sets the limit");
    assert_eq!((&verdict["clean"], &verdict["run_id"]), (&Value::Bool(false), &Value::Null));

    let human = run(program().args(args).arg(&path), b"").exits(1).says("");
    let error = "timed out after 1 s; --timeout sets the limit";
    assert_eq!(human.stdout, format!("{}: DAMAGED: {error}\n", path.display()));
}

#[test]
fn a_worker_that_is_killed_is_a_finding() {
    for (signal, number) in [("-ABRT", 6), ("-KILL", 9), ("-TERM", 15)] {
        let sandbox = Sandbox::new();
        let mut verify = start_verify(&endless(&sandbox));
        send(signal, &worker(&verify));
        let verdict = verify.end().exits(1).says("").json();
        assert_eq!(verdict["error"], format!("worker aborted (signal {number})"));
    }
}

#[test]
fn one_bad_file_does_not_keep_the_others_from_being_verified() {
    let sandbox = Sandbox::new();
    let good = sandbox.record(numbered_lines(3), &[]).exits(0).report();
    let bad = endless(&sandbox);
    let mut verify = program();
    verify.args(["verify", "--json", "--timeout", "1"]).arg(&bad).arg(&good.path).arg(&bad);
    let verdicts = run(&mut verify, b"").exits(1).says("").json_lines();
    let clean: Vec<&Value> = verdicts.iter().map(|verdict| &verdict["clean"]).collect();
    assert_eq!(clean, [false, true, false]);
}

#[test]
fn a_worker_does_not_outlive_the_program() {
    let sandbox = Sandbox::new();
    let verify = start_verify(&endless(&sandbox));
    let worker = worker(&verify);
    // Killed, as by `kill -9`.
    drop(verify);
    let process = format!("/proc/{worker}/cmdline");
    // Empty of one that nobody waited for.
    wait_until("the worker is gone", || {
        std::fs::read(&process).map_or(true, |line| line.is_empty())
    });
}

/// The program may be one of several in its file, told apart by name.
#[test]
fn a_worker_is_started_under_the_program_s_own_name() {
    let sandbox = Sandbox::new();
    let path = endless(&sandbox);
    let mut verify = program();
    verify.arg0("another-name").args(["verify", "--timeout", "60"]).arg(&path);
    let verify = Running::start(&mut verify);
    let line = std::fs::read(format!("/proc/{}/cmdline", worker(&verify))).expect("it runs");
    assert!(line.starts_with(b"another-name\0verify-worker\0"), "{line:?}");
}

#[test]
fn a_worker_s_memory_is_limited() {
    let sandbox = Sandbox::new();
    let mut verify = program();
    let args = ["verify", "--threads", "2", "--timeout", "60"];
    let verify = Running::start(verify.args(args).arg(endless(&sandbox)));
    let limits = format!("/proc/{}/limits", worker(&verify));
    let limit = |name: &str| {
        let limits = std::fs::read_to_string(&limits).expect("it runs");
        let line = limits.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        line.and_then(|line| line.split_whitespace().next().map(str::to_owned))
    };
    let bytes = (4_u64 << 30) + 2 * (256 << 20);
    wait_until("address space is limited", || {
        limit("Max address space") == Some(bytes.to_string())
    });
    wait_until("a crash writes no file", || limit("Max core file size") == Some("0".to_owned()));
}

#[test]
fn the_worker_is_no_command_for_users() {
    let help = run(program().arg("--help"), b"").exits(0).stdout;
    assert!(help.contains("verify") && !help.contains("verify-worker"), "{help}");
}
