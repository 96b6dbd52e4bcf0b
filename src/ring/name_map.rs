use std::collections::HashMap;

use crate::sync::Arc;

/// Texts to values, quick for the texts that were looked up last: most messages repeat one of few.
#[derive(Debug)]
pub(crate) struct NameMap<V> {
    all: HashMap<Arc<str>, V, foldhash::fast::RandomState>,
    recent: Box<[Option<Recent<V>>; RECENT_SLOTS]>,
}

#[derive(Debug)]
struct Recent<V> {
    ends: Ends,
    name: Arc<str>,
    value: V,
}

const RECENT_SLOTS: usize = 256;

impl<V> Default for NameMap<V> {
    fn default() -> Self {
        Self { all: HashMap::default(), recent: Box::new([const { None }; RECENT_SLOTS]) }
    }
}

impl<V: Copy> NameMap<V> {
    #[inline]
    pub(crate) fn get(&mut self, name: &str) -> Option<V> {
        let ends = Ends::of(name);
        match &self.recent[ends.slot()] {
            Some(recent) if recent.ends == ends && (ends.is_all() || *recent.name == *name) => {
                Some(recent.value)
            }
            _ => self.get_from_all(name, ends),
        }
    }

    #[cold]
    fn get_from_all(&mut self, name: &str, ends: Ends) -> Option<V> {
        let (known, value) = self.all.get_key_value(name)?;
        let (name, value) = (Arc::clone(known), *value);
        self.recent[ends.slot()] = Some(Recent { ends, name, value });
        Some(value)
    }

    pub(crate) fn insert(&mut self, name: &str, value: V) {
        self.all.insert(name.into(), value);
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

/// The first and the last eight bytes of a name: topics differ near their end, instruments near their beginning. Of a
/// name of up to sixteen bytes they are all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends {
    head: u64,
    tail: u64,
    len: usize,
}

impl Ends {
    #[inline]
    fn of(name: &str) -> Self {
        let bytes = name.as_bytes();
        let (head, tail) = match (bytes.first_chunk(), bytes.last_chunk()) {
            (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
            _ => (bytes.iter().fold(0, |ends, byte| ends << 8 | u64::from(*byte)), 0),
        };
        Self { head, tail, len: bytes.len() }
    }

    #[inline]
    fn slot(self) -> usize {
        // Multiplied by 2^64 / the golden ratio, of which the highest bits depend on all (Knuth, vol. 3, 6.4).
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        let mixed = (self.head ^ self.tail.rotate_left(32) ^ self.len as u64).wrapping_mul(MIX);
        (mixed >> (u64::BITS - RECENT_SLOTS.ilog2())) as usize
    }

    #[inline]
    fn is_all(self) -> bool {
        self.len <= 16
    }
}

const _: () = assert!(RECENT_SLOTS.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that differ in one byte, wherever it is, are told apart, also when all have been looked up before.
    #[test]
    fn names_of_all_lengths_are_told_apart() {
        let mut map = NameMap::default();
        let names: Vec<String> = (0..40)
            .flat_map(|len| {
                let changed = move |at: usize| {
                    let byte = |i: usize| if i == at { 'b' } else { 'a' };
                    (0..len).map(byte).collect::<String>()
                };
                (0..=len).map(changed)
            })
            .collect();
        for (value, name) in names.iter().enumerate() {
            assert_eq!(map.get(name), None);
            map.insert(name, value);
        }
        assert_eq!(map.len(), names.len());
        for _ in 0..2 {
            for (value, name) in names.iter().enumerate() {
                assert_eq!(map.get(name), Some(value));
                assert_eq!(map.get(name), Some(value), "looked up just before");
            }
        }
    }
}
