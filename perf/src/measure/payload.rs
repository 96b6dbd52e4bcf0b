use std::fmt::Write;

use anyhow::{Result, ensure};

use crate::spec::Settings;
use crate::system::{KEY_BYTES, Message, PAYLOAD_TYPE, TOPIC};

/// The payload of every message of a run.
pub(crate) fn payload(settings: &Settings) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(settings.payload_bytes).collect()
}

/// The index key of message `number`, as text. One buffer for all messages of a producer.
#[derive(Debug, Default)]
pub(super) struct Key([u8; KEY_BYTES]);

impl Key {
    /// The key of message `number`: `O-` and 16 hexadecimal digits, scattered over the whole range
    /// as order ids are, the same number always the same.
    #[inline]
    pub(super) fn of(&mut self, number: u64) -> &str {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // Odd, so that no two numbers get the same key.
        let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0[..2].copy_from_slice(b"O-");
        for (place, digit) in self.0[2..].iter_mut().enumerate() {
            *digit = DIGITS[(scattered >> (60 - 4 * place)) as usize & 15];
        }
        std::str::from_utf8(&self.0).expect("hexadecimal digits are text")
    }
}

/// Message `number`.
#[inline]
pub(crate) fn message<'a>(payload: &'a [u8], number: u64, key: Option<&'a str>) -> Message<'a> {
    Message { topic: TOPIC, payload_type: PAYLOAD_TYPE, number, payload, key }
}

/// Fails unless a message as it was read back is one of those pushed.
pub(super) fn expect_message(
    stored: &crate::system::Stored<'_>,
    payload: &[u8],
    problems: &mut String,
) {
    let same =
        stored.topic == TOPIC && stored.payload_type == PAYLOAD_TYPE && stored.payload == payload;
    if !same && problems.len() < 200 {
        let _ = write!(problems, "entry {} is not what was pushed; ", stored.seq);
    }
}

/// Fails with the problems found, if there are any.
pub(super) fn no_problems(problems: &str) -> Result<()> {
    ensure!(problems.is_empty(), "read back: {problems}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_distinct_and_readable() {
        let mut key = Key::default();
        assert_eq!(key.of(0), "O-0000000000000000");
        assert_eq!(key.of(1), "O-9e3779b97f4a7c15");
        let mut seen: Vec<String> = (0..1_000).map(|number| key.of(number).to_owned()).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 1_000);
    }
}
