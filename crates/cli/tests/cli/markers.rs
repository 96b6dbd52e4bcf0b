//! `record --markers`, `markers`, and what `verify` says of a sidecar.

use std::path::Path;

use redb::{Database, ReadableTable, TableDefinition};
use serde_json::{Value, json};

use crate::running::Running;
use crate::support::{Ran, Report, Sandbox, program, recover, run, shared_data, tapline};

const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("marker_blocks");

/// Lines of two streams, and of what is no market data, in turn.
fn lines() -> String {
    let line = |n: u64| {
        let (topic, kind) = match n % 3 {
            0 => ("data.es.TradeTick", "TradeTick"),
            1 => ("data.es.OrderAdded", "OrderAdded"),
            _ => ("orders", "OrderFilled"),
        };
        format!("{{\"topic\":\"{topic}\",\"type\":\"{kind}\",\"ts_init\":{n},\"payload\":{n}}}\n")
    };
    (1..=9).map(line).collect()
}

fn markers(run: &Path, args: &[&str]) -> Ran {
    crate::support::run(program().arg("markers").arg(run).args(args), b"")
}

/// Of each stream its class, how much had been seen, and up to when.
fn streams(report: &Value) -> Vec<Value> {
    let streams = report["streams"].as_array().expect("an array");
    streams.iter().map(|row| json!([row["data_cls"], row["count"], row["ts_init_hi"]])).collect()
}

fn record(sandbox: &Sandbox, args: &[&str]) -> Report {
    sandbox.record(lines(), args).exits(0).says("").report()
}

#[test]
fn what_had_been_seen_at_each_entry() {
    let sandbox = Sandbox::new();
    let report = record(&sandbox, &["--markers", "--high-fidelity", "data.es"]);
    let all = markers(&report.path, &["--json"]).exits(0).says("").json();
    assert_eq!(all["run_id"], report.run_id);
    assert_eq!((&all["status"], &all["at"]), (&json!("Ended"), &Value::Null));
    assert_eq!((&all["hifi"], &all["gaps"], &all["missing"]), (&json!(6), &json!(0), &json!(0)));
    assert_eq!(streams(&all), [json!(["BookDeltas", 3, 7]), json!(["Trade", 3, 9])]);
    // Line n is entry n + 1, and its mark stands before it.
    let at = |seq: &str| streams(&markers(&report.path, &["--at", seq, "--json"]).exits(0).json());
    assert_eq!(at("1"), [json!(["BookDeltas", 0, null]), json!(["Trade", 0, null])]);
    assert_eq!(at("2"), [json!(["BookDeltas", 1, 1]), json!(["Trade", 0, null])]);
    assert_eq!(at("7"), [json!(["BookDeltas", 2, 4]), json!(["Trade", 2, 6])]);

    let human = markers(&report.path, &["--at", "7"]).exits(0).says("").stdout;
    let sidecar = report.path.with_extension("markers.redb");
    assert_eq!(
        human,
        format!(
            "{}: run {}, Ended\n\
             6 snapshots, 6 high-fidelity markers, 0 gaps\n\
             seen when entry 7 was captured:\n  \
             BookDeltas   data.es                             2  up to 1970-01-01T00:00:00.000000004Z\n  \
             Trade        data.es                             2  up to 1970-01-01T00:00:00.000000006Z\n",
            sidecar.display(),
            report.run_id
        )
    );
}

#[test]
fn an_entry_that_the_run_does_not_have_is_refused() {
    let sandbox = Sandbox::new();
    let path = record(&sandbox, &["--markers"]).path;
    markers(&path, &["--at", "11"]).exits(0);
    for at in ["12", "99999999"] {
        let ran = markers(&path, &["--at", at]).exits(2);
        assert_eq!(ran.stdout, "");
        let path = path.display();
        ran.says(&format!("error: {path} has no entry {at}; its last is 11\n"));
    }
    assert!(markers(&path, &["--at", "0"]).exits(2).stderr.contains("--at"));
}

#[test]
fn without_markers_there_is_no_sidecar() {
    let sandbox = Sandbox::new();
    let report = record(&sandbox, &[]);
    let sidecar = report.path.with_extension("markers.redb");
    assert!(!sidecar.exists());
    let path = sidecar.display();
    let error = format!("error: cannot read the data markers in {path}: there is no file {path}\n");
    markers(&report.path, &["--json"]).exits(2).says(&error);
}

