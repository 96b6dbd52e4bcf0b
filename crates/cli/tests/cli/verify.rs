//! `verify`: clean, damaged, or not to be read at all.

use std::path::Path;

use serde_json::Value;

use crate::support::{Ran, Report, Sandbox, flip_byte_in, program, run};

fn verify(path: &Path, args: &[&str]) -> Ran {
    run(program().arg("verify").arg(path).arg("--json").args(args), b"")
}

/// A run of three messages, the second with a payload that is easy to find in the file.
fn record(sandbox: &Sandbox) -> Report {
    let line = |key: &str, payload: &str| {
        format!(
            "{{\"topic\":\"t\",\"type\":\"T\",\"keys\":{{\"venue_order_id\":\"{key}\"}},\"payload\":\"{payload}\"}}\n"
        )
    };
    let input = [line("a", "one"), line("b", "needle-in-the-file"), line("c", "three")].concat();
    sandbox.record(input, &[]).exits(0).says("").report()
}

#[test]
fn a_clean_run() {
    let sandbox = Sandbox::new();
    let report = record(&sandbox);
    let root = report.root.as_deref().expect("a root");
    let before = std::fs::read(&report.path).expect("the file");
    let verdict = verify(&report.path, &["--root", root]).exits(0).says("").json();
    assert_eq!(verdict["path"], report.path.to_str().expect("text"));
    assert_eq!(verdict["run_id"], report.run_id);
    assert_eq!(verdict["status"], "Ended");
    assert_eq!(verdict["clean"], true);
    assert_eq!(verdict["entries_scanned"], 5);
    assert_eq!(verdict["root"], root);
    assert_eq!(verdict["findings"], Value::Array(Vec::new()));
    assert_eq!(verdict["error"], Value::Null);
    assert!(before == std::fs::read(&report.path).expect("the file"), "verify changed the file");

    let human = run(program().arg("verify").arg(&report.path), b"").exits(0).says("");
    let path = report.path.display();
    assert_eq!(human.stdout, format!("{path}: clean, Ended, 5 entries\n  root {root}\n"));
}

#[test]
fn a_flipped_byte_in_a_payload() {
    let sandbox = Sandbox::new();
    let report = record(&sandbox);
    flip_byte_in(&report.path, b"needle-in-the-file");
    let verdict = verify(&report.path, &[]).exits(1).says("").json();
    assert_eq!(verdict["clean"], false);
    assert_eq!(verdict["entries_scanned"], 5);
    let findings = verdict["findings"].as_array().expect("an array");
    let mismatch = serde_json::json!({ "kind": "hash_mismatch", "seq": 3 });
    assert!(findings.contains(&mismatch), "{findings:?}");

    let human = run(program().arg("verify").arg(&report.path), b"").exits(1);
    assert!(human.stdout.contains(": DAMAGED, Ended, 5 entries\n"), "{}", human.stdout);
    assert!(human.stdout.contains("  entry 3 does not match its hash\n"), "{}", human.stdout);

    // Reading goes on behind the damage, and says where it was.
    let scan = run(program().arg("scan").arg(&report.path), b"").exits(1);
    let seqs: Vec<u64> = scan.json_lines().iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(seqs, [1, 2, 4, 5]);
    let path = report.path.display();
    assert_eq!(scan.stderr, format!("{path}: entry 3 does not match its hash\n"));
}

#[test]
fn the_number_of_threads_changes_nothing_but_the_time() {
    let sandbox = Sandbox::new();
    let report = record(&sandbox);
    flip_byte_in(&report.path, b"needle-in-the-file");
    let expected = verify(&report.path, &[]).exits(1).json();
    for threads in ["1", "2", "5"] {
        assert_eq!(verify(&report.path, &["--threads", threads]).exits(1).json(), expected);
    }
    for threads in ["0", "many"] {
        let ran = verify(&report.path, &["--threads", threads]).exits(2);
        assert!(ran.stderr.contains("--threads"), "{}", ran.stderr);
    }
}

