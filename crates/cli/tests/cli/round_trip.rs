//! `scan | record` reproduces the same messages.

use std::path::Path;
use std::process::Stdio;

use tapline::{Entry, Headers, IndexKind, UnixNanos};
use uuid::Uuid;

use crate::support::{Ran, Report, Sandbox, captured, program, shared_data};

/// What makes two entries the same message: all but place, time of recording and hash.
type Message =
    (String, String, UnixNanos, Vec<u8>, Vec<(IndexKind, String)>, Headers, Option<Uuid>);

fn messages(path: &Path) -> Vec<Message> {
    let message = |entry: Entry| {
        let Entry { topic, payload_type, ts_init, payload, headers, keys, identity, .. } = entry;
        (topic, payload_type, ts_init, payload.to_vec(), keys, headers, identity)
    };
    captured(path).into_iter().map(message).collect()
}

/// `tapline scan RUN | tapline record --input - ARGS`, two processes and a pipe.
fn scan_into_record(sandbox: &Sandbox, run: &Path, args: &[&str]) -> Report {
    let mut scan = program().arg("scan").arg(run).stdout(Stdio::piped()).spawn().expect("scan");
    let lines = scan.stdout.take().expect("stdout is a pipe");
    let mut record = sandbox.command("record");
    let record = record.args(["--input", "-"]).args(args).stdin(lines).output();
    let record = Ran::new(record.expect("record runs"));
    assert_eq!(scan.wait().expect("scan ends").code(), Some(0));
    record.exits(0).says("").report()
}

#[test]
fn real_input() {
    let Some(input) = shared_data("esh4-mbo-2023-12-25.ndjson.zst") else { return };
    let sandbox = Sandbox::new();
    let first = sandbox.record_file(&input, &["--producers", "4"]).exits(0).report();
    let second = scan_into_record(&sandbox, &first.path, &[]);
    assert_eq!((second.entries, second.watermark, second.bad_lines), (68_792, 68_794, 0));
    assert_eq!(second.bytes_payload, first.bytes_payload);
    assert_ne!(second.run_id, first.run_id);
    assert!(messages(&first.path) == messages(&second.path), "the messages differ");
}

/// The demo's messages have what the real input lacks: identities, headers, two keys at once.
#[test]
fn demo() {
    let sandbox = Sandbox::new();
    let args = ["--demo", "--entries", "3000", "--producers", "2"];
    let first = crate::support::run(sandbox.command("record").args(args), b"").exits(0).report();
    let second = scan_into_record(&sandbox, &first.path, &[]);
    assert_eq!((second.entries, second.bad_lines), (first.entries, 0));
    assert!(messages(&first.path) == messages(&second.path), "the messages differ");
}

#[test]
fn registered_kinds_and_binary_payloads() {
    let sandbox = Sandbox::new();
    let input = concat!(
        r#"{"topic":"t","type":"T","ts_init":1,"keys":{"leg":"a\"\n"},"payload_b64":"AAEC"}"#,
        "\n",
        r#"{"topic":"é","type":"T","ts_init":2,"payload": [1,  2] }"#,
        "\n",
    );
    let kind = ["--key-kind", "leg"];
    let first = sandbox.record(input, &kind).exits(0).says("").report();
    let second = scan_into_record(&sandbox, &first.path, &kind);
    assert_eq!(second.entries, 2);
    assert_eq!(messages(&first.path), messages(&second.path));
}
