use std::collections::HashMap;

use super::SubmitError;
use crate::sync::Arc;

/// A producer's own numbers for topics and payload types, in the order of first use. The writer
/// keeps the same table, built from the announcements that travel in the ring.
#[derive(Debug)]
pub(super) struct LocalNames {
    ids: HashMap<Arc<str>, u32, foldhash::fast::RandomState>,
    /// The name looked up last in each of a few slots, since most messages repeat one of few names.
    recent: [Option<(Arc<str>, u32)>; RECENT_SLOTS],
    names_max: usize,
    name_bytes_max: usize,
}

const RECENT_SLOTS: usize = 64;

/// What the table says of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Its number.
    Known(u32),
    /// It has to be announced first.
    New,
}

impl LocalNames {
    pub(super) fn new(names_max: usize, name_bytes_max: usize) -> Self {
        Self {
            ids: HashMap::default(),
            recent: [const { None }; RECENT_SLOTS],
            names_max,
            name_bytes_max,
        }
    }

    #[inline]
    pub(super) fn lookup(&mut self, name: &str) -> Result<Lookup, SubmitError> {
        if let Some((recent, id)) = &self.recent[slot(name)]
            && **recent == *name
        {
            return Ok(Lookup::Known(*id));
        }
        self.lookup_all(name)
    }

    #[cold]
    fn lookup_all(&mut self, name: &str) -> Result<Lookup, SubmitError> {
        if let Some((known, id)) = self.ids.get_key_value(name) {
            self.recent[slot(name)] = Some((Arc::clone(known), *id));
            return Ok(Lookup::Known(*id));
        }
        let (bytes, max) = (name.len(), self.name_bytes_max);
        if bytes == 0 || bytes > max {
            return Err(SubmitError::NameLength { bytes, max });
        }
        if self.ids.len() >= self.names_max {
            return Err(SubmitError::TooManyNames { max: self.names_max });
        }
        Ok(Lookup::New)
    }

    /// Notes a name that has been announced and returns its number.
    pub(super) fn announced(&mut self, name: &str) -> u32 {
        let id = self.ids.len() as u32;
        let name: Arc<str> = name.into();
        self.recent[slot(&name)] = Some((Arc::clone(&name), id));
        self.ids.insert(name, id);
        id
    }
}

/// Names that share a prefix, as topics do, differ in length or near their end.
fn slot(name: &str) -> usize {
    let bytes = name.as_bytes();
    let last = bytes.last().copied().unwrap_or(0) as usize;
    let middle = bytes.get(bytes.len() / 2).copied().unwrap_or(0) as usize;
    (bytes.len() * 7 + last * 31 + middle * 17) % RECENT_SLOTS
}
