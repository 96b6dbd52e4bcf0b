//! The simulated trading node.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde_json::Value;
use tapline::Entry;

use crate::support::{PROGRAM, Ran, Sandbox, captured, program, run, tapline};

fn record(sandbox: &Sandbox) -> Ran {
    let args = ["--demo", "--entries", "20000", "--producers", "3"];
    run(sandbox.command("record").args(args), b"").exits(0).says("")
}

fn payload(entry: &Entry) -> Value {
    serde_json::from_slice(&entry.payload).expect("the demo's payloads are JSON")
}

/// The id by which other messages name this one as their cause; also its identity.
fn id_of(entry: &Entry) -> Option<String> {
    let payload = payload(entry);
    let id = match &*entry.payload_type {
        "SubmitOrder" | "CancelOrder" => &payload["command_id"],
        "OrderAccepted" | "OrderFilled" | "OrderCanceled" => &payload["event"]["event_id"],
        "QueryAccount" => &payload["request_id"],
        "TimeEvent" => &payload["event_id"],
        _ => return None,
    };
    Some(id.as_str().expect("an id").to_owned())
}

fn count(entries: &[Entry], payload_type: &str) -> usize {
    entries.iter().filter(|entry| entry.payload_type == payload_type).count()
}

#[test]
fn the_report_has_its_documented_shape() {
    let sandbox = Sandbox::new();
    let ran = record(&sandbox);
    let report = ran.json();
    assert_eq!(report["instance_id"], "demo");
    let run_id = report["run_id"].as_str().expect("a run id");
    let path = Path::new(report["path"].as_str().expect("a path"));
    assert_eq!(path, sandbox.runs().join("demo").join(format!("{run_id}.redb")));

    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value} in {report}"));
    let entries = captured(path);
    assert_eq!(number(&report["entries"]), entries.len() as u64);
    assert_eq!(number(&report["watermark"]), entries.len() as u64 + 2);
    assert_eq!(number(&report["bytes_file"]), path.metadata().expect("the file").len());
    // A message that the taps of two threads see is in the log, and counted, once.
    let payload_bytes: usize = entries.iter().map(|entry| entry.payload.len()).sum();
    assert_eq!(number(&report["bytes_payload"]), payload_bytes as u64);
    assert_eq!(report["bad_lines"], 0);
    assert_eq!(report["root"].as_str().map(str::len), Some(64));
    assert_eq!(report["halted"], Value::Null);
    let seconds = report["elapsed_s"].as_f64().expect("a number");
    let rate = report["durable_per_s"].as_f64().expect("a number");
    assert!(seconds > 0.0 && (rate * seconds - entries.len() as f64).abs() < 1.0, "{report}");
    for latency in [&report["capture_ns"], &report["ack_ns"]] {
        let values =
            ["p50", "p90", "p99", "p999", "p9999", "max"].map(|name| number(&latency[name]));
        assert!(values[0] > 0 && values.is_sorted(), "{latency}");
    }
}

#[test]
fn it_captures_what_a_node_says_but_no_market_data() {
    let sandbox = Sandbox::new();
    let report = record(&sandbox).report();
    let entries = captured(&report.path);
    // Orders that are open when enough is captured are still brought to their end.
    assert!((20_000..20_500).contains(&entries.len()), "{} entries", entries.len());

    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &entries {
        *types.entry(&entry.payload_type).or_default() += 1;
        assert!(!entry.topic.starts_with("data.quotes"), "market data is not captured");
    }
    let known = [
        "AccountState",
        "CancelOrder",
        "OrderAccepted",
        "OrderCanceled",
        "OrderFilled",
        "QueryAccount",
        "SubmitOrder",
        "TimeEvent",
    ];
    assert_eq!(types.keys().copied().collect::<Vec<_>>(), known);
    // Every order is accepted, and then either filled, or cancelled on its strategy's command.
    assert_eq!(types["OrderAccepted"], types["SubmitOrder"]);
    assert_eq!(types["OrderFilled"] + types["OrderCanceled"], types["SubmitOrder"]);
    assert_eq!(types["OrderCanceled"], types["CancelOrder"]);
    assert_eq!(types["AccountState"], types["QueryAccount"]);
    for strategy in 1..=3 {
        let orders = entries.iter().filter(|entry| entry.payload_type == "SubmitOrder");
        let own = orders.filter(|entry| payload(entry)["strategy"] == strategy).count();
        assert!(own > 0, "strategy {strategy} has no orders");
    }
}

