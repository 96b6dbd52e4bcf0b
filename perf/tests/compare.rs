//! The comparison from end to end: every workload on every system of this workspace, a thousand
//! entries each, everything read back.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn perf(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_perf")).args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (out, err) = (out.unwrap(), err.unwrap());
    assert!(output.status.success(), "perf {arguments:?} failed:\n{err}\n{out}");
    out
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_system_stores_exactly_what_was_pushed() {
    let dir = tempfile::tempdir().unwrap();
    let (out, json) = (dir.path().join("out"), dir.path().join("report.json"));
    let systems = "tapline,fjall,sqlite,redb-rows,bare-ring,bare-write,bare-block,blake3";
    let mut arguments = vec!["compare", "--tiny", "--check", "--system", systems];
    arguments.extend(["--dir", text(dir.path()), "--out", text(&out), "--json", text(&json)]);
    // `hash` is a matter of time, not of entries.
    for workload in ["W1", "W2", "W3", "W5", "W6", "W7", "W8"] {
        arguments.extend(["--only", workload]);
    }
    let report = perf(&arguments);
    assert!(report.contains("durable entries/s, times fjall's"), "{report}");

    let document: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let mut measured = 0;
    for case in document["cases"].as_array().unwrap() {
        let name = &case["id"];
        for result in case["results"].as_array().unwrap() {
            assert_eq!(result["error"], Value::Null, "{name}");
            let repetitions = result["repetitions"].as_array().unwrap();
            assert_eq!(repetitions.len(), 1, "{name} {}", result["system"]);
            // In as long as the others, at a twentieth of the rate.
            let entries = if name == "W3-slow" { 50 } else { 1_000 };
            assert_eq!(repetitions[0]["entries"], entries, "{name} {}", result["system"]);
            measured += 1;
        }
    }
    // W1 6, W2 5, W3 6 + 6, W5 4 × 4, W6 3 × 5, W7 4, W8 4 + 1.
    assert_eq!(measured, 63);

    for file in [
        "report.txt",
        "report.json",
        "hgrm/W3-tapline-capture.hgrm",
        "hgrm/W3-sqlite-ack.hgrm",
        "hgrm/W8-redb-rows-by_key.hgrm",
    ] {
        assert!(out.join(file).metadata().is_ok_and(|file| file.len() > 0), "{file}");
    }
    for picture in [
        "W3-ack-by-percentile",
        "W3-capture-from-intended-over-time",
        "throughput-by-payload",
        "throughput-by-producers",
    ] {
        let svg = fs::read_to_string(out.join(format!("{picture}.svg"))).unwrap();
        assert!(svg.contains("tapline") && svg.ends_with("</svg>\n"), "{picture}");
        let png = fs::read(out.join(format!("{picture}.png"))).unwrap();
        assert!(png.starts_with(b"\x89PNG"), "{picture}");
    }
    // Nothing of the systems is left behind.
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn one_workload_can_be_run_with_every_knob() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let common = ["--dir", text(dir.path()), "--out", text(&out), "--repeat", "2", "--check"];
    let throughput = ["throughput", "--entries", "1000", "--payload", "64,256", "--keys"];
    let databases = ["--system", "sqlite,tapline", "--rows-per-commit", "100"];
    let report = perf(&[&throughput[..], &databases, &common].concat());
    assert!(report.contains("up to 100 rows a commit"), "{report}");
    let latency = ["latency", "--rate", "20000", "--seconds", "0.05", "--warmup-seconds", "0.01"];
    let memory = ["--idle-seconds", "0.01", "--memory", "--producers", "2"];
    let report = perf(&[&latency[..], &memory, &common].concat());
    assert!(report.contains("tapline capture_from_intended"), "{report}");
    assert!(out.join("latency-2x256-ack-by-percentile.png").exists());
}

#[test]
fn what_cannot_be_done_is_said() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perf"));
    let output = command.args(["compare", "--only", "W99"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("there is no workload W99; there are W1,"), "{said}");
}
