//! Market-by-order messages of a futures market, recorded whole.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::RawValue;
use tapline::{Entry, IndexKind};

use crate::support::{Report, Sandbox, captured, reader, run, shared_data, tapline};

/// One line of the input.
#[derive(Deserialize)]
struct Message<'a> {
    topic: &'a str,
    #[serde(rename = "type")]
    payload_type: &'a str,
    ts_init: u64,
    producer: u64,
    keys: Keys<'a>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

#[derive(Deserialize)]
struct Keys<'a> {
    venue_order_id: &'a str,
}

/// One line of output.
#[derive(Deserialize)]
struct Scanned<'a> {
    seq: u64,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// What the input is known to contain.
#[derive(Deserialize)]
struct Expected {
    lines: u64,
    distinct_venue_order_ids: usize,
    types: HashMap<String, u64>,
    per_producer: HashMap<String, usize>,
    first_line_of: HashMap<String, u64>,
    max_ts_init: u64,
}

struct RealInput {
    path: PathBuf,
    text: String,
    expected: Expected,
}

impl RealInput {
    fn load() -> Option<Self> {
        let path = shared_data("esh4-mbo-2023-12-25.ndjson.zst")?;
        let expected = shared_data("esh4-mbo-2023-12-25.expected.json")?;
        let packed = std::fs::read(&path).expect("the input");
        let text = zstd::decode_all(&*packed).expect("the input unpacks");
        let expected = std::fs::read(expected).expect("the counts");
        let expected = serde_json::from_slice(&expected).expect("the counts parse");
        Some(Self { path, text: String::from_utf8(text).expect("text"), expected })
    }

    fn messages(&self) -> Vec<Message<'_>> {
        let parse = |line| serde_json::from_str(line).expect("a message");
        let messages: Vec<Message<'_>> = self.text.lines().map(parse).collect();
        assert_eq!(messages.len() as u64, self.expected.lines);
        messages
    }

    fn record(&self, sandbox: &Sandbox, producers: &str) -> Report {
        let ran = sandbox.record_file(&self.path, &["--producers", producers]).exits(0).says("");
        let report = ran.report();
        let (entries, watermark) = (report.entries, report.watermark);
        assert_eq!((entries, watermark, report.bad_lines), (68_792, 68_794, 0));
        assert!(report.halted.is_none());
        let bytes: u64 =
            self.messages().iter().map(|message| message.payload.get().len() as u64).sum();
        assert_eq!(report.bytes_payload, bytes);
        report
    }
}

#[track_caller]
fn assert_is(entry: &Entry, message: &Message<'_>) {
    assert_eq!(&*entry.payload, message.payload.get().as_bytes(), "entry {}", entry.seq);
    let fields = (&*entry.topic, &*entry.payload_type, entry.ts_init.to_string());
    let expected = (message.topic, message.payload_type, message.ts_init.to_string());
    assert_eq!(fields, expected, "entry {}", entry.seq);
    let key = (IndexKind::VENUE_ORDER_ID, message.keys.venue_order_id.to_owned());
    assert_eq!(entry.keys, [key], "entry {}", entry.seq);
}

#[test]
fn one_producer_keeps_every_message_in_its_place() {
    let Some(input) = RealInput::load() else { return };
    let sandbox = Sandbox::new();
    let report = input.record(&sandbox, "1");

    let entries = captured(&report.path);
    let messages = input.messages();
    assert_eq!(entries.len(), messages.len());
    for (entry, message) in entries.iter().zip(&messages) {
        assert_is(entry, message);
    }
    let mut types: HashMap<String, u64> = HashMap::new();
    for entry in &entries {
        *types.entry(entry.payload_type.clone()).or_default() += 1;
    }
    assert_eq!(types, input.expected.types);
    let end = reader(&report.path).manifest().expect("a manifest").end_ts_init.expect("sealed");
    // RunEnded carries the time of recording, which is later than the messages.
    assert!(end.to_string().parse::<u64>().expect("a number") > input.expected.max_ts_init);
}

