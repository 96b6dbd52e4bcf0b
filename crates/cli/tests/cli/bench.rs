//! `tapline bench`: it measures what it says, and leaves nothing behind.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::running::{Running, wait_until};
use crate::support::{Sandbox, program, run};

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("the folder is there").next().is_none()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn assert_ascends(percentiles: &Value) {
    let names = ["p50", "p90", "p99", "p999", "p9999", "max"];
    let values = names.map(|name| number(&percentiles[name]));
    assert!(values[0] > 0.0 && values.is_sorted(), "{percentiles}");
}

#[test]
fn each_part_is_reported_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("");
    let mut bench = program();
    bench.args(["bench", "--seconds", "1", "--rate", "500", "--producers", "2"]);
    bench.args(["--payload-bytes", "100", "--json", "--dir"]).arg(&folder);
    let report = run(&mut bench, b"").exits(0).says("").json();
    let (paced, saturated) = (&report["paced"], &report["saturated"]);
    assert_eq!((&paced["rate"], &paced["entries"]), (&500.into(), &500.into()));
    // The last one is due half an interval before the second is over.
    assert!(number(&paced["rate_kept"]) < 501.0, "{paced}");
    for percentiles in
        [&report["sync_ns"], &paced["idle_ns"], &paced["capture_ns"], &paced["ack_ns"]]
    {
        assert_ascends(percentiles);
    }
    let (entries, elapsed_s) = (number(&saturated["entries"]), number(&saturated["elapsed_s"]));
    assert!(entries >= 64.0 && elapsed_s >= 1.0, "{saturated}");
    let durable_per_s = number(&saturated["durable_per_s"]);
    assert!((durable_per_s * elapsed_s / entries - 1.0).abs() < 1e-6, "{saturated}");
    // Each has a header line and two of payload.
    let bytes_file = number(&saturated["bytes_file"]);
    assert!(bytes_file >= entries * 192.0, "{saturated}");
    let by_payload = number(&saturated["file_by_payload"]);
    assert!((by_payload * entries * 100.0 / bytes_file - 1.0).abs() < 1e-6, "{saturated}");
    assert!(is_empty(&folder));
}

#[test]
fn a_bench_that_is_interrupted_leaves_nothing_either() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("");
    let mut bench = program();
    let mut running =
        Running::start(bench.args(["bench", "--seconds", "600", "--dir"]).arg(&folder));
    wait_until("it has begun", || !is_empty(&folder));
    running.send("-TERM");
    let ran = running.end().exits(2);
    assert_eq!(ran.stdout, "");
    assert_eq!(ran.stderr, "error: interrupted: nothing was measured to its end\n");
    assert!(is_empty(&folder));
}

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let sandbox = Sandbox::new();
    let missing = sandbox.path("missing");
    let mut bench = program();
    let ran = run(bench.arg("bench").arg("--dir").arg(&missing), b"").exits(2);
    let expected = format!("error: cannot use {}", missing.display());
    assert!(ran.stderr.starts_with(&expected), "{}", ran.stderr);
    assert!(ran.stderr.contains("No such file or directory"), "{}", ran.stderr);
    assert!(!missing.exists());
}
