use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ParseError, UnixNanos};

/// Names one run: one session of one node instance with one binary and one configuration.
///
/// Written `<start_ts_init>-<8 hex digits>`. Ordered by start time, then by the digits. They tell
/// apart two runs that start in the same nanosecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId {
    start: UnixNanos,
    suffix: u32,
}

impl RunId {
    /// A fresh id for a run that starts at `start`; its suffix is random.
    pub fn generate(start: UnixNanos) -> Self {
        let random = uuid::Uuid::new_v4().into_bytes();
        Self { start, suffix: u32::from_le_bytes([random[0], random[1], random[2], random[3]]) }
    }

    /// A fresh id for a run that starts at `start`. It sorts after `newest` even if the clock
    /// stands still or was set back. In that case its time is a nanosecond after that of `newest`.
    pub fn generate_after(newest: Option<Self>, start: UnixNanos) -> Self {
        let Some(newest) = newest.filter(|newest| newest.start >= start) else {
            return Self::generate(start);
        };
        match newest.start.as_u64().checked_add(1) {
            Some(behind) => Self::generate(UnixNanos::new(behind)),
            // There is no later moment. Only the digits are left to sort by.
            None => Self { suffix: newest.suffix.saturating_add(1), ..newest },
        }
    }

    /// True if a clock may show this start time in any lifetime. Most clocks that count nanoseconds
    /// are signed, and end in the year 2262.
    pub(crate) fn is_of_a_clock(self) -> bool {
        self.start.as_u64() <= i64::MAX.unsigned_abs()
    }

    /// The digits that tell apart runs of one start time.
    pub(crate) const fn suffix(self) -> u32 {
        self.suffix
    }

    /// When the run started. If the clock had been set back, this is just after the start of the
    /// run before. What the clock showed is the `ts_init` of the first entry.
    pub const fn start(self) -> UnixNanos {
        self.start
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.start, self.suffix)
    }
}

/// As `Display`, so that an id in a debug output can be found among the files.
impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RunId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (start, suffix) = text.split_once('-')?;
            let canonical_start = !start.starts_with(['+', '0']) || start == "0";
            let canonical_suffix = suffix.len() == 8
                && suffix.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if !canonical_start || !canonical_suffix {
                return None;
            }
            let start = UnixNanos::new(start.parse().ok()?);
            Some(Self { start, suffix: u32::from_str_radix(suffix, 16).ok()? })
        };
        parse().ok_or_else(|| ParseError::new(text, "a run id", "<start_ts_init>-<8 hex digits>"))
    }
}

impl TryFrom<String> for RunId {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}

/// Names a node instance. It is also the name of the folder of the instance's runs. It has 1 to 128
/// characters out of `A-Z a-z 0-9 . _ -` and does not begin with a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceId(String);

impl InstanceId {
    const FORM: &str = "1 to 128 characters out of A-Z a-z 0-9 . _ - that do not begin with a dot";

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let valid =
            (1..=128).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(allowed);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::new(text, "an instance id", Self::FORM))
        }
    }
}

impl TryFrom<String> for InstanceId {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<InstanceId> for String {
    fn from(id: InstanceId) -> Self {
        id.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The status of a run. Every status but `Running` is sealed and final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RunStatus {
    /// It is being recorded, or its process died.
    Running,
    /// Closed in order: `RunEnded` is the last entry.
    Ended,
    /// Sealed after a crash. The durable entries are an exact prefix.
    CrashedRecovered,
    /// Sealed because it is damaged. No run continues it.
    Quarantined,
}

impl RunStatus {
    /// True if this status is final.
    pub const fn is_sealed(self) -> bool {
        !matches!(self, Self::Running)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "Running",
            Self::Ended => "Ended",
            Self::CrashedRecovered => "CrashedRecovered",
            Self::Quarantined => "Quarantined",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> RunId {
        text.parse().unwrap()
    }

    #[test]
    fn debug_shows_the_id_as_printed() {
        let id = id("1700000000000000000-0000c0de");
        assert_eq!(format!("{id:?}"), "1700000000000000000-0000c0de");
    }

    #[test]
    fn a_new_id_sorts_last_under_any_clock() {
        let now = UnixNanos::new(1_000);
        assert_eq!(RunId::generate_after(None, now).start(), now);
        for (newest, start) in [
            ("999-ffffffff", 1_000),
            ("1000-00000000", 1_001),
            ("1000-ffffffff", 1_001),
            ("2000-00000007", 2_001),
            ("18446744073709551614-ffffffff", u64::MAX),
        ] {
            let next = RunId::generate_after(Some(id(newest)), now);
            assert!(next > id(newest), "{next} after {newest}");
            assert_eq!(next.start().as_u64(), start);
        }
    }

    #[test]
    fn ids_sort_even_after_the_last_moment() {
        let mut newest = id("18446744073709551615-00000000");
        for _ in 0..3 {
            let next = RunId::generate_after(Some(newest), UnixNanos::new(1_000));
            assert!(next > newest, "{next} after {newest}");
            newest = next;
        }
    }

    #[test]
    fn no_clock_shows_ids_after_2262() {
        assert!(RunId::generate(UnixNanos::now()).is_of_a_clock());
        assert!(id("9223372036854775807-00000000").is_of_a_clock());
        assert!(!id("9223372036854775808-00000000").is_of_a_clock());
        assert!(!id("18446744073709551615-00000000").is_of_a_clock());
    }
}
