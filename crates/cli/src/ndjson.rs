//! The program's text form of messages: one JSON object a line.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{self, MapAccess, Unexpected, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use tapline::capture::{EncodeError, Encoder, OnEncodeError};
use tapline::engine::WriterConfig;
use tapline::internals::format::{KEY_HEADER_BYTES, LINE_BYTES};
use tapline::markers::{DataPoint, Extractor};
use tapline::read::EntryRef;
use tapline::{DataMarkerClass, Entry, Headers, IndexKind, IndexKinds, UnixNanos};

use super::bad_lines::BadLine;
use super::utc;

/// A message from a line of input.
#[derive(Debug, PartialEq)]
pub(super) struct InputMessage {
    pub(super) line: u64,
    pub(super) producer: u64,
    pub(super) topic: String,
    pub(super) payload_type: String,
    /// `None` means the time of recording.
    pub(super) ts_init: Option<UnixNanos>,
    pub(super) payload: Vec<u8>,
    pub(super) headers: Headers,
    pub(super) keys: Vec<(IndexKind, String)>,
    pub(super) identity: Option<Uuid>,
}

impl InputMessage {
    /// How much memory it takes.
    pub(super) fn bytes_in_memory(&self) -> usize {
        let key_bytes =
            |(_, key): &(IndexKind, String)| size_of::<(IndexKind, String)>() + key.len();
        let keys: usize = self.keys.iter().map(key_bytes).sum();
        size_of::<Self>() + self.topic.len() + self.payload_type.len() + self.payload.len() + keys
    }
}

#[derive(Deserialize)]
struct RawLine<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    payload_type: Cow<'a, str>,
    ts_init: Option<TsInit>,
    #[serde(borrow, default, deserialize_with = "present")]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    payload_b64: Option<Text<'a>>,
    correlation_id: Option<Uuid>,
    causation_id: Option<Uuid>,
    identity: Option<Uuid>,
    #[serde(borrow, default)]
    keys: RawKeys<'a>,
    producer: Option<u64>,
}

/// Accepts `null` as a payload, which an `Option` would not.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Keys in their order in the line. A kind may come twice.
#[derive(Default)]
struct RawKeys<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for RawKeys<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = RawKeys<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of key kinds and keys")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawKeys<'de>, A::Error> {
                let mut keys = Vec::new();
                while let Some(Text(kind)) = map.next_key()? {
                    let Text(key) = map.next_value()?;
                    keys.push((kind, key));
                }
                Ok(RawKeys(keys))
            }
        }
        from.deserialize_map(Keys)
    }
}

/// Nanoseconds since 1970, or a time as text.
struct TsInit(UnixNanos);

