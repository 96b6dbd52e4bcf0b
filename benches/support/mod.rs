//! What the benches share: the message they are made with.

use tapline::internals::format::{LINE_BYTES, Line, RecordHeader, lines_for};
use zerocopy::{FromZeros, IntoBytes};

/// The payload that the project's figures are quoted for.
pub(crate) const PAYLOAD_BYTES: usize = 256;

/// A record with a payload of [`PAYLOAD_BYTES`], no keys and no ids, as it lies in a ring.
pub(crate) fn record() -> Vec<Line> {
    let mut lines = vec![Line::ZERO; 1 + lines_for(PAYLOAD_BYTES)];
    let mut header = RecordHeader::new_zeroed();
    header.payload_len.set(PAYLOAD_BYTES as u32);
    header.lines.set(lines.len() as u32);
    let bytes = lines.as_mut_bytes();
    bytes[..LINE_BYTES].copy_from_slice(header.as_bytes());
    bytes[LINE_BYTES..].fill(7);
    lines
}
