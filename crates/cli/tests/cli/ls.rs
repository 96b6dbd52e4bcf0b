//! `ls`: one row a run, whatever state it is in.

use std::path::Path;

use serde_json::{Value, json};

use crate::running::{Running, wait_until};
use crate::support::{Ran, Sandbox, numbered_lines, program, run};

/// Whether the first entry of a run is in its file.
fn has_started(run: &Path) -> bool {
    // A file that is being made is renamed meanwhile.
    let has_entry = |bytes: Vec<u8>| bytes.windows(10).any(|text| text == b"RunStarted");
    std::fs::read(run).is_ok_and(has_entry)
}

fn ls(sandbox: &Sandbox) -> Ran {
    run(&mut sandbox.command("ls"), b"")
}

#[test]
fn a_missing_instance_is_exit_code_2() {
    let sandbox = Sandbox::new();
    let said = |instance: &str| {
        let folder = sandbox.runs().join(instance);
        let folder = folder.display();
        format!("error: there is no folder {folder}; --dir and --instance name it\n")
    };
    for args in [&["ls"][..], &["ls", "--json"], &["retain", "--mode", "full"]] {
        let ran = run(program().args(args).arg("--dir").arg(sandbox.runs()), b"").exits(2);
        assert_eq!(ran.stdout, "");
        ran.says(&said("node-1"));
    }
    assert!(!sandbox.runs().exists(), "ls made a folder");
    sandbox.record("", &[]).exits(1);
    let ran = run(sandbox.command("ls").args(["--instance", "nod-1"]), b"").exits(2);
    ran.says(&said("nod-1"));
}

#[test]
fn an_empty_instance_has_no_runs() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.instance()).expect("a folder");
    assert_eq!(ls(&sandbox).exits(0).says("").stdout, "[]\n");
    let mut human = program();
    let ran = run(human.arg("ls").arg("--dir").arg(sandbox.runs()), b"").exits(0);
    assert_eq!(ran.stdout, format!("no runs in {}\n", sandbox.instance().display()));
}

#[test]
fn sealed_runs_oldest_first() {
    let sandbox = Sandbox::new();
    let first = sandbox.record(numbered_lines(3), &[]).exits(0).report();
    let second = sandbox.record("", &[]).exits(1).report();
    let listing = ls(&sandbox).exits(0).says("").json();
    let rows = listing.as_array().expect("an array");
    assert_eq!(rows.len(), 2);
    let parents = [Value::Null, json!(first.run_id)];
    for ((row, report), parent) in rows.iter().zip([&first, &second]).zip(parents) {
        let fields: Vec<&str> =
            row.as_object().expect("an object").keys().map(|key| &**key).collect();
        let expected = [
            "bytes_file",
            "end_ts_init",
            "error",
            "instance_id",
            "live",
            "parent_run_id",
            "passed_over",
            "path",
            "run_id",
            "start_ts_init",
            "status",
            "watermark",
        ];
        assert_eq!(fields, expected);
        assert_eq!(row["run_id"], report.run_id);
        assert_eq!(row["instance_id"], "node-1");
        assert_eq!((&row["status"], &row["live"]), (&json!("Ended"), &json!(false)));
        assert_eq!((&row["parent_run_id"], &row["passed_over"]), (&parent, &json!([])));
        let start = report.run_id.split('-').next().expect("a start");
        assert_eq!(row["start_ts_init"].to_string(), start);
        assert!(row["end_ts_init"].as_u64() > row["start_ts_init"].as_u64());
        assert_eq!(row["watermark"], report.watermark);
        assert_eq!(row["bytes_file"], report.path.metadata().expect("the file").len());
        assert_eq!(row["path"], report.path.to_str().expect("text"));
        assert_eq!(row["error"], Value::Null);
    }

    let mut human = program();
    let table = run(human.arg("ls").arg("--dir").arg(sandbox.runs()), b"").exits(0).says("");
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[1].starts_with(&first.run_id) && lines[1].contains(" Ended "), "{}", lines[1]);
    // When it started, to the second, and its size.
    assert!(lines[1].contains(" 20") && lines[1].contains("Z Ended "), "{}", lines[1]);
    assert!(lines[1].trim_end().ends_with("iB"), "{}", lines[1]);
}

#[test]
fn an_unreadable_file_is_listed_with_its_error() {
    let sandbox = Sandbox::new();
    let good = sandbox.record("", &[]).exits(1).report();
    let bad = sandbox.instance().join("17-0000abcd.redb");
    std::fs::write(&bad, "no run").expect("a file");
    for not_a_run in ["notes.txt", "17-0000abcd.markers.redb"] {
        std::fs::write(sandbox.instance().join(not_a_run), "").expect("a file");
    }
    let listing = ls(&sandbox).exits(1).says("").json();
    let rows = listing.as_array().expect("an array");
    assert_eq!(rows.len(), 2);
    // By its name it is the older.
    assert_eq!(rows[0]["run_id"], "17-0000abcd");
    assert_eq!(rows[0]["status"], Value::Null);
    assert_eq!(rows[0]["watermark"], Value::Null);
    assert_eq!(rows[0]["bytes_file"], 6);
    let error = rows[0]["error"].as_str().expect("an error");
    assert!(error.starts_with(&format!("cannot open {}: ", bad.display())), "{error}");
    assert_eq!((&rows[1]["run_id"], &rows[1]["error"]), (&good.run_id.into(), &Value::Null));
}

#[test]
fn a_run_that_is_being_recorded_or_was_killed_is_running() {
    let sandbox = Sandbox::new();
    let running = Running::start(sandbox.command("record").args(["--input", "-"]));
    // A file that is still being made is none that recovery could take up.
    wait_until("the run has started", || {
        let files = sandbox.instance().read_dir();
        files.is_ok_and(|mut files| files.any(|file| has_started(&file.expect("a file").path())))
    });
    let assert_running = |rows: &[Value], live: bool| {
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(rows[0]["live"], live);
        assert_eq!((&rows[0]["status"], &rows[0]["error"]), (&"Running".into(), &Value::Null));
        assert_eq!((&rows[0]["watermark"], &rows[0]["end_ts_init"]), (&Value::Null, &Value::Null));
    };
    let listing = ls(&sandbox).exits(0).says("").json();
    let rows = listing.as_array().expect("an array");
    assert_running(rows, true);
    let human = || run(program().arg("ls").arg("--dir").arg(sandbox.runs()), b"").exits(0).stdout;
    assert!(human().contains("Z running  "), "{}", human());
    // Killed.
    drop(running);
    assert_running(ls(&sandbox).exits(0).json().as_array().expect("an array"), false);
    let command =
        format!("`tapline recover --dir {} --instance node-1` seals it", sandbox.runs().display());
    assert!(human().contains("Z left behind  ") && human().contains(&command), "{}", human());
}