impl<'de> Deserialize<'de> for TsInit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Time;

        impl Visitor<'_> for Time {
            type Value = TsInit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("nanoseconds since 1970, or text such as \"2026-12-01T04:39:23.5Z\"")
            }

            fn visit_u64<E: de::Error>(self, nanos: u64) -> Result<TsInit, E> {
                Ok(TsInit(UnixNanos::new(nanos)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TsInit, E> {
                utc::parse(text)
                    .map(TsInit)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        from.deserialize_any(Time)
    }
}

/// Text. It is borrowed from the line unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Turns lines into messages, within the limits of their run.
pub(super) struct LineParser {
    kinds: IndexKinds,
    config: WriterConfig,
}

impl LineParser {
    pub(super) fn new(kinds: IndexKinds, config: WriterConfig) -> Self {
        Self { kinds, config }
    }

    /// Parses `text`, which is line number `line` without its line feed.
    pub(super) fn parse(&self, line: u64, text: &[u8]) -> Result<InputMessage, BadLine> {
        let bad = |column: usize, what: String| BadLine { line, column, what };
        // Only if it is an object: serde would take an array as the fields in order.
        if let Some(start) = text.iter().position(|byte| !byte.is_ascii_whitespace())
            && text[start] != b'{'
        {
            return Err(bad(start + 1, "a line is a JSON object, which begins with {".to_owned()));
        }
        let raw: RawLine<'_> = serde_json::from_slice(text)
            .map_err(|error| bad(error.column().max(1), json_error_text(&error)))?;
        let column_of = |part: &str| column_of(text, part);

        let payload = match (raw.payload, raw.payload_b64) {
            (Some(json), None) => json.get().as_bytes().to_vec(),
            (None, Some(Text(base64))) => BASE64.decode(&*base64).map_err(|error| {
                bad(column_of(&base64), format!("payload_b64 is not base64: {error}"))
            })?,
            (None, None) => return Err(bad(1, "neither payload nor payload_b64".to_owned())),
            (Some(_), Some(Text(base64))) => {
                return Err(bad(column_of(&base64), "both payload and payload_b64".to_owned()));
            }
        };
        for name in [&raw.topic, &raw.payload_type] {
            let max = self.config.name_bytes_max;
            if name.is_empty() || name.len() > max {
                let what = format!("topic and type must have 1 to {max} bytes, not {}", name.len());
                return Err(bad(column_of(name), what));
            }
        }
        let mut keys = Vec::with_capacity(raw.keys.0.len());
        for (kind, key) in raw.keys.0 {
            let known = self.kinds.get(&kind).ok_or_else(|| {
                let known: Vec<&str> = self.kinds.iter().map(|(name, _)| name).collect();
                let what = format!(
                    "unknown key kind {kind:?}; known are {} (more with --key-kind)",
                    known.join(", ")
                );
                bad(column_of(&kind), what)
            })?;
            if key.len() > self.config.key_bytes_max {
                let max = self.config.key_bytes_max;
                return Err(bad(
                    column_of(&key),
                    format!("a key of {} bytes exceeds {max}", key.len()),
                ));
            }
            keys.push((known, key.into_owned()));
        }
        let message = InputMessage {
            line,
            producer: raw.producer.unwrap_or(0),
            topic: raw.topic.into_owned(),
            payload_type: raw.payload_type.into_owned(),
            ts_init: raw.ts_init.map(|TsInit(ts_init)| ts_init),
            payload,
            headers: Headers { correlation_id: raw.correlation_id, causation_id: raw.causation_id },
            keys,
            identity: raw.identity,
        };
        self.check_size(&message).map_err(|what| bad(1, what))?;
        Ok(message)
    }

    fn check_size(&self, message: &InputMessage) -> Result<(), String> {
        let (keys_max, record_max) = (self.config.keys_per_entry_max, self.config.record_bytes_max);
        if message.keys.len() > keys_max {
            return Err(format!("{} keys exceed {keys_max}", message.keys.len()));
        }
        let keys: usize = message.keys.iter().map(|(_, key)| KEY_HEADER_BYTES + key.len()).sum();
        let Headers { correlation_id, causation_id } = message.headers;
        let ids = [correlation_id, causation_id, message.identity].into_iter().flatten().count();
        let bytes = LINE_BYTES + message.payload.len() + keys + ids * 16;
        if bytes > record_max {
            return Err(format!("the record would have {bytes} bytes, allowed are {record_max}"));
        }
        Ok(())
    }
}

/// The column of `part` in `line`, from 1. It is 1 if `part` was unescaped, because then the line
/// has other bytes.
fn column_of(line: &[u8], part: &str) -> usize {
    let offset = (part.as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
    if offset < line.len() { offset + 1 } else { 1 }
}

/// The error without its position. The position is reported separately.
fn json_error_text(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// How input messages are captured.
pub(super) fn encoder() -> Encoder<InputMessage> {
    Encoder::typed_by(
        |message: &InputMessage| &message.payload_type,
        |message, record| -> Result<(), EncodeError> {
            record.set_ts_init(message.ts_init.unwrap_or_else(UnixNanos::now));
            record.set_headers(message.headers);
            record.write_payload(&message.payload);
            for (kind, key) in &message.keys {
                record.add_key(*kind, key);
            }
            Ok(())
        },
    )
    .identified_by(|message| message.identity)
    // Nobody but the log wants the line: one that does not get there is a bad line.
    .on_error(OnEncodeError::Refuse)
}

/// Decides which input messages are market data: those whose topics begin with `data.` or `venue.`.
/// The stream is the topic without the type at its end. The class follows from the type.
pub(super) fn extractor() -> Extractor<InputMessage> {
    fn extract(message: &InputMessage) -> Option<DataPoint<'_>> {
        let is_data = ["data.", "venue."].iter().any(|start| message.topic.starts_with(start));
        is_data.then(|| {
            let ts_init = message.ts_init.unwrap_or_else(UnixNanos::now);
            DataPoint {
                class: data_class(&message.payload_type),
                identifier: stream_of(&message.topic, &message.payload_type),
                ts_event: ts_init,
                ts_init,
            }
        })
    }
    Extractor::new(extract).fingerprinted_by(|message, hasher| {
        hasher.update(&message.payload);
    })
}

/// Changes of an order book (`OrderAdded`, `BookDeltas`, …), unless the name says otherwise.
fn data_class(payload_type: &str) -> DataMarkerClass {
    let classes = [
        ("Trade", DataMarkerClass::Trade),
        ("Quote", DataMarkerClass::Quote),
        ("Bar", DataMarkerClass::Bar),
        ("BookDepth", DataMarkerClass::BookDepth10),
    ];
    let named = classes.iter().find(|(start, _)| payload_type.starts_with(start));
    named.map_or(DataMarkerClass::BookDeltas, |(_, class)| *class)
}

fn stream_of<'a>(topic: &'a str, payload_type: &str) -> &'a str {
    let without = topic.strip_suffix(payload_type).and_then(|topic| topic.strip_suffix('.'));
    without.unwrap_or(topic)
}

/// An entry as a line of output. Such a line is valid input, with additional fields.
#[derive(Serialize)]
pub(super) struct OutputLine<'a> {
    seq: u64,
    topic: &'a str,
    r#type: &'a str,
    ts_init: UnixNanos,
    ts_publish: UnixNanos,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<OutputKeys<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_b64: Option<String>,
    entry_hash: String,
}

