use tapline::{EntryDraft, Headers, IndexKind, UnixNanos};
use uuid::Uuid;

/// An owned message to record: an [`EntryDraft`] without borrows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload_type: String,
    pub(crate) ts_init: u64,
    pub(crate) payload: Vec<u8>,
    pub(crate) headers: Headers,
    pub(crate) keys: Vec<(IndexKind, String)>,
    pub(crate) identity: Option<Uuid>,
}

impl Message {
    /// A message without keys and ids.
    pub(crate) fn new(topic: &str, payload_type: &str, ts_init: u64, payload: &[u8]) -> Self {
        Self {
            topic: topic.to_owned(),
            payload_type: payload_type.to_owned(),
            ts_init,
            payload: payload.to_vec(),
            ..Self::default()
        }
    }

    /// The `n`th of a series of messages that all differ.
    pub(crate) fn nth(n: u64) -> Self {
        let payload = format!("{{\"n\":{n}}}");
        Self::new("events.order", "OrderEvent", 1_000 + n, payload.as_bytes())
    }

    /// With one more index key.
    pub(crate) fn key(mut self, kind: IndexKind, key: &str) -> Self {
        self.keys.push((kind, key.to_owned()));
        self
    }

    /// With one more key of the kind `client_order_id`.
    pub(crate) fn order(self, key: &str) -> Self {
        self.key(IndexKind::CLIENT_ORDER_ID, key)
    }

    /// With correlation and causation ids.
    pub(crate) fn ids(mut self, correlation: u128, causation: u128) -> Self {
        self.headers = Headers {
            correlation_id: Some(Uuid::from_u128(correlation)),
            causation_id: Some(Uuid::from_u128(causation)),
        };
        self
    }

    /// Calls `use_draft` with this message as a draft.
    pub(crate) fn with_draft<R>(&self, use_draft: impl FnOnce(&EntryDraft<'_>) -> R) -> R {
        let keys: Vec<(IndexKind, &str)> =
            self.keys.iter().map(|(kind, key)| (*kind, key.as_str())).collect();
        use_draft(&EntryDraft {
            topic: &self.topic,
            payload_type: &self.payload_type,
            ts_init: UnixNanos::new(self.ts_init),
            payload: &self.payload,
            headers: self.headers,
            keys: &keys,
            identity: self.identity,
        })
    }
}

/// Messages `from` to `to`, both included, as [`Message::nth`].
pub(crate) fn messages(from: u64, to: u64) -> Vec<Message> {
    (from..=to).map(Message::nth).collect()
}
