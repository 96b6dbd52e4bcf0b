//! `replay`: a run joined with the market data of a catalog.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tapline::UnixNanos;
use tapline_catalog::{CatalogFileWriter, MarketDataClass, MarketRecord, ParquetCatalog, Trade};

use crate::support::{Ran, Sandbox, run};

/// A run whose messages are at 10, 20, … 100.
fn record(sandbox: &Sandbox, args: &[&str]) {
    let mut lines = String::new();
    for n in 1..=10 {
        let at = n * 10;
        writeln!(lines, r#"{{"topic":"t","type":"T","ts_init":{at},"payload":{n}}}"#)
            .expect("writing to a string");
    }
    sandbox.record(lines, args).exits(0);
}

/// Trades of `instrument` at these times, in a file that covers them and no more than `to`.
fn trades(sandbox: &Sandbox, instrument: &str, times: &[u64], to: u64) -> PathBuf {
    let catalog = ParquetCatalog::new(sandbox.path("catalog"));
    let from = UnixNanos::new(times[0]);
    let class = MarketDataClass::Trade;
    let mut file = CatalogFileWriter::create(&catalog, class, instrument, from).expect("a file");
    for time in times {
        let at = UnixNanos::new(*time);
        let aggressor = tapline_catalog::Aggressor::Buyer;
        let trade = Trade { ts_event: at, ts_init: at, price: -5, size: *time, aggressor };
        file.push(&MarketRecord::Trade(trade)).expect("in order");
    }
    file.finish(UnixNanos::new(to)).expect("a new file")
}

fn replay(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let mut command = sandbox.command("replay");
    run(command.arg("latest").arg("--catalog").arg(sandbox.path("catalog")).args(args), b"")
}

/// Entries by their `seq`, records by their negative time.
fn order(ran: &Ran) -> Vec<i64> {
    let number = |value: &Value| value.as_i64().expect("a number");
    let place = |line: Value| match line.get("market") {
        Some(_) => -number(&line["ts_init"]),
        None => number(&line["seq"]),
    };
    ran.json_lines().into_iter().map(place).collect()
}

#[test]
fn records_come_before_the_entries_they_may_have_caused() {
    let sandbox = Sandbox::new();
    record(&sandbox, &[]);
    trades(&sandbox, "ES", &[10, 11, 20, 35], 100);
    trades(&sandbox, "BTC/USD", &[20], 100);
    let ran = replay(&sandbox, &["--from", "2", "--to", "5"]).exits(0);
    // Entry 1 is RunStarted. Entries 2 to 5 are at 10 to 40.
    assert_eq!(order(&ran), [-10, 2, -11, -20, -20, 3, 4, -35, 5]);
    assert_eq!(
        ran.stderr,
        "4 entries, 1 trade of BTC/USD, 4 trade of ES\nthe catalog lacks trade of BTC/USD, 10 to 19\n"
    );
    let lines = ran.json_lines();
    let expected = serde_json::json!({
        "instrument": "ES", "market": "trade", "ts_event": 10, "ts_init": 10, "price": -5,
        "size": 10, "aggressor": "buyer",
    });
    assert_eq!(lines[0], expected);
    // An entry is as `scan` prints it.
    let mut scan = sandbox.command("scan");
    let scanned = run(scan.args(["latest", "--from", "2", "--to", "2"]), b"").exits(0);
    assert_eq!(scanned.json_lines(), [lines[1].clone()]);

    let of = |args: &[&str]| order(&replay(&sandbox, args).exits(0)).len();
    assert_eq!(of(&["--instrument", "BTC/USD"]), 12 + 1);
    assert_eq!(of(&["--class", "trade"]), 12 + 5);
    let alone = run(sandbox.command("replay").arg("latest"), b"").exits(0).says("12 entries\n");
    assert_eq!(order(&alone), (1..=12).collect::<Vec<_>>());
}

#[test]
fn what_is_required_and_missing_ends_the_replay_before_it_begins() {
    let sandbox = Sandbox::new();
    record(&sandbox, &[]);
    trades(&sandbox, "ES", &[10, 50], 90);
    let lacks = "the catalog lacks trade of ES, 91 to 100\n";
    let ran = replay(&sandbox, &["--require"]).exits(1).says(lacks);
    assert_eq!(ran.stdout, "");
    let ran = replay(&sandbox, &[]).exits(0);
    assert_eq!(ran.stderr, format!("12 entries, 2 trade of ES\n{lacks}"));
    // Entry 10 is at 90.
    replay(&sandbox, &["--require", "--to", "10"]).exits(0).says("10 entries, 2 trade of ES\n");
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let sandbox = Sandbox::new();
    record(&sandbox, &[]);
    let said = replay(&sandbox, &[]).exits(2).stderr;
    assert!(said.starts_with("error: cannot list the catalog ") && said.contains("--catalog"));
    std::fs::create_dir(sandbox.path("catalog")).expect("a folder");
    let said = replay(&sandbox, &[]).exits(2).stderr;
    assert!(said.contains("has no market data of that kind"), "{said}");

    let file = trades(&sandbox, "ES", &[10, 20, 30], 100);
    for args in [&["--class", "quote"][..], &["--instrument", "NQ"]] {
        let said = replay(&sandbox, args).exits(2).stderr;
        assert!(said.contains("has no market data of that kind"), "{said}");
    }
    let said = replay(&sandbox, &["--class", "tick"]).exits(2).stderr;
    assert!(said.contains("expected one of book_deltas, "), "{said}");
    let said = replay(&sandbox, &["--at", "3"]).exits(2).stderr;
    assert!(said.starts_with("error: cannot read the data markers in "), "{said}");

    let whole = std::fs::read(&file).expect("the file");
    std::fs::write(&file, &whole[..whole.len() - 9]).expect("it is ours");
    let ran = replay(&sandbox, &["--from", "2"]).exits(2);
    assert!(ran.stderr.contains("cannot load trade of ES from trade/ES/10-100.parquet"));
    std::fs::rename(&file, file.with_file_name("today.parquet")).expect("it is ours");
    let said = replay(&sandbox, &[]).exits(2).stderr;
    assert!(said.contains("is not named <from>-<to>.parquet"), "{said}");
}

/// The demo writes the catalog that its run is replayed with: each record that was marked is there.
#[test]
fn the_demo_is_replayed_with_what_its_node_had_seen() {
    let sandbox = Sandbox::new();
    let catalog = sandbox.path("catalog");
    let mut demo = sandbox.command("record");
    demo.args(["--demo", "--entries", "2000", "--markers", "--high-fidelity", "ES.SIM"]);
    let report = run(demo.arg("--catalog").arg(&catalog), b"").exits(0).says("").json();
    let entries = report["entries"].as_u64().expect("a number") + 2;
    let demo_run = Path::new(report["path"].as_str().expect("a path"));
    let replay = |args: &[&str]| {
        let mut command = sandbox.command("replay");
        run(command.arg(demo_run).arg("--catalog").arg(&catalog).args(args), b"").exits(0)
    };
    let ran = replay(&["--from", "2", "--require"]);
    let lines = ran.json_lines();
    let classes = |line: &Value| line["market"].as_str().map(str::to_owned);
    let mut kinds: Vec<String> = lines.iter().filter_map(classes).collect();
    let records = kinds.len();
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds, ["bar", "book_deltas", "book_depth10", "quote", "trade"]);
    assert_eq!(lines.len() - records, entries as usize - 1);
    assert!(!ran.stderr.contains("lacks"), "{}", ran.stderr);

    // As of the last message, the catalog has as many book changes as were seen.
    let at = (entries - 1).to_string();
    let streams = replay(&["--at", &at, "--lookback", "10min"]).json_lines();
    assert_eq!(streams.len(), 5);
    let deltas = &streams.iter().find(|line| line["class"] == "book_deltas").expect("marked");
    assert_eq!(deltas["instrument"], "ES.SIM");
    let seen = deltas["records"].as_array().expect("records").len();
    assert_eq!(deltas["count"].as_u64(), Some(seen as u64));
}
