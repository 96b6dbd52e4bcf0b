use std::collections::VecDeque;
use std::sync::Arc;

use super::lookup::first_mention;
use super::point_read::PointRead;
use super::{Direction, EntryRef, ReadError, Scan};
use crate::model::IndexKind;
use crate::store::RunReader;

/// A key and the first entry that mentions it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMention {
    /// The key.
    pub key: Vec<u8>,
    /// The first `seq` that mentions it.
    pub seq: u64,
}

/// Walks the keys of one kind in the order in which they are first mentioned: a scan of all entries,
/// with a look-up of every key on the way, in the memory of a few frames.
///
/// A damaged or missing entry is an error in its place, as in a [`Scan`]. So is a key that cannot be looked
/// up; the other keys of its entry are given all the same.
pub struct Keys {
    source: Arc<dyn RunReader>,
    frames: Arc<PointRead>,
    scan: Scan,
    kind: IndexKind,
    /// What the last entry is the first to mention, and what of its keys could not be looked up.
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

/// Appends the keys of a kind that no entry before this one mentions.
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