/// Nothing is encoded for the writer to throw away: what the taps encoded is what is stored.
#[test]
fn each_message_is_encoded_once() {
    let sandbox = Sandbox::new();
    let ran = record(&sandbox);
    let (report, encoded) = (ran.report(), ran.json()["bytes_payload"].as_u64());
    let entries = captured(&report.path);
    let stored: usize = entries.iter().map(|entry| entry.payload.len()).sum();
    assert_eq!(encoded, Some(stored as u64));
    let mut ids = HashSet::new();
    for entry in &entries {
        if let Some(id) = id_of(entry) {
            assert!(ids.insert(id), "entry {} repeats its id", entry.seq);
        }
    }
    assert_eq!(ids.len(), entries.len() - count(&entries, "AccountState"));
}

#[test]
fn every_effect_stands_behind_its_cause() {
    let sandbox = Sandbox::new();
    let report = record(&sandbox).report();
    let mut seen: HashMap<String, Entry> = HashMap::new();
    let mut effects = 0;
    for entry in captured(&report.path) {
        let causes: &[&str] = match &*entry.payload_type {
            "OrderAccepted" | "OrderFilled" => &["SubmitOrder"],
            "CancelOrder" => &["OrderAccepted"],
            "OrderCanceled" => &["CancelOrder"],
            "AccountState" => &["QueryAccount"],
            _ => &[],
        };
        let causation = entry.headers.causation_id.map(|id| id.to_string());
        assert_eq!(causation.is_some(), !causes.is_empty(), "{entry:?}");
        if let Some(causation) = causation {
            let cause = seen.get(&causation);
            let cause = cause.unwrap_or_else(|| panic!("{entry:?} stands before its cause"));
            assert!(causes.contains(&&*cause.payload_type), "{entry:?} caused by {cause:?}");
            effects += 1;
        }
        if let Some(id) = id_of(&entry) {
            seen.insert(id, entry);
        }
    }
    assert!(effects > 10_000, "only {effects} effects");
}

#[test]
fn the_report_names_a_verify_command_that_works() {
    let sandbox = Sandbox::new();
    // A shell takes the command only if such a name is quoted.
    for folder in ["runs", "it's my runs"] {
        let mut record = program();
        record.arg("record").arg("--dir").arg(sandbox.path(folder));
        let ran = run(record.args(["--demo", "--entries", "500"]), b"").exits(0).says("");
        let command = ran.stdout.lines().find_map(|line| line.strip_prefix("verify "));
        let command = command.expect("the report has a verify line").trim();
        assert!(
            command.starts_with("tapline verify ") && command.contains(" --root "),
            "{command}"
        );

        let folder = Path::new(PROGRAM).parent().expect("the program is in a folder");
        let others = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&others));
        let folders = std::env::join_paths(folders).expect("no folder has a colon");
        let mut shell = std::process::Command::new("sh");
        let verdict = run(shell.args(["-c", command]).env("PATH", folders), b"").exits(0).says("");
        assert!(verdict.stdout.contains(": clean, Ended, "), "{}", verdict.stdout);
    }
}

#[test]
fn a_demo_verifies() {
    let sandbox = Sandbox::new();
    let args = ["--demo", "--entries", "500"];
    let report = run(sandbox.command("record").args(args), b"").exits(0).says("").report();
    assert!(report.entries >= 500);
    let path = report.path.as_os_str();
    let verdict = tapline(["verify".as_ref(), path, "--json".as_ref()]).exits(0).json();
    assert_eq!(verdict["clean"], true);
    assert_eq!(verdict["entries_scanned"], report.watermark);
}
