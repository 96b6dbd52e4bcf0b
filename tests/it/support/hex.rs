//! Bytes as text, for golden files and messages.

use std::fmt::Write;

/// Lower-case hexadecimal digits.
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// As [`encode`], 16 bytes a line.
pub(crate) fn encode_lines(bytes: &[u8]) -> String {
    bytes.chunks(16).map(|row| encode(row) + "\n").collect()
}

/// Reads what [`encode`] or [`encode_lines`] wrote.
///
/// # Panics
/// On anything else.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("hex digits are ASCII");
        u8::from_str_radix(pair, 16).expect("a pair of hex digits")
    };
    digits.chunks(2).map(pair).collect()
}
