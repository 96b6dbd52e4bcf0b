//! What `record` records: what it is told to, and nothing unasked.

use crate::support::{Ran, Sandbox, numbered_lines, payloads, run};

/// A demo that is soon over.
const DEMO: [&str; 3] = ["--demo", "--entries", "500"];

#[test]
fn piped_lines_are_recorded_without_input() {
    let sandbox = Sandbox::new();
    let lines = numbered_lines(3);
    let ran = run(sandbox.command("record").arg("--strict"), lines.as_bytes());
    let report = ran.exits(0).says("").report();
    assert_eq!(report.entries, 3);
    assert_eq!(payloads(&report.path), ["1", "2", "3"]);
    assert_eq!(sandbox.run_files(), [report.path]);
}

#[test]
fn a_redirected_file_is_recorded_without_input() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("lines.ndjson", numbered_lines(3).as_bytes());
    let mut record = sandbox.command("record");
    record.stdin(std::fs::File::open(file).expect("the file"));
    let ran = Ran::new(record.output().expect("record runs"));
    assert_eq!(ran.exits(0).says("").report().entries, 3);
}

#[test]
fn the_demo_has_its_own_instance() {
    let sandbox = Sandbox::new();
    let node = sandbox.record(numbered_lines(3), &[]).exits(0).report();
    let node_before = std::fs::read(&node.path).expect("the run");

    let demo = run(sandbox.command("record").args(DEMO), b"").exits(0).says("").json();
    assert_eq!(demo["instance_id"], "demo");
    assert_eq!(demo["parent_run_id"], serde_json::Value::Null);
    assert_eq!(sandbox.run_files_of("demo").len(), 1);
    let own = std::slice::from_ref(&node.path);
    assert_eq!(sandbox.run_files(), own, "nothing came to the node's own");
    assert!(std::fs::read(&node.path).expect("the run") == node_before, "it is as it was");
}

#[test]
fn an_instance_given_wins_over_demo() {
    let sandbox = Sandbox::new();
    let args = ["--instance", "practice"];
    let demo = run(sandbox.command("record").args(DEMO).args(args), b"").exits(0).json();
    assert_eq!(demo["instance_id"], "practice");
    assert_eq!(sandbox.run_files_of("practice").len(), 1);
    assert!(!sandbox.runs().join("demo").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_alone_is_no_source() {
    let sandbox = Sandbox::new();
    let (_master, terminal) = terminal();
    let mut record = sandbox.command("record");
    let ran = record.stdin(terminal).output().expect("record runs");
    let ran = Ran::new(ran).exits(2);
    for source in ["--input FILE", "--input -", "--demo"] {
        assert!(ran.stderr.contains(source), "no {source} in {}", ran.stderr);
    }
    assert!(!sandbox.runs().exists());
}

/// Both ends of a terminal; the first keeps the second alive.
#[cfg(target_os = "linux")]
fn terminal() -> (std::os::fd::OwnedFd, std::fs::File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let path = ptsname(&master, Vec::new()).expect("its name").into_string().expect("UTF-8");
    let other = std::fs::File::options().read(true).write(true).open(path).expect("the terminal");
    (master, other)
}

#[test]
fn options_of_another_source_are_refused() {
    let sandbox = Sandbox::new();
    let ndjson = "goes with NDJSON (--input FILE, --input -), not with --demo";
    let demo = "goes with --demo, not with NDJSON";
    for (args, said) in [
        (&["--rate", "10", "--demo"][..], ndjson),
        (&["--strict", "--demo"], ndjson),
        (&["--entries", "5"], demo),
        (&["--entries", "5", "--input", "-"], demo),
        (&["--snapshot-every-ms", "5"], demo),
        (&["--snapshot-every-ms", "5", "--input", "-"], demo),
    ] {
        let ran = run(sandbox.command("record").args(args), numbered_lines(3).as_bytes());
        ran.exits(2).says(&format!("error: {} {said}\n", args[0]));
        assert!(!sandbox.runs().exists(), "{args:?}");
    }
}

#[test]
fn input_and_demo_exclude_each_other() {
    let sandbox = Sandbox::new();
    let ran = sandbox.record(numbered_lines(3), &["--demo"]).exits(2);
    assert!(ran.stderr.contains("--demo"), "{}", ran.stderr);
    assert!(!sandbox.runs().exists());
}