#[test]
fn verify_looks_at_the_sidecar_too() {
    let sandbox = Sandbox::new();
    let report = record(&sandbox, &["--markers"]);
    let sidecar = report.path.with_extension("markers.redb");
    let verify = |code| {
        let verdict = run(program().arg("verify").arg(&report.path).arg("--json"), b"");
        verdict.exits(code).json()
    };
    let verdict = verify(0);
    assert_eq!(verdict["clean"], true);
    assert_eq!(verdict["markers"]["path"], sidecar.to_str().expect("text"));
    let of_markers = &verdict["markers"];
    assert_eq!((&of_markers["clean"], &of_markers["markers_scanned"]), (&json!(true), &json!(6)));

    let database = Database::open(&sidecar).expect("a sidecar opens with stock redb");
    let transaction = database.begin_write().expect("a transaction begins");
    {
        let mut table = transaction.open_table(BLOCKS).expect("the table opens");
        let mut block = table.get(1).expect("readable").expect("a block").value().to_vec();
        block[20] ^= 1;
        table.insert(1, block.as_slice()).expect("writable");
    }
    transaction.commit().expect("the transaction commits");
    drop(database);
    let verdict = verify(1);
    assert_eq!((&verdict["clean"], &verdict["markers"]["clean"]), (&json!(true), &json!(false)));
    let finding = json!([{"kind": "marker_hash_mismatch", "marker_seq": 1}]);
    assert_eq!(verdict["markers"]["findings"], finding);
    let human = run(program().arg("verify").arg(&report.path), b"").exits(1).stdout;
    assert!(human.ends_with(&format!(
        "{}: DAMAGED, Ended, 6 markers\n  marker 1 does not match its hash\n",
        sidecar.display()
    )));

    // Sealed, closed, and made shorter: no crash does that.
    let bytes = std::fs::read(&sidecar).expect("readable");
    std::fs::write(&sidecar, &bytes[..bytes.len() - 4096]).expect("writable");
    let error = verify(1)["markers"]["error"].as_str().expect("text").to_owned();
    assert!(error.contains("closed in order, and changed since"), "{error}");

    std::fs::write(&sidecar, b"garbage").expect("writable");
    let verdict = verify(1);
    assert_eq!(verdict["clean"], true);
    assert!(verdict["markers"]["error"].is_string(), "{verdict}");
}

/// The demo's node, with every class of data.
#[test]
fn the_demo_marks_all_it_sees() {
    let sandbox = Sandbox::new();
    let args = ["--demo", "--entries", "5000", "--producers", "2", "--markers"];
    let ran = run(sandbox.command("record").args(args), b"").exits(0);
    let report = ran.json();
    let counts = &report["markers"];
    assert_eq!((&counts["dict"], &counts["gaps"]), (&json!(5), &json!(0)));
    assert_eq!(counts["missing"], 0);
    let run = ran.report().path;
    let all = markers(&run, &["--json"]).exits(0).json();
    let classes: Vec<&str> = all["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["data_cls"].as_str().unwrap())
        .collect();
    for class in ["BookDeltas", "BookDepth10", "Quote", "Trade", "Bar"] {
        assert!(classes.contains(&class), "{classes:?}");
    }
    // Every fill is a trade, and an entry.
    let fills =
        crate::support::run(program().arg("scan").arg(&run).args(["--type", "OrderFilled"]), b"");
    let fills = fills.exits(0).json_lines().len() as u64;
    let trades = streams(&all).iter().find(|row| row[0] == "Trade").unwrap()[1].clone();
    assert_eq!(trades, fills);
    tapline(["verify".as_ref(), run.as_os_str()]).exits(0);
}

/// A recording of real input that is killed: its sidecar is sealed with it, and holds nothing that
/// the run does not.
#[test]
fn a_killed_recording_leaves_a_sidecar_that_fits() {
    let Some(input) = shared_data("esh4-mbo-2023-12-25.ndjson.zst") else { return };
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("record");
    command.arg("--input").arg(&input).args(["--markers", "--rate", "20000"]);
    let mut recording = Running::start(&mut command);
    crate::running::wait_until("there is a run", || !sandbox.run_files().is_empty());
    std::thread::sleep(std::time::Duration::from_millis(1500));
    recording.kill();
    recording.end();
    recover(&sandbox.runs()).exits(0);
    let run = &sandbox.run_files()[0];
    let verdict = crate::support::run(program().arg("verify").arg(run).arg("--json"), b"");
    let verdict = verdict.exits(0).json();
    assert_eq!(verdict["markers"]["status"], "CrashedRecovered");
    // Line n is entry n + 1, and every line of this input is market data, marked ahead of its
    // entry.
    let all = markers(run, &["--json"]).exits(0).json();
    let seen: u64 = streams(&all).iter().map(|row| row[1].as_u64().unwrap()).sum();
    let entries = verdict["entries_scanned"].as_u64().unwrap();
    assert!(seen > 0 && seen <= entries, "{seen} seen, {entries} entries");
}
