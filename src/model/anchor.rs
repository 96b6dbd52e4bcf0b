use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Hash, ParseError};

/// Ties a snapshot to a place in the log. The cache keeps the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotAnchor {
    /// The last `seq` whose effect the snapshot contains.
    pub high_watermark: u64,
    /// Where the cache keeps the snapshot. The store does not interpret it.
    pub blob_ref: String,
    /// Hash of the snapshot's bytes.
    pub content_hash: ContentHash,
}

/// BLAKE3 of some content, written `blake3:<64 hex digits>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash(Hash);

impl ContentHash {
    /// Hashes `content`.
    pub fn of(content: &[u8]) -> Self {
        Self(Hash::of(content))
    }

    /// True if `content` has this hash.
    pub fn matches(&self, content: &[u8]) -> bool {
        self.0 == Hash::of(content)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blake3:{}", self.0)
    }
}

impl FromStr for ContentHash {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix("blake3:").and_then(|hex| hex.parse().ok()).map(Self).ok_or_else(|| {
            ParseError::new(text, "a content hash", "\"blake3:\" and 64 hexadecimal digits")
        })
    }
}

impl TryFrom<String> for ContentHash {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.to_string()
    }
}
