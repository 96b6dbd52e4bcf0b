//! A start that finds a run which may hold what happened last, and which it cannot continue.

use serde_json::json;

use crate::support::{Sandbox, numbered_lines, program, run};

const UNREADABLE: &str = "2000000000000000000-0000000a";

/// An instance with a sound run, and a newer file that nobody can read. Returns the sound run.
fn with_unreadable_run(sandbox: &Sandbox) -> String {
    let sound = sandbox.record(numbered_lines(3), &[]).exits(0).report().run_id;
    let newest = sandbox.instance().join(format!("{UNREADABLE}.redb"));
    std::fs::write(newest, "").expect("writable");
    sound
}

#[test]
fn record_refuses_to_pass_over_a_run() {
    let sandbox = Sandbox::new();
    with_unreadable_run(&sandbox);
    for args in [&[][..], &["--on-unreadable-run", "stop"]] {
        let ran = sandbox.record(numbered_lines(3), args).exits(2);
        let said = ran.json();
        assert_eq!(said["passed_over"], json!([UNREADABLE]));
        let error = said["error"].as_str().expect("text");
        assert!(error.contains("--on-unreadable-run pass-over"), "{error}");
        assert!(ran.stderr.ends_with(&format!("error: {error}\n")), "{}", ran.stderr);
    }
    let human = run(program().args(["record", "--dir"]).arg(sandbox.runs()), b"").exits(2);
    assert_eq!(human.stdout, "");
    assert_eq!(sandbox.run_files().len(), 2, "no run was made");
}

#[test]
fn a_run_that_passes_over_another_says_so() {
    let sandbox = Sandbox::new();
    let sound = with_unreadable_run(&sandbox);
    let pass_over = ["--on-unreadable-run", "pass-over"];
    let report = sandbox.record(numbered_lines(3), &pass_over).exits(0).json();
    assert_eq!(report["passed_over"], json!([UNREADABLE]));
    assert_eq!(report["parent_run_id"], json!(sound));

    let rows = run(&mut sandbox.command("ls"), b"").exits(1).json();
    let of = |run_id: &serde_json::Value| {
        let rows = rows.as_array().expect("an array");
        rows.iter().find(|row| row["run_id"] == *run_id).expect("it is listed").clone()
    };
    assert_eq!(of(&report["run_id"])["passed_over"], json!([UNREADABLE]));
    assert_eq!(of(&json!(sound))["passed_over"], json!([]));
    assert_eq!(of(&json!(UNREADABLE))["passed_over"], json!(null));
    let table = run(program().args(["ls", "--dir"]).arg(sandbox.runs()), b"").exits(1).stdout;
    assert!(table.contains(&format!("  passed over {UNREADABLE}\n")), "{table}");

    let report = sandbox.record(numbered_lines(3), &[]).exits(0).json();
    assert_eq!(report["passed_over"], json!([]), "that was for good");
}

#[test]
fn another_format_version_is_never_passed_over() {
    let sandbox = Sandbox::new();
    let path = sandbox.record(numbered_lines(3), &[]).exits(0).report().path;
    crate::support::set_format_version(&path, 9);
    let pass_over = ["--on-unreadable-run", "pass-over"];
    let ran = sandbox.record(numbered_lines(3), &pass_over).exits(2);
    let error = ran.json()["error"].as_str().expect("text").to_owned();
    assert!(error.contains("format version 9"), "{error}");
    assert!(!error.contains("--on-unreadable-run"), "{error}");
}
