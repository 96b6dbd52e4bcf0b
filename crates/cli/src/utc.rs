//! Times as people read and write them.

use jiff::Timestamp;
use tapline::UnixNanos;

/// Reads ISO 8601 with a date, a time, and `Z` or an offset. `None` if it is anything else, before
/// 1970 or after 2554.
pub(super) fn parse(text: &str) -> Option<UnixNanos> {
    let time: Timestamp = text.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok().map(UnixNanos::new)
}

/// `2026-12-01T04:39:23.5Z`.
pub(super) fn text(time: UnixNanos) -> String {
    Timestamp::from_nanosecond(time.as_u64().into()).map_or_else(
        // No 64-bit number of nanoseconds is out of its range.
        |_| time.to_string(),
        |time| time.to_string(),
    )
}

/// Without the fraction of the second: `2026-12-01T04:39:23Z`.
pub(super) fn text_to_the_second(time: UnixNanos) -> String {
    const NANOS: u64 = 1_000_000_000;
    text(UnixNanos::new(time.as_u64() / NANOS * NANOS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_to_the_nanosecond() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2023-12-25T23:59:59.123456789Z", 1_703_548_799_123_456_789),
            ("2023-12-26T00:59:59.123456789+01:00", 1_703_548_799_123_456_789),
            ("2023-12-25 23:59:59.5z", 1_703_548_799_500_000_000),
            ("2554-07-21T23:34:33.709551615Z", u64::MAX),
        ] {
            assert_eq!(parse(text), Some(UnixNanos::new(nanos)), "{text}");
        }
    }

    #[test]
    fn times_are_shown_in_utc() {
        let time = UnixNanos::new(1_703_548_799_123_456_789);
        assert_eq!(text(time), "2023-12-25T23:59:59.123456789Z");
        assert_eq!(text_to_the_second(time), "2023-12-25T23:59:59Z");
        assert_eq!(text(UnixNanos::new(u64::MAX)), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn other_text_is_no_time() {
        for text in [
            "",
            "17",
            "2023-12-25",
            "2023-12-25T23:59:59",
            "1969-12-31T23:59:59Z",
            "2554-07-21T23:34:33.709551616Z",
            "2023-02-30T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