#[test]
fn another_root() {
    let sandbox = Sandbox::new();
    let (report, other) = (record(&sandbox), record(&sandbox));
    let (root, other_root) = (report.root.expect("a root"), other.root.expect("a root"));
    assert_ne!(root, other_root);
    let verdict = verify(&report.path, &["--root", &other_root]).exits(1).says("").json();
    assert_eq!(verdict["clean"], false);
    let finding =
        serde_json::json!({ "kind": "root_mismatch", "expected": other_root, "found": root });
    assert_eq!(verdict["findings"], Value::Array(vec![finding]));
}

#[test]
fn a_missing_file() {
    let sandbox = Sandbox::new();
    let missing = sandbox.path("missing.redb");
    let ran = verify(&missing, &[]).exits(2);
    let verdict = ran.says("error: not every run could be verified; see above\n").json();
    assert_eq!(verdict["path"], missing.to_str().expect("text"));
    assert_eq!((&verdict["clean"], &verdict["run_id"]), (&false.into(), &Value::Null));
    let text = "is neither a run file nor the beginning of the id of a run in ./runs/node-1; `tapline ls` lists runs";
    assert_eq!(verdict["error"], format!("{missing:?} {text}"));
}

#[test]
fn a_root_that_is_none() {
    let sandbox = Sandbox::new();
    let report = record(&sandbox);
    for root in ["", "12", &"g".repeat(64)] {
        let ran = verify(&report.path, &["--root", root]).exits(2);
        assert!(ran.stderr.contains("a root has 64 hexadecimal digits"), "{}", ran.stderr);
    }
}

#[test]
fn all_runs_of_an_instance() {
    let sandbox = Sandbox::new();
    let reports = [record(&sandbox), record(&sandbox)];
    let verdicts = run(&mut sandbox.command("verify"), b"").exits(0).says("").json_lines();
    let ids: Vec<&Value> = verdicts.iter().map(|verdict| &verdict["run_id"]).collect();
    assert_eq!(ids, [&reports[0].run_id, &reports[1].run_id]);

    let root = reports[0].root.as_deref().expect("a root");
    let ran = run(sandbox.command("verify").args(["--root", root]), b"").exits(2);
    assert_eq!(ran.stderr, "error: --root is for one run, but 2 are to be verified\n");

    // One that is damaged throughout does not keep the others from being verified.
    std::fs::write(&reports[0].path, "no run").expect("the file is written");
    let ran = run(&mut sandbox.command("verify"), b"").exits(1).says("");
    let verdicts = ran.json_lines();
    let clean: Vec<&Value> = verdicts.iter().map(|verdict| &verdict["clean"]).collect();
    assert_eq!(clean, [false, true]);
    let error = verdicts[0]["error"].as_str().expect("an error");
    assert!(error.starts_with(&format!("cannot open {}: ", reports[0].path.display())), "{error}");
    assert_eq!(verdicts[1]["error"], Value::Null);

    // Nor does one that cannot be looked at, which counts for more.
    std::fs::remove_file(&reports[0].path).expect("it is there");
    std::fs::create_dir(&reports[0].path).expect("a folder");
    let ran = run(&mut sandbox.command("verify"), b"").exits(2);
    assert_eq!(ran.stderr, "error: not every run could be verified; see above\n");
    let verdicts = ran.json_lines();
    let clean: Vec<&Value> = verdicts.iter().map(|verdict| &verdict["clean"]).collect();
    assert_eq!(clean, [false, true]);
    let error = verdicts[0]["error"].as_str().expect("an error");
    assert!(error.ends_with("Is a directory (os error 21)"), "{error}");
}

