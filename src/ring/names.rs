use super::SubmitError;
use super::name_map::NameMap;

/// A producer's own numbers for topics and payload types, in the order of first use. The writer
/// keeps the same table, built from the announcements that travel in the ring.
#[derive(Debug)]
pub(super) struct LocalNames {
    ids: NameMap<u32>,
    names_max: usize,
    name_bytes_max: usize,
}

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
        Self { ids: NameMap::default(), names_max, name_bytes_max }
    }

    #[inline]
    pub(super) fn lookup(&mut self, name: &str) -> Result<Lookup, SubmitError> {
        match self.ids.get_mut(name) {
            Some(id) => Ok(Lookup::Known(*id)),
            None => self.check_new(name),
        }
    }

    #[cold]
    fn check_new(&self, name: &str) -> Result<Lookup, SubmitError> {
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
        self.ids.insert(name, id);
        id
    }
}
