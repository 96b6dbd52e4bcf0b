//! Messages made up by the fuzzer, and frames made of them by the engine's own builders.

use std::collections::HashMap;

use arbitrary::Arbitrary;
use tapline::internals::RecordPress;
use tapline::internals::format::{
    FrameBuilder, FrameLimits, KEY_HEADER_BYTES, LINE_BYTES, RecordLimits, RecordStamp, SealedFrame,
};
use tapline::{EntryDraft, Hash, Headers, IndexKind, UnixNanos};
use uuid::Uuid;

/// A message to record.
#[derive(Debug, Clone, PartialEq, Arbitrary)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its type.
    pub payload_type: String,
    /// Its domain time.
    pub ts_init: u64,
    /// When it was accepted.
    pub ts_publish: u64,
    /// Its payload.
    pub payload: Payload,
    /// Correlation id, causation id and identity.
    pub ids: [Option<u128>; 3],
    /// Its index keys.
    pub keys: Vec<(u16, String)>,
}

/// A payload: the fuzzer's own bytes, or more of them than it has.
#[derive(Debug, Clone, PartialEq, Arbitrary)]
pub enum Payload {
    /// These bytes.
    Bytes(Vec<u8>),
    /// So many times this byte.
    Run(u16, u8),
}

impl Payload {
    /// The payload. A few lines more than the largest record has are enough.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Run(count, byte) => vec![*byte; *count as usize % (3 << 10)],
        }
    }
}

/// Small, so that what passes them is met; and large enough for records of more than a BLAKE3
/// chunk.
const RECORD_LIMITS: RecordLimits =
    RecordLimits { record_bytes_max: 2 << 10, keys_max: 4, key_bytes_max: 40 };

const FRAME_LIMITS: FrameLimits = FrameLimits { entries_max: 64, bytes_max: 12 << 10 };

impl Message {
    /// Correlation and causation ids.
    pub fn headers(&self) -> Headers {
        let [correlation, causation, _] = self.ids;
        Headers {
            correlation_id: correlation.map(Uuid::from_u128),
            causation_id: causation.map(Uuid::from_u128),
        }
    }

    /// Identity.
    pub fn identity(&self) -> Option<Uuid> {
        self.ids[2].map(Uuid::from_u128)
    }

    /// Whether a record can be made of it.
    fn fits(&self, payload: &[u8]) -> bool {
        let keys: usize = self.keys.iter().map(|(_, key)| KEY_HEADER_BYTES + key.len()).sum();
        let ids = self.ids.iter().flatten().count() * 16;
        let RecordLimits { record_bytes_max, keys_max, key_bytes_max } = RECORD_LIMITS;
        self.keys.len() <= keys_max
            && self.keys.iter().all(|(_, key)| key.len() <= key_bytes_max)
            && LINE_BYTES + payload.len() + keys + ids <= record_bytes_max
    }
}

/// Which messages come next in a run, and how they lie in a ring.
#[derive(Debug, Clone, Arbitrary)]
pub struct Stretch {
    /// The messages of a frame.
    pub messages: Vec<Message>,
    /// Where the ring ends: after so many lines of each record, if it has as many.
    pub ring_ends_after: u8,
}

/// Makes the frames of one run.
#[derive(Debug)]
pub struct Stream {
    press: RecordPress,
    builder: FrameBuilder,
    names: HashMap<String, u32>,
    root: Hash,
}

impl Stream {
    /// A run whose next entry is `first_seq`.
    pub fn at(first_seq: u64) -> Self {
        Self {
            press: RecordPress::new(RECORD_LIMITS),
            builder: FrameBuilder::new(FRAME_LIMITS, first_seq, 0),
            names: HashMap::new(),
            root: Hash::from_bytes([0; 32]),
        }
    }

    /// The next frame, of as many of the messages as fit, which are returned with it; `None` where
    /// none does.
    pub fn frame<'a>(
        &mut self,
        stretch: &'a Stretch,
    ) -> Option<(SealedFrame<'_>, Vec<&'a Message>)> {
        if self.builder.sealed().is_some() {
            self.builder.reset();
        }
        let mut taken = Vec::new();
        for message in &stretch.messages {
            if self.push(message, stretch.ring_ends_after) {
                taken.push(message);
            }
        }
        if taken.is_empty() {
            return None;
        }
        let frame = self.builder.seal(&self.root);
        self.root = frame.root();
        Some((frame, taken))
    }

    fn push(&mut self, message: &Message, ring_ends_after: u8) -> bool {
        let payload = message.payload.bytes();
        let keys: Vec<(IndexKind, &str)> =
            message.keys.iter().map(|(kind, key)| (IndexKind::from_u16(*kind), &**key)).collect();
        let record = self.press.record(&EntryDraft {
            topic: &message.topic,
            payload_type: &message.payload_type,
            ts_init: UnixNanos::new(message.ts_init),
            payload: &payload,
            headers: message.headers(),
            keys: &keys,
            identity: message.identity(),
        });
        assert_eq!(record.is_ok(), message.fits(&payload), "{record:?}");
        let Ok(record) = record else {
            return false;
        };
        // Where both are new, both lengths count.
        let names = [&message.topic, &message.payload_type];
        let names_bytes = names.iter().map(|name| 2 + name.len()).sum();
        if !self.builder.fits(record.len(), names_bytes) {
            return false;
        }
        let [topic_id, type_id] = names.map(|name| {
            *self.names.entry(name.clone()).or_insert_with(|| self.builder.push_name(name))
        });
        let ts_publish = UnixNanos::new(message.ts_publish);
        // The first stretch of a record is never empty.
        let (head, tail) = record.split_at((ring_ends_after as usize).clamp(1, record.len()));
        self.builder.push(head, tail, &RecordStamp { ts_publish, topic_id, type_id });
        true
    }
}

/// Gives a frame that parses the hashes that its records have, and the root that follows: what
/// somebody can do who wants damage not to be noticed. The places are those of `docs/format.md`.
pub fn reforge(bytes: &mut [u8], record_hashes: &[Hash]) {
    let lines = u32::from_le_bytes(bytes[20..24].try_into().expect("four bytes")) as usize;
    let hashes = LINE_BYTES + lines * LINE_BYTES;
    for (index, hash) in record_hashes.iter().enumerate() {
        bytes[hashes + 32 * index..][..32].copy_from_slice(hash.as_bytes());
    }
    let root = bytes.len() - 32;
    let computed =
        blake3::Hasher::new().update(&bytes[..LINE_BYTES]).update(&bytes[hashes..root]).finalize();
    bytes[root..].copy_from_slice(computed.as_bytes());
}