impl<'a> OutputLine<'a> {
    pub(super) fn new(entry: &EntryRef<'a>, kinds: &'a IndexKinds) -> Self {
        let Headers { correlation_id, causation_id } = entry.headers();
        let payload = json_on_one_line(entry.payload());
        Self {
            seq: entry.seq(),
            topic: entry.topic(),
            r#type: entry.payload_type(),
            ts_init: entry.ts_init(),
            ts_publish: entry.ts_publish(),
            correlation_id,
            causation_id,
            identity: entry.identity(),
            keys: entry.keys().next().map(|_| OutputKeys { keys: Keys::Of(*entry), kinds }),
            payload,
            payload_b64: payload.is_none().then(|| BASE64.encode(entry.payload())),
            entry_hash: entry.entry_hash().to_string(),
        }
    }

    /// As [`new`](Self::new), of an entry that is owned.
    pub(super) fn of(entry: &'a Entry, kinds: &'a IndexKinds) -> Self {
        let Headers { correlation_id, causation_id } = entry.headers;
        let payload = json_on_one_line(&entry.payload);
        let keys = OutputKeys { keys: Keys::Owned(&entry.keys), kinds };
        Self {
            seq: entry.seq,
            topic: &entry.topic,
            r#type: &entry.payload_type,
            ts_init: entry.ts_init,
            ts_publish: entry.ts_publish,
            correlation_id,
            causation_id,
            identity: entry.identity,
            keys: (!entry.keys.is_empty()).then_some(keys),
            payload,
            payload_b64: payload.is_none().then(|| BASE64.encode(&entry.payload)),
            entry_hash: entry.entry_hash.to_string(),
        }
    }
}

struct OutputKeys<'a> {
    keys: Keys<'a>,
    kinds: &'a IndexKinds,
}

enum Keys<'a> {
    Of(EntryRef<'a>),
    Owned(&'a [(IndexKind, String)]),
}

impl Serialize for OutputKeys<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        let mut add = |kind, key: &str| {
            let name = self.kinds.name(kind).map_or_else(|| kind.to_string(), str::to_owned);
            map.serialize_entry(&name, key)
        };
        match &self.keys {
            Keys::Of(entry) => {
                for (kind, key) in entry.keys() {
                    add(kind, &String::from_utf8_lossy(key))?;
                }
            }
            Keys::Owned(keys) => {
                for (kind, key) in *keys {
                    add(*kind, key)?;
                }
            }
        }
        map.end()
    }
}

/// The payload as JSON, if printing it that way gives back exactly its bytes.
fn json_on_one_line(payload: &[u8]) -> Option<&RawValue> {
    let json: &RawValue = serde_json::from_slice(payload).ok()?;
    let exact = json.get().len() == payload.len();
    (exact && !payload.iter().any(|b| matches!(b, b'\n' | b'\r'))).then_some(json)
}
