//! A run that a crash left behind is read as it is, and its file stays as it is.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::running::{Running, wait_until};
use crate::support::{Sandbox, durable_reported, program, run};

/// A recording that has made nine lines durable.
fn recording(sandbox: &Sandbox) -> Running {
    let args = ["--input", "-", "--markers", "--key-kind", "k", "--durable-every-ms", "1"];
    let mut recording = Running::start(sandbox.command("record").args(args));
    let line = |n: u64| {
        format!(
            "{{\"topic\":\"data.es\",\"type\":\"TradeTick\",\"ts_init\":{n},\"payload\":{n},\
             \"keys\":{{\"k\":\"key-{n}\"}}}}\n"
        )
    };
    recording.feed(&(1..=9).map(line).collect::<String>());
    wait_until("all of it is durable", || durable_reported(&recording.stderr()) == 10);
    recording
}

/// A run that was left behind, in a folder to which nobody writes.
fn left_behind(sandbox: &Sandbox) -> PathBuf {
    let mut recording = recording(sandbox);
    recording.kill();
    recording.end();
    let [path] = &sandbox.run_files()[..] else { panic!("one run was made") };
    path.clone()
}

/// `COMMAND RUN ARGS`.
fn read(command: &str, path: &Path, args: &[&str]) -> crate::support::Ran {
    run(program().arg(command).arg(path).args(args), b"")
}

/// What the program says about an unsealed file.
fn note(path: &Path, sandbox: &Sandbox) -> String {
    format!(
        "{} is not sealed: a crash or a halt left it behind, and it is read up to its last commit; \
         `tapline recover --dir {} --instance node-1` seals it\n",
        path.display(),
        sandbox.runs().display()
    )
}

#[test]
fn all_that_is_durable_can_be_read() {
    let sandbox = Sandbox::new();
    let path = left_behind(&sandbox);
    let sidecar = path.with_extension("markers.redb");
    let contents = || [&path, &sidecar].map(|file| std::fs::read(file).expect("it is there"));
    let before = contents();
    let note_on = |path| note(path, &sandbox);

    let scanned = read("scan", &path, &[]).exits(0).says(&note_on(&path));
    assert_eq!(scanned.json_lines().len(), 10);
    assert_eq!(scanned.json_lines()[9]["payload"], 9);
    let found = read("lookup", &path, &["k", "key-3", "--json"]).exits(0).says(&note_on(&path));
    assert_eq!(found.json()["seq"], 4);
    let shown = read("show", &path, &["--json"]).exits(0).says(&note_on(&path)).json();
    assert_eq!((&shown["root"], &shown["manifest"]["status"]), (&json!(null), &json!("Running")));
    assert_eq!(shown["manifest"]["high_watermark"], 10);
    let seen = read("markers", &path, &["--json"]).exits(0).says(&note_on(&sidecar)).json();
    assert_eq!(seen["status"], "Running");
    let both = format!("{}{}", note_on(&path), note_on(&sidecar));
    let verified = read("verify", &path, &["--json"]).exits(0).says(&both).json();
    assert_eq!((&verified["clean"], &verified["entries_scanned"]), (&json!(true), &json!(10)));
    assert_eq!((&verified["status"], &verified["root"]), (&json!("Running"), &json!(null)));
    assert_eq!(verified["markers"]["clean"], true, "{verified}");
    read("markers", &path, &["--at", "11"]).exits(2);

    assert!(before == contents(), "a file was changed");
    let recovered = crate::support::recover(&sandbox.runs()).exits(0).json();
    assert_eq!(recovered["recovered"][0]["watermark"], 10);
}

#[test]
fn a_run_with_a_root_was_sealed() {
    let sandbox = Sandbox::new();
    let path = left_behind(&sandbox);
    let verified = read("verify", &path, &["--root", &"0".repeat(64), "--json"]).exits(2).json();
    assert!(verified["error"].as_str().expect("text").contains("is not sealed"), "{verified}");
}

#[test]
fn a_run_that_is_being_recorded_is_in_use() {
    let sandbox = Sandbox::new();
    let recording = recording(&sandbox);
    let path = sandbox.run_files()[0].clone();
    for (command, args) in [
        ("scan", &[][..]),
        ("lookup", &["k", "key-3"]),
        ("show", &[]),
        ("markers", &[]),
        ("verify", &[]),
    ] {
        let ran = read(command, &path, args).exits(2);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("is in use by another process"), "{command}: {said}");
    }
    drop(recording);
}

#[test]
fn damage_in_a_run_that_was_left_behind_is_found() {
    let sandbox = Sandbox::new();
    let path = left_behind(&sandbox);
    let bytes = std::fs::read(&path).expect("the run file");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("writable");
    read("verify", &path, &[]).exits(1);
    read("scan", &path, &[]).exits(2);
}
