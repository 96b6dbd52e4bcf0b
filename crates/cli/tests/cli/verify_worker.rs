//! `verify` looks into a file in a process of its own: whatever becomes of that process, is a
//! finding.
//!
//! A file of which another process has a lease makes whoever opens it hang, for as long as one
//! likes to look at it.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::running::{Running, wait_until};
use crate::support::{Sandbox, numbered_lines, program, run};

/// A run file that nobody comes to read. Who has the lease does not give it up when the system asks
/// for it, and has 45 seconds for that.
struct Endless {
    path: PathBuf,
    holder: Child,
}

impl Endless {
    /// `None`, having said why, where nobody can have a lease.
    fn new(sandbox: &Sandbox) -> Option<Self> {
        // F_SETLEASE, F_WRLCK.
        const LEASE: &str = r#"
            $SIG{IO} = "IGNORE";
            open(my $file, "+<", $ARGV[0]) || die $!;
            fcntl($file, 1024, 1) || die $!;
            $| = 1;
            print "leased\n";
            sleep 100;
        "#;
        let path = sandbox.file("endless.redb", b"");
        let mut perl = Command::new("perl");
        perl.args(["-e", LEASE]).arg(&path).stdin(Stdio::null()).stdout(Stdio::piped());
        let holder = match perl.spawn() {
            Ok(holder) => holder,
            Err(error) => {
                println!("skipped: cannot start perl: {error}");
                return None;
            }
        };
        let mut endless = Self { path, holder };
        let stdout = endless.holder.stdout.take().expect("stdout is a pipe");
        let mut said = String::new();
        BufReader::new(stdout).read_line(&mut said).expect("text");
        if said.is_empty() {
            println!("skipped: there are no leases here");
            return None;
        }
        Some(endless)
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
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
    let Some(endless) = Endless::new(&sandbox) else { return };
    let path = &endless.path;
    let began = Instant::now();
    let args = ["verify", "--timeout", "1"];
    let verdict = run(program().args(args).arg("--json").arg(path), b"").exits(1).says("").json();
    assert!(began.elapsed() >= Duration::from_secs(1), "it took {:?}", began.elapsed());
    assert_eq!(verdict["error"], "timed out after 1 s; --timeout sets the limit");
    assert_eq!((&verdict["clean"], &verdict["run_id"]), (&Value::Bool(false), &Value::Null));

    let human = run(program().args(args).arg(path), b"").exits(1).says("");
    let error = "timed out after 1 s; --timeout sets the limit";
    assert_eq!(human.stdout, format!("{}: DAMAGED: {error}\n", path.display()));
}

#[test]
fn a_worker_that_is_killed_is_a_finding() {
    for (signal, number) in [("-ABRT", 6), ("-KILL", 9), ("-TERM", 15)] {
        let sandbox = Sandbox::new();
        let Some(endless) = Endless::new(&sandbox) else { return };
        let mut verify = start_verify(&endless.path);
        send(signal, &worker(&verify));
        let verdict = verify.end().exits(1).says("").json();
        assert_eq!(verdict["error"], format!("worker aborted (signal {number})"));
    }
}

#[test]
fn one_bad_file_does_not_keep_the_others_from_being_verified() {
    let sandbox = Sandbox::new();
    let good = sandbox.record(numbered_lines(3), &[]).exits(0).report();
    let Some(endless) = Endless::new(&sandbox) else { return };
    let bad = &endless.path;
    let mut verify = program();
    verify.args(["verify", "--json", "--timeout", "1"]).arg(bad).arg(&good.path).arg(bad);
    let verdicts = run(&mut verify, b"").exits(1).says("").json_lines();
    let clean: Vec<&Value> = verdicts.iter().map(|verdict| &verdict["clean"]).collect();
    assert_eq!(clean, [false, true, false]);
}

/// What was found in one file is said before the next one is looked into.
#[test]
fn each_verdict_is_said_as_it_comes() {
    let sandbox = Sandbox::new();
    let good = sandbox.record(numbered_lines(3), &[]).exits(0).report().path;
    let Some(endless) = Endless::new(&sandbox) else { return };
    let mut verify = program();
    verify.args(["verify", "--json", "--timeout", "20"]).arg(&good).arg(&endless.path);
    let mut verify = verify.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut first = String::new();
    let mut stdout = BufReader::new(verify.stdout.take().expect("stdout is a pipe"));
    stdout.read_line(&mut first).expect("a line");
    // With the second file it would have been at it for twenty seconds.
    verify.kill().expect("it may be killed");
    assert_eq!(verify.wait().expect("it ends").code(), None, "it was over");
    let verdict: Value = serde_json::from_str(&first).expect("a line is JSON");
    assert_eq!((&verdict["path"], &verdict["clean"]), (&json!(good), &json!(true)));
}

#[test]
fn a_worker_does_not_outlive_the_program() {
    let sandbox = Sandbox::new();
    let Some(endless) = Endless::new(&sandbox) else { return };
    let verify = start_verify(&endless.path);
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
    let Some(endless) = Endless::new(&sandbox) else { return };
    let mut verify = program();
    verify.arg0("another-name").args(["verify", "--timeout", "60"]).arg(&endless.path);
    let verify = Running::start(&mut verify);
    let line = std::fs::read(format!("/proc/{}/cmdline", worker(&verify))).expect("it runs");
    assert!(line.starts_with(b"another-name\0verify-worker\0"), "{line:?}");
}

#[test]
fn a_worker_s_memory_is_limited() {
    let sandbox = Sandbox::new();
    let Some(endless) = Endless::new(&sandbox) else { return };
    let mut verify = program();
    let args = ["verify", "--threads", "2", "--timeout", "60"];
    let verify = Running::start(verify.args(args).arg(&endless.path));
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
