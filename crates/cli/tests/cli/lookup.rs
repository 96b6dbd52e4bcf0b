//! `lookup`: from a key to the first entry that mentions it.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Ran, Sandbox, program, run};

const INPUT: &str = concat!(
    r#"{"topic":"t","type":"T","keys":{"client_order_id":"C-1","leg":"x y"},"payload":1}"#,
    "\n",
    r#"{"topic":"t","type":"T","keys":{"client_order_id":"C-2","venue_order_id":"C-1"},"payload":2}"#,
    "\n",
    r#"{"topic":"t","type":"T","keys":{"client_order_id":"C-1","leg":"é"},"payload":3}"#,
    "\n",
);

fn lookup(path: &Path, kind: &str, key: &str, args: &[&str]) -> Ran {
    run(program().arg("lookup").arg(path).args([kind, key]).args(args), b"")
}

#[test]
fn the_first_mention_counts_within_its_kind() {
    let sandbox = Sandbox::new();
    let path = sandbox.record(INPUT, &["--key-kind", "leg"]).exits(0).report().path;
    for (kind, key, seq) in [
        ("client_order_id", "C-1", 2),
        ("client_order_id", "C-2", 3),
        ("venue_order_id", "C-1", 3),
        ("leg", "x y", 2),
        ("leg", "é", 4),
    ] {
        let found = lookup(&path, kind, key, &["--json"]).exits(0).says("").json();
        assert_eq!(found, json!({ "kind": kind, "key": key, "seq": seq }));
        assert_eq!(lookup(&path, kind, key, &[]).exits(0).says("").stdout, format!("{seq}\n"));
    }
}

#[test]
fn an_absent_key_is_null_and_exit_code_1() {
    let sandbox = Sandbox::new();
    let path = sandbox.record(INPUT, &["--key-kind", "leg"]).exits(0).report().path;
    for key in ["C-3", "", "C", "C-10"] {
        let absent = lookup(&path, "client_order_id", key, &["--json"]).exits(1).says("").json();
        assert_eq!(absent, json!({ "kind": "client_order_id", "key": key, "seq": Value::Null }));
        let absent = lookup(&path, "client_order_id", key, &[]).exits(1);
        assert_eq!(absent.stdout, "");
        assert_eq!(absent.stderr, format!("no entry mentions client_order_id {key:?}\n"));
    }
}

#[test]
fn an_unknown_kind_names_the_known_ones() {
    let sandbox = Sandbox::new();
    let path = sandbox.record(INPUT, &["--key-kind", "leg"]).exits(0).report().path;
    let ran = lookup(&path, "order_id", "C-1", &["--json"]).exits(2);
    assert_eq!(ran.stdout, "");
    ran.says("error: there is no index kind \"order_id\" in this run; it has: client_order_id, leg, venue_order_id\n");
}

#[test]
fn a_run_can_be_named_by_its_id() {
    let sandbox = Sandbox::new();
    let report = sandbox.record(INPUT, &["--key-kind", "leg"]).exits(0).report();
    let mut by_id = sandbox.command("lookup");
    let found = run(by_id.args([&report.run_id, "leg", "é"]), b"").exits(0).json();
    assert_eq!(found["seq"], 4);
    let mut absent = sandbox.command("lookup");
    run(absent.args(["1-00000000", "leg", "é"]), b"").exits(2);
}
