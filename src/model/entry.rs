use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Hash, IndexKind, UnixNanos};

/// How a message relates to others: its workflow, and the message that caused it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headers {
    /// The workflow (an order's life, a request and its response).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Uuid>,
    /// The direct parent message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
}

/// What a submitter hands to the engine: an [`Entry`] before it has a place in the order.
///
/// All parts are borrowed; the engine copies them once, into the producer's ring.
#[derive(Debug, Clone, Copy, Default)]
pub struct EntryDraft<'a> {
    /// Topic or endpoint the message passed. Must not be empty.
    pub topic: &'a str,
    /// Tag of the payload's type. Must not be empty.
    pub payload_type: &'a str,
    /// Domain time of the message. With 0, which is the default, the entry gets its `ts_publish`.
    pub ts_init: UnixNanos,
    /// The encoded message.
    pub payload: &'a [u8],
    /// Correlation and causation ids.
    pub headers: Headers,
    /// Keys under which the entry can be looked up.
    pub keys: &'a [(IndexKind, &'a str)],
    /// Identity of the logical message. A second draft with the same identity, within the
    /// deduplication window, does not become a second entry.
    pub identity: Option<Uuid>,
}

/// One captured message, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Place in the run's total order: from 1, gap-free. The only replay order.
    pub seq: u64,
    /// Domain time of the message.
    pub ts_init: UnixNanos,
    /// Node clock when the tap accepted the message, which gave it its place in the order. If the
    /// ring was full, the push was complete only after the wait for room.
    pub ts_publish: UnixNanos,
    /// Topic or endpoint the message passed.
    pub topic: String,
    /// Tag of the payload's type.
    pub payload_type: String,
    /// The encoded message.
    pub payload: Bytes,
    /// Correlation and causation ids.
    pub headers: Headers,
    /// Keys under which the entry can be looked up.
    pub keys: Vec<(IndexKind, String)>,
    /// Identity of the logical message, if its encoder gave one.
    pub identity: Option<Uuid>,
    /// BLAKE3 of the entry's record lines, as `docs/format.md` defines them.
    pub entry_hash: Hash,
}
