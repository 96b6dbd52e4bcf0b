//! The program's reader of NDJSON, for the fuzz target `ndjson`. Not part of the interface.

use std::io::Read;

use tapline::engine::WriterConfig;
use tapline::internals::error_chain;
use tapline::{Headers, IndexKind, IndexKinds, UnixNanos};
use uuid::Uuid;

use super::input::Input;
use super::ndjson::{InputMessage, LineParser};
use super::record_file::{Next, next_message};

/// A message from a line of input.
#[derive(Debug, PartialEq)]
pub struct NdjsonMessage {
    /// The producer it is dealt to.
    pub producer: u64,
    /// Topic.
    pub topic: String,
    /// Type of the payload.
    pub payload_type: String,
    /// Domain time; `None` stands for the time of recording.
    pub ts_init: Option<u64>,
    /// The payload.
    pub payload: Vec<u8>,
    /// Correlation and causation ids.
    pub headers: Headers,
    /// Index keys.
    pub keys: Vec<(IndexKind, String)>,
    /// Identity of the logical message.
    pub identity: Option<Uuid>,
}

impl From<InputMessage> for NdjsonMessage {
    fn from(message: InputMessage) -> Self {
        Self {
            producer: message.producer,
            topic: message.topic,
            payload_type: message.payload_type,
            ts_init: message.ts_init.map(UnixNanos::as_u64),
            payload: message.payload,
            headers: message.headers,
            keys: message.keys,
            identity: message.identity,
        }
    }
}

/// Reads all of `source` as `record --input` does, with lines of up to `line_bytes_max` bytes. For
/// each line that is not blank, calls `show` with its number, with its message or the column of the
/// error, and with the capacity of the line buffer. Fails if the input breaks off.
pub fn read_ndjson(
    source: impl Read + Send + 'static,
    line_bytes_max: u64,
    kinds: IndexKinds,
    config: WriterConfig,
    mut show: impl FnMut(u64, Result<NdjsonMessage, usize>, usize),
) -> Result<(), String> {
    // A small buffer is quick to make, and lines cross from one filling into the next.
    const BUFFER_BYTES: usize = 256;
    let input =
        Input::reading("fuzz", source, BUFFER_BYTES).map_err(|error| error_chain(&error))?;
    let mut input = input.with_line_bytes_max(line_bytes_max);
    let parser = LineParser::new(kinds, config);
    let mut text = Vec::new();
    loop {
        let next = next_message(&mut input, &parser, &mut text);
        match next.map_err(|error| error_chain(&error))? {
            Next::End => return Ok(()),
            Next::Blank => {}
            Next::Message(Ok(message)) => {
                let number = message.line;
                show(number, Ok(message.into()), text.capacity());
            }
            Next::Message(Err(bad)) => show(bad.line, Err(bad.column), text.capacity()),
        }
    }
}
