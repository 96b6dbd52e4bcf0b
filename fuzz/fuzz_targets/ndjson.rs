//! Any bytes, plain or compressed, read as the program reads NDJSON: every line that is not blank
//! is a message or a bad line, under its number; no line is held in memory that is longer than a
//! line may be; and a message has what `serde_json` finds in the line.

#![no_main]

use std::io::{Cursor, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tapline::engine::WriterConfig;
use tapline::{IndexKind, IndexKinds};
use tapline_cli::fuzzing::{NdjsonMessage, read_ndjson};
use uuid::Uuid;

/// Low, so that longer lines are met.
const LINE_BYTES_MAX: u64 = 600;

/// An input that is compressed may become long; so many of its lines are enough.
const SHOWN_MAX: usize = 1 << 20;

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

fuzz_target!(|data: &[u8]| {
    let mut found = Vec::new();
    let source = Trickle { data: Cursor::new(data.to_vec()), reads: 0 };
    let read = read_ndjson(source, LINE_BYTES_MAX, kinds(), config(), |number, parsed, held| {
        // A buffer grows by doubling.
        assert!(held as u64 <= 2 * LINE_BYTES_MAX, "{held} bytes held for line {number}");
        if found.len() < SHOWN_MAX {
            found.push((number, parsed));
        }
    });
    if is_no_plain_text(data) {
        assert!(found.windows(2).all(|two| two[0].0 < two[1].0));
        return;
    }
    read.expect("bytes in memory can be read");
    let mut found = found.into_iter();
    let text = data.strip_prefix(&BYTE_ORDER_MARK).unwrap_or(data);
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        if line.iter().all(u8::is_ascii_whitespace) && (line.len() as u64) < LINE_BYTES_MAX {
            continue;
        }
        let (found_number, parsed) = found.next().expect("a line was passed over");
        assert_eq!(found_number, number);
        match parsed {
            Ok(message) => check(line, &message),
            Err(column) => assert!((1..=line.len().max(1)).contains(&column), "column {column}"),
        }
    }
    assert_eq!(found.next(), None);
});

/// Input that is packed, in UTF-16, or in a form that is refused, by its first bytes.
fn is_no_plain_text(data: &[u8]) -> bool {
    matches!(
        data,
        [0x28, 0xB5, 0x2F, 0xFD, ..]
            | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..]
            | [0x1F, 0x8B, ..]
            | [0xFD, b'7', b'z', b'X', ..]
            | [b'B', b'Z', b'h', ..]
            | [0x04, 0x22, 0x4D, 0x18, ..]
            | [b'P', b'K', 0x03, 0x04, ..]
            | [b'P', b'A', b'R', b'1', ..]
            | [0xFF, 0xFE, ..]
            | [0xFE, 0xFF, ..]
            | [b'{', 0, ..]
            | [0, b'{', ..]
    )
}

/// Hands out its bytes as a pipe does: a few at a time.
struct Trickle {
    data: Cursor<Vec<u8>>,
    reads: usize,
}

impl Read for Trickle {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.reads += 1;
        let len = out.len().min(self.reads * 7);
        self.data.read(&mut out[..len])
    }
}

fn kinds() -> IndexKinds {
    let mut kinds = IndexKinds::default();
    kinds.register("strategy").expect("a name as names are");
    kinds
}

fn config() -> WriterConfig {
    WriterConfig {
        record_bytes_max: 512,
        name_bytes_max: 16,
        keys_per_entry_max: 3,
        key_bytes_max: 12,
        ..WriterConfig::default()
    }
}

/// Compares a message with the line it was read from.
fn check(line: &[u8], message: &NdjsonMessage) {
    assert!((line.len() as u64) < LINE_BYTES_MAX);
    let config = config();
    for name in [&message.topic, &message.payload_type] {
        assert!((1..=config.name_bytes_max).contains(&name.len()));
    }
    assert!(message.keys.len() <= config.keys_per_entry_max);
    assert!(message.keys.iter().all(|(_, key)| key.len() <= config.key_bytes_max));
    assert!(message.payload.len() <= config.record_bytes_max - 64);
    // It takes less than we do: no number that is too large for it, no half of a surrogate pair.
    let Ok(line) = serde_json::from_slice::<Value>(line) else {
        return;
    };
    assert_eq!(line["topic"], *message.topic);
    assert_eq!(line["type"], *message.payload_type);
    match line.get("ts_init") {
        // A time as text.
        Some(Value::String(_)) => assert!(message.ts_init.is_some()),
        ts_init => assert_eq!(ts_init.and_then(Value::as_u64), message.ts_init),
    }
    assert_eq!(line.get("producer").and_then(Value::as_u64).unwrap_or(0), message.producer);
    match line.get("payload") {
        Some(payload) => {
            let text = serde_json::from_slice::<Value>(&message.payload);
            assert_eq!(text.expect("a payload is JSON"), *payload);
        }
        None => assert_eq!(line["payload_b64"], BASE64.encode(&message.payload)),
    }
    let id = |field: &str| {
        let text = line.get(field)?.as_str()?;
        Some(Uuid::parse_str(text).expect("an id is a UUID"))
    };
    assert_eq!(id("correlation_id"), message.headers.correlation_id);
    assert_eq!(id("causation_id"), message.headers.causation_id);
    assert_eq!(id("identity"), message.identity);
    check_keys(line.get("keys"), &message.keys);
}

/// Of a kind that comes twice, `serde_json` has the last key.
fn check_keys(line: Option<&Value>, keys: &[(IndexKind, String)]) {
    let of_kind = |kind| keys.iter().rev().find(|(found, _)| *found == kind).map(|(_, key)| key);
    let line = line.and_then(Value::as_object);
    for (name, kind) in kinds().iter() {
        let expected = line.and_then(|line| line.get(name)).and_then(Value::as_str);
        assert_eq!(of_kind(kind).map(String::as_str), expected);
    }
}
