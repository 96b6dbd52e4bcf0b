//! What is recorded of a good line: every field, the payload byte for byte.

use serde_json::Value;
use tapline::{Entry, IndexKind, UnixNanos};
use uuid::Uuid;

use crate::support::{Sandbox, captured, payloads, reader, run, tapline};

fn scan(path: &std::path::Path) -> Vec<Value> {
    let mut lines = tapline(["scan".as_ref(), path.as_os_str()]).exits(0).says("").json_lines();
    lines.pop();
    lines.remove(0);
    lines
}

#[test]
fn json_payloads_are_kept_byte_for_byte() {
    let forms = [
        "null",
        "true",
        "0",
        "-0.0",
        "1e999999",
        "123456789012345678901234567890",
        r#""""#,
        r#""\u00e9 \ud800 \" \\ \/ é 漢 🦀""#,
        "[]",
        "{}",
        r#"{ "b" : [ 1 ,2,  {"a":	null} ] , "b":1 }"#,
    ];
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let forms: Vec<&str> = forms.into_iter().chain([&*deep]).collect();
    let lines: Vec<String> = forms
        .iter()
        .map(|form| format!(r#"{{"topic":"t", "type":"T", "payload" :  {form}  }}"#))
        .collect();
    let sandbox = Sandbox::new();
    let report = sandbox.record(lines.join("\n"), &[]).exits(0).says("").report();
    assert_eq!(payloads(&report.path), forms);
    assert_eq!(report.bytes_payload, forms.iter().map(|form| form.len() as u64).sum::<u64>());

    let scan = tapline(["scan".as_ref(), report.path.as_os_str()]).exits(0);
    for (line, form) in scan.stdout.lines().skip(1).zip(forms) {
        assert!(line.contains(&format!(r#""payload":{form},"#)), "{form} is not in {line}");
    }
    let again = sandbox.record(&scan.stdout, &[]).exits(0).says("").report();
    assert_eq!(payloads(&again.path), payloads(&report.path));
}

#[test]
fn binary_payloads_come_back_as_base64() {
    let every_byte: Vec<u8> = (0..=255).collect();
    let cases: [(&[u8], &str); 5] = [
        (b"", ""),
        (b"\0", "AA=="),
        (b"not json", "bm90IGpzb24="),
        // Printed as JSON, it would lose its line feed.
        (b"[1,\n2]", "WzEsCjJd"),
        (&every_byte, &base64_of_every_byte()),
    ];
    let line =
        |text: &str| format!("{{\"topic\":\"t\",\"type\":\"T\",\"payload_b64\":\"{text}\"}}\n");
    let input: String = cases.iter().map(|(_, text)| line(text)).collect();
    let sandbox = Sandbox::new();
    let report = sandbox.record(input, &[]).exits(0).says("").report();
    let recorded: Vec<Vec<u8>> =
        captured(&report.path).iter().map(|entry| entry.payload.to_vec()).collect();
    assert_eq!(recorded, cases.map(|(bytes, _)| bytes.to_vec()));

    let printed = scan(&report.path);
    for (line, (_, text)) in printed.iter().zip(cases) {
        assert_eq!((&line["payload_b64"], line.get("payload")), (&Value::from(text), None));
    }
    assert_eq!(printed.len(), cases.len());
}

fn base64_of_every_byte() -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| DIGITS[bits as usize & 63] as char;
    let bytes: Vec<u32> = (0..=255).collect();
    let mut text = String::new();
    for group in bytes[..255].chunks(3) {
        let bits = group[0] << 16 | group[1] << 8 | group[2];
        text.extend([18, 12, 6, 0].map(|shift| digit(bits >> shift)));
    }
    // One byte, 255, is left over.
    text + "/w=="
}

#[test]
fn json_in_base64_comes_back_as_json() {
    let sandbox = Sandbox::new();
    // {"a":1}
    let input = r#"{"topic":"t","type":"T","payload_b64":"eyJhIjoxfQ=="}"#;
    let report = sandbox.record(input, &[]).exits(0).report();
    let line = &scan(&report.path)[0];
    assert_eq!((&line["payload"]["a"], line.get("payload_b64")), (&Value::from(1), None));
}

#[test]
fn every_field_is_recorded_and_printed() {
    let (correlation, causation) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let identity = Uuid::from_u128(3);
    let input = format!(
        r#"{{"producer":9,"topic":"orders.é.\u6f22\"","type":"Ordér","ts_init":18446744073709551615,"correlation_id":"{correlation}","causation_id":"{causation}","identity":"{identity}","keys":{{"client_order_id":"C-1","venue_order_id":"V-é","leg":"L","client_order_id":"C-2"}},"payload":1,"unknown":[1]}}"#
    );
    let sandbox = Sandbox::new();
    let report = sandbox.record(input, &["--key-kind", "leg"]).exits(0).says("").report();
    let [entry]: [Entry; 1] = captured(&report.path).try_into().expect("one entry");
    let leg = IndexKind::from_u16(16);
    assert_eq!((&*entry.topic, &*entry.payload_type), ("orders.é.漢\"", "Ordér"));
    assert_eq!(entry.ts_init, UnixNanos::new(u64::MAX));
    assert_eq!(entry.headers.correlation_id, Some(correlation));
    assert_eq!(entry.headers.causation_id, Some(causation));
    assert_eq!(entry.identity, Some(identity));
    let keys = [
        (IndexKind::CLIENT_ORDER_ID, "C-1"),
        (IndexKind::VENUE_ORDER_ID, "V-é"),
        (leg, "L"),
        (IndexKind::CLIENT_ORDER_ID, "C-2"),
    ];
    assert_eq!(entry.keys, keys.map(|(kind, key)| (kind, key.to_owned())));
    for (kind, key) in keys {
        assert_eq!(reader(&report.path).lookup(kind, key).expect("a read"), Some(2), "{key}");
    }

    let line = &scan(&report.path)[0];
    assert_eq!(line["seq"], 2);
    assert_eq!(line["topic"], "orders.é.漢\"");
    assert_eq!(line["type"], "Ordér");
    assert_eq!(line["ts_init"], u64::MAX);
    assert_eq!(line["ts_publish"], entry.ts_publish.to_string().parse::<u64>().expect("a number"));
    assert_eq!(line["correlation_id"], correlation.to_string());
    assert_eq!(line["causation_id"], causation.to_string());
    assert_eq!(line["identity"], identity.to_string());
    assert_eq!(line["keys"]["leg"], "L");
    assert_eq!(line["payload"], 1);
    assert_eq!(line["entry_hash"], entry.entry_hash.to_string());
}

#[test]
fn an_absent_ts_init_is_the_time_of_recording() {
    let sandbox = Sandbox::new();
    let before = UnixNanos::now();
    let input = concat!(
        r#"{"topic":"t","type":"T","payload":1}"#,
        "\n",
        r#"{"topic":"t","type":"T","ts_init":null,"keys":{},"payload":2}"#,
        "\n"
    );
    let report = sandbox.record(input, &[]).exits(0).says("").report();
    let entries = captured(&report.path);
    assert_eq!(entries.len(), 2);
    for entry in entries {
        assert!((before..=UnixNanos::now()).contains(&entry.ts_init), "{entry:?}");
        assert!(entry.keys.is_empty());
    }
}

#[test]
fn one_identity_is_one_entry_whatever_its_producer() {
    let sandbox = Sandbox::new();
    let line = |identity: u128, producer: u8, payload: u8| {
        let identity = Uuid::from_u128(identity);
        format!(
            "{{\"topic\":\"t\",\"type\":\"T\",\"identity\":\"{identity}\",\"producer\":{producer},\"payload\":{payload}}}\n"
        )
    };
    let input: String =
        [line(1, 0, 1), line(1, 0, 1), line(2, 0, 2), line(1, 1, 1), line(2, 2, 2)].concat();
    for producers in ["1", "3"] {
        let report = sandbox.record(&input, &["--producers", producers]).exits(0).report();
        assert_eq!((report.entries, report.watermark, report.bad_lines), (2, 4, 0));
        let mut payloads = payloads(&report.path);
        payloads.sort();
        assert_eq!(payloads, ["1", "2"]);
    }
}

#[test]
fn lifecycle_entries_of_another_run_are_left_out() {
    let sandbox = Sandbox::new();
    let input = concat!(
        r#"{"topic":"run.lifecycle.RunStarted","type":"RunStarted","payload":0}"#,
        "\n",
        r#"{"topic":"run.lifecycle.RunStarted","type":"T","payload":1}"#,
        "\n",
        r#"{"topic":"t","type":"RunEnded","payload":2}"#,
        "\n",
        r#"{"topic":"run.lifecycle.RunEnded","type":"RunEnded","payload":3}"#,
        "\n",
    );
    let report = sandbox.record(input, &[]).exits(0).says("").report();
    assert_eq!((report.entries, report.watermark, report.bad_lines), (2, 4, 0));
    assert_eq!(payloads(&report.path), ["1", "2"]);
}

#[test]
fn the_instance_names_the_folder() {
    let sandbox = Sandbox::new();
    let mut record = sandbox.command("record");
    let ran = run(record.args(["--input", "-", "--instance", "es.1"]), b"").exits(1);
    assert_eq!(ran.json()["instance_id"], "es.1");
    let run_id = ran.report().run_id;
    assert_eq!(ran.report().path, sandbox.runs().join(format!("es.1/{run_id}.redb")));
}