/// Expects a run whose file was changed so to be found damaged without a look at its entries.
#[track_caller]
fn assert_damaged_throughout(change: impl FnOnce(&mut Vec<u8>), expected: &str) {
    let sandbox = Sandbox::new();
    let path = record(&sandbox).path;
    let mut bytes = std::fs::read(&path).expect("the run file");
    change(&mut bytes);
    std::fs::write(&path, bytes).expect("the run file is written");
    let verdict = verify(&path, &[]).exits(1).says("").json();
    let error = verdict["error"].as_str().expect("an error");
    assert!(error.contains(expected), "{error}");
    let unknown = (&Value::Null, &Value::Null, &Value::Null);
    assert_eq!((&verdict["run_id"], &verdict["status"], &verdict["root"]), unknown);
    let none = (&false.into(), &0.into(), &Value::Array(Vec::new()));
    assert_eq!((&verdict["clean"], &verdict["entries_scanned"], &verdict["findings"]), none);

    let human = run(program().arg("verify").arg(&path), b"").exits(1).says("");
    assert_eq!(human.stdout, format!("{}: DAMAGED: {error}\n", path.display()));
}

#[test]
fn a_file_that_is_no_run_any_more() {
    assert_damaged_throughout(Vec::clear, "cannot open");
    assert_damaged_throughout(|bytes| bytes[0] ^= 1, "the run file is damaged");
    assert_damaged_throughout(|bytes| bytes[..4096].fill(0), "the run file is damaged");
    for part in [3, 2] {
        assert_damaged_throughout(|bytes| bytes.truncate(bytes.len() / part), "was cut");
    }
}

/// The flags in redb's header.
const FLAGS_AT: usize = 9;

#[test]
fn a_file_that_was_closed_and_changed_is_not_one_that_was_left_open() {
    // Without its mark of a commit in two phases, redb would repair the file.
    assert_damaged_throughout(|bytes| bytes[FLAGS_AT] ^= 0b100, "was closed in order, and changed");
}

/// This bit alone makes a sealed run look like one that was left behind, which says nothing about
/// damage: it is to be recovered first.
#[test]
fn a_file_that_is_marked_as_open_is_left_to_recovery() {
    let sandbox = Sandbox::new();
    let path = record(&sandbox).path;
    let mut bytes = std::fs::read(&path).expect("the run file");
    bytes[FLAGS_AT] ^= 0b10;
    std::fs::write(&path, bytes).expect("the run file is written");
    let ran = verify(&path, &[]).exits(2);
    let error = format!("{} is not sealed: it is being recorded, or was left", path.display());
    assert!(ran.json()["error"].as_str().is_some_and(|text| text.starts_with(&error)), "{ran:?}");
}

#[test]
fn options_out_of_range() {
    let sandbox = Sandbox::new();
    let report = record(&sandbox);
    for timeout in ["0", "604801", "-1", "soon"] {
        let ran = verify(&report.path, &[&format!("--timeout={timeout}")]).exits(2);
        assert!(ran.stderr.contains("--timeout"), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    verify(&report.path, &["--timeout", "604800"]).exits(0);
}

#[test]
fn another_format_version_is_no_damage() {
    let sandbox = Sandbox::new();
    let path = record(&sandbox).path;
    crate::support::set_format_version(&path, 9);
    let ran = verify(&path, &[]).exits(2);
    let verdict = ran.json();
    let error = verdict["error"].as_str().expect("text");
    assert!(error.contains("was written by another version of tapline"), "{error}");
    assert!(error.contains("format version 9"), "{error}");
    let text = run(program().arg("verify").arg(&path), b"").exits(2).stdout;
    assert!(text.contains(": not verified: ") && !text.contains("DAMAGED"), "{text}");
}

/// The version in the file was changed, but not its checksum.
#[test]
fn a_damaged_format_version_is_damage() {
    let sandbox = Sandbox::new();
    let path = record(&sandbox).path;
    let bytes = std::fs::read(&path).expect("the run file");
    crate::support::set_format_version(&path, 9);
    let error = "no place in the file can be changed to another version";
    let mut found = false;
    for at in bytes.windows(6).enumerate().filter(|(_, text)| text == b"format").map(|(at, _)| at) {
        for offset in 6..64 {
            let mut changed = bytes.clone();
            let Some(byte) = changed.get_mut(at + offset) else { break };
            *byte ^= 8;
            std::fs::write(&path, &changed).expect("writable");
            let ran = verify(&path, &[]);
            found |= ran.code == Some(1) && ran.stdout.contains("and does not fit its checksums");
            if found {
                return;
            }
        }
    }
    assert!(found, "{error}");
}
