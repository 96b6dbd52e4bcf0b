//! Finds entries by key: the first that mentions one key, and all keys of a kind.

use std::collections::VecDeque;
use std::sync::Arc;

use super::entry::record_of;
use super::point_read::PointRead;
use super::{Direction, EntryRef, ReadError, Scan};
use crate::format::key_hash;
use crate::model::IndexKind;
use crate::store::{BackendFault, RunReader};

/// The first entry that mentions a key. The index only says where to look. This compares the key
/// with the entry's keys, so that keys with the same hash are told apart. Nearly always the first
/// entry has it.
///
/// Whatever the index says, this only goes on to later frames, so it always ends.
pub(super) fn first_mention(
    source: &dyn RunReader,
    frames: &PointRead,
    kind: IndexKind,
    key: &[u8],
) -> Result<Option<u64>, ReadError> {
    let hash = key_hash(kind, key);
    let mut from = 0;
    while let Some(seq) = source.indexed(hash, from)? {
        if seq < from {
            let error = format!("from entry {from} on, the index leads back to entry {seq}");
            return Err(ReadError::Store(BackendFault::corrupted(error).into()));
        }
        let missing = || ReadError::Gap { from: seq, to: seq };
        let frame = frames.frame(source, seq)?.ok_or_else(missing)?;
        let last = frame.last_seq();
        // Other keys of the frame that have this hash have no row of their own.
        for seq in seq..=last {
            let (record, _) = record_of(&frame, seq)?;
            if record.keys().any(|mentioned| mentioned == (kind, key)) {
                return Ok(Some(seq));
            }
        }
        from = last + 1;
    }
    Ok(None)
}

/// A key and the first entry that mentions it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMention {
    /// The key.
    pub key: Vec<u8>,
    /// The first `seq` that mentions it.
    pub seq: u64,
}

/// Walks the keys of one kind in the order of their first mention. Scans all entries and looks up
/// every key. Holds a few frames in memory.
///
/// A damaged or missing entry is an error in its place, as in a [`Scan`]. So is a key that cannot
/// be looked up. The other keys of its entry are still returned.
pub(super) struct Keys {
    source: Arc<dyn RunReader>,
    frames: Arc<PointRead>,
    scan: Scan,
    kind: IndexKind,
    /// The keys that the last entry mentions first, and an error for each of its keys that could
    /// not be looked up.
    found: VecDeque<Result<KeyMention, ReadError>>,
}

impl Keys {
    pub(super) fn new(source: Arc<dyn RunReader>, frames: Arc<PointRead>, kind: IndexKind) -> Self {
        let scan = Scan::new(Arc::clone(&source), Direction::Forward, 1, u64::MAX);
        Self { source, frames, scan, kind, found: VecDeque::new() }
    }
}

impl Iterator for Keys {
    type Item = Result<KeyMention, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.found.is_empty() {
            let entry = match self.scan.next_ref()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            find_first(&*self.source, &self.frames, &entry, self.kind, &mut self.found);
        }
        self.found.pop_front()
    }
}

/// Appends the keys of the kind that no earlier entry mentions.
fn find_first(
    source: &dyn RunReader,
    frames: &PointRead,
    entry: &EntryRef<'_>,
    kind: IndexKind,
    found: &mut VecDeque<Result<KeyMention, ReadError>>,
) {
    let seq = entry.seq();
    let keys = || entry.keys().filter(|(of, _)| *of == kind).map(|(_, key)| key);
    for (index, key) in keys().enumerate() {
        if keys().take(index).any(|earlier| earlier == key) {
            continue;
        }
        match first_mention(source, frames, kind, key) {
            Ok(Some(first)) if first == seq => {
                found.push_back(Ok(KeyMention { key: key.to_vec(), seq }));
            }
            Ok(_) => {}
            Err(error) => found.push_back(Err(error)),
        }
    }
}