#[test]
fn scan_prints_every_payload_byte_for_byte() {
    let Some(input) = RealInput::load() else { return };
    let sandbox = Sandbox::new();
    let report = input.record(&sandbox, "1");
    let scan = tapline(["scan".as_ref(), report.path.as_os_str()]).exits(0).says("");
    let lines: Vec<&str> = scan.stdout.lines().collect();
    assert_eq!(lines.len(), 68_794);
    for ((line, message), seq) in lines[1..].iter().zip(input.messages()).zip(2_u64..) {
        let printed: Scanned<'_> = serde_json::from_str(line).expect("a line of output");
        assert_eq!(printed.seq, seq);
        assert_eq!(printed.payload.get(), message.payload.get(), "line {}", seq - 1);
    }
}

#[test]
fn every_key_leads_to_the_first_line_that_mentions_it() {
    let Some(input) = RealInput::load() else { return };
    let sandbox = Sandbox::new();
    let report = input.record(&sandbox, "1");

    let mut first_line: HashMap<&str, u64> = HashMap::new();
    let messages = input.messages();
    for (message, line) in messages.iter().zip(1..) {
        first_line.entry(message.keys.venue_order_id).or_insert(line);
    }
    assert_eq!(first_line.len(), input.expected.distinct_venue_order_ids);
    for (key, line) in &input.expected.first_line_of {
        assert_eq!(first_line[&**key], *line, "the input is not the one expected");
    }
    // RunStarted is entry 1, so line n is entry n + 1.
    let reader = reader(&report.path);
    for (key, line) in &first_line {
        let seq = reader.lookup(IndexKind::VENUE_ORDER_ID, key).expect("a read");
        assert_eq!(seq, Some(line + 1), "key {key}");
    }
    assert_eq!(reader.keys(IndexKind::VENUE_ORDER_ID).count(), first_line.len());
    assert_eq!(reader.keys(IndexKind::CLIENT_ORDER_ID).count(), 0);
    for (key, line) in &input.expected.first_line_of {
        let args = ["lookup".as_ref(), report.path.as_os_str()];
        let mut lookup = crate::support::program();
        let ran = run(lookup.args(args).args(["venue_order_id", key]), b"").exits(0);
        assert_eq!(ran.stdout, format!("{}\n", line + 1));
    }
}

#[test]
fn the_recording_verifies_with_its_root() {
    let Some(input) = RealInput::load() else { return };
    let sandbox = Sandbox::new();
    for producers in ["1", "4"] {
        let report = input.record(&sandbox, producers);
        let root = report.root.as_deref().expect("a sealed run has a root");
        let path = report.path.as_os_str();
        let args = ["verify".as_ref(), path, "--json".as_ref(), "--root".as_ref(), root.as_ref()];
        let verdict = tapline(args).exits(0).says("").json();
        assert_eq!(
            (&verdict["clean"], &verdict["entries_scanned"]),
            (&true.into(), &68_794.into())
        );
    }
}

#[test]
fn four_producers_keep_the_order_within_each() {
    let Some(input) = RealInput::load() else { return };
    let sandbox = Sandbox::new();
    let report = input.record(&sandbox, "4");

    let messages = input.messages();
    let mut by_producer: HashMap<u64, Vec<&Message<'_>>> = HashMap::new();
    let mut producer_of: HashMap<&str, u64> = HashMap::new();
    for message in &messages {
        by_producer.entry(message.producer).or_default().push(message);
        // Messages are dealt by order id, so the key tells the producer.
        producer_of.insert(message.keys.venue_order_id, message.producer);
    }
    let mut recorded: HashMap<u64, Vec<Entry>> = HashMap::new();
    for entry in captured(&report.path) {
        recorded.entry(producer_of[&*entry.keys[0].1]).or_default().push(entry);
    }
    assert_eq!(recorded.len(), 4);
    for (producer, entries) in recorded {
        let messages = &by_producer[&producer];
        assert_eq!(entries.len(), input.expected.per_producer[&producer.to_string()]);
        assert_eq!(entries.len(), messages.len());
        for (entry, message) in entries.iter().zip(messages) {
            assert_is(entry, message);
        }
    }
}
