//! Limits that the system sets a process: on memory, threads and inodes.

use std::fmt::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

use tapline::RunStatus;

use crate::as_a_user::as_user;
use crate::disks::SmallDisk;
use crate::running::{Running, wait_until};
use crate::support::{
    PROGRAM, Sandbox, durable_reported, entries, manifest, numbered_lines, run, tapline,
};

const THREAD_ADVICE: &str = "the limit on processes (`ulimit -u`, a container's pids.max) or on \
                             memory (`ulimit -v`) may be reached: ";

/// A crashed run of about 75 MB with a key in each entry, and less memory than the smallest
/// containers have. Without a bound, redb's pages and the rows that are sorted took 100 to 140 MB.
#[test]
fn recovery_keeps_within_its_memory() {
    const DURABLE_MIN: u64 = 300_000;
    let sandbox = Sandbox::new();
    let mut lines = String::new();
    for number in 0..600_000 {
        writeln!(
            lines,
            r#"{{"topic":"t","type":"T","payload":{number},"keys":{{"client_order_id":"O-{number}"}}}}"#
        )
        .expect("writing to a string");
    }
    let input = sandbox.file("input", lines.as_bytes());
    let mut command = sandbox.command("record");
    command.args(["--durable-every-ms", "5", "--input"]).arg(input);
    let mut recording = Running::start(&mut command);
    wait_until("enough is durable", || durable_reported(&recording.stderr()) > DURABLE_MIN);
    recording.kill();
    recording.end();

    let script = "ulimit -v 65536; exec \"$0\" recover \"$1\" --json --memory 16MiB";
    let mut shell = Command::new("sh");
    let recovered = run(shell.args(["-c", script, PROGRAM]).arg(sandbox.runs()), b"").exits(0);
    let recovered = &recovered.json()["recovered"][0];
    assert_eq!(recovered["status"], "CrashedRecovered");
    assert!(recovered["watermark"].as_u64() > Some(DURABLE_MIN));
    tapline(["verify".as_ref(), sandbox.run_files()[0].as_os_str()]).exits(0);
}

#[test]
fn the_memory_of_a_recovery_has_a_range() {
    let sandbox = Sandbox::new();
    sandbox.record(numbered_lines(3), &[]).exits(0);
    let runs = sandbox.runs();
    let recover =
        |memory| tapline(["recover".as_ref(), runs.as_os_str(), "--memory".as_ref(), memory]);
    for memory in ["16MiB", "64GiB", "100000000"] {
        recover(memory.as_ref()).exits(0);
    }
    for memory in ["15MiB", "64GiB1", "65GiB", "0", "lots"] {
        let said = recover(memory.as_ref()).exits(2).stderr;
        assert!(said.contains("expected "), "{said}");
    }
}

/// Too few threads for the engine, for the program, and enough.
#[test]
fn a_recording_without_threads_says_what_to_raise_and_leaves_no_run_open() {
    /// Of whom no other test has processes.
    const USER: u32 = 61_234;
    let (mut refused, mut closed, mut recorded) = (0, 0, 0);
    for threads in 1..16 {
        let sandbox = Sandbox::new();
        std::fs::create_dir_all(sandbox.instance()).expect("a folder of the test");
        let program = as_user(&sandbox, USER);
        if program.get_program() == PROGRAM {
            println!("skipped: only root can be somebody else");
            return;
        }
        let input = sandbox.file("input", numbered_lines(100).as_bytes());
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--nproc={threads}")).arg(program.get_program());
        limited.args(["record", "--json", "--dir"]).arg(sandbox.runs()).arg("--input").arg(input);
        let ran = run(limited.uid(USER).gid(USER), b"");
        let runs = sandbox.run_files();
        if ran.code == Some(0) {
            recorded += 1;
            assert_eq!(entries(&runs[0]).len(), 102);
            continue;
        }
        let said = ran.exits(2).stderr;
        assert!(said.contains(THREAD_ADVICE), "{said}");
        refused += 1;
        // An engine that did not start leaves its empty run to the next recording.
        let sealed = runs.first().filter(|_| !said.contains("cannot open a run"));
        closed += sealed.map_or(0, |run| {
            assert_eq!(manifest(run).status, RunStatus::Ended);
            1
        });
    }
    assert!(refused >= 3 && closed >= 1 && recorded >= 1, "{refused} {closed} {recorded}");
}

#[test]
fn a_disk_without_inodes_is_named() {
    let sandbox = Sandbox::new();
    // The root, the folder of the runs and that of the instance.
    let Some(disk) = SmallDisk::in_memory_with_inodes(&sandbox, 3) else { return };
    let runs = disk.path().join("runs");
    let input = sandbox.file("input", numbered_lines(3).as_bytes());
    let record = || {
        let args = ["record".as_ref(), "--dir".as_ref(), runs.as_os_str(), "--input".as_ref()];
        tapline(args.into_iter().chain([input.as_os_str()]))
    };
    let said = record().exits(2).stderr;
    assert!(said.contains("`df -i` for inodes"), "{said}");
    assert!(said.ends_with("No space left on device (os error 28)\n"), "{said}");
}

#[test]
fn little_address_space_is_said_beforehand() {
    let sandbox = Sandbox::new();
    let script = "ulimit -v 600000; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, PROGRAM, "record", "--input", "-", "--dir"]).arg(sandbox.runs());
    let said = run(&mut shell, numbered_lines(3).as_bytes()).exits(0).stderr;
    let begins = "warning: this process may use 585.9 MiB of address space (`ulimit -v`), and ";
    assert!(said.starts_with(begins), "{said}");
    sandbox.record(numbered_lines(3), &[]).exits(0).says("");
}
