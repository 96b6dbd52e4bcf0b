use super::name_map::NameMap;
use crate::engine::SubmitError;
use crate::engine::lone_record::check_name;

/// A producer's own numbers for topics and payload types, in the order of first use. The writer
/// keeps the same table, built from the announcements that travel in the ring.
#[derive(Debug)]
pub(super) struct LocalNames {
    ids: NameMap<u32>,
    names_max: usize,
    name_bytes_max: usize,
}

/// A message's two names, as far as they are numbered already or will be once it is pushed.
#[derive(Debug)]
pub(super) struct Numbered<'a> {
    /// Of topic and payload type.
    pub(super) ids: [u32; 2],
    /// Those that have to be announced, in the order of their numbers.
    pub(super) new: Vec<&'a str>,
}

impl LocalNames {
    pub(super) fn new(names_max: usize, name_bytes_max: usize) -> Self {
        Self { ids: NameMap::default(), names_max, name_bytes_max }
    }

    #[inline]
    pub(super) fn get(&mut self, name: &str) -> Option<u32> {
        self.ids.get_mut(name).copied()
    }

    /// Numbers topic and payload type. Nothing is noted yet: the message may be refused.
    #[cold]
    pub(super) fn number<'a>(&mut self, names: [&'a str; 2]) -> Result<Numbered<'a>, SubmitError> {
        let mut numbered = Numbered { ids: [0; 2], new: Vec::new() };
        for (id, name) in numbered.ids.iter_mut().zip(names) {
            if let Some(known) = self.get(name) {
                *id = known;
                continue;
            }
            check_name(name, self.name_bytes_max)?;
            let at = numbered.new.iter().position(|new| *new == name).unwrap_or_else(|| {
                numbered.new.push(name);
                numbered.new.len() - 1
            });
            *id = (self.ids.len() + at) as u32;
        }
        if self.ids.len() + numbered.new.len() > self.names_max {
            return Err(SubmitError::TooManyNames { max: self.names_max });
        }
        Ok(numbered)
    }

    /// Notes names that have been announced.
    pub(super) fn announced(&mut self, new: &[&str]) {
        for name in new {
            let id = self.ids.len() as u32;
            self.ids.insert(name, id);
        }
    }
}
