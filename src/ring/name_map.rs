use std::collections::HashMap;

use crate::sync::Arc;

/// Texts to values, quick for the texts that were looked up last: most messages repeat one of few.
#[derive(Debug)]
pub(crate) struct NameMap<V> {
    all: HashMap<Arc<str>, V, foldhash::fast::RandomState>,
    recent: [Option<(Arc<str>, V)>; RECENT_SLOTS],
}

const RECENT_SLOTS: usize = 64;

impl<V> Default for NameMap<V> {
    fn default() -> Self {
        Self { all: HashMap::default(), recent: [const { None }; RECENT_SLOTS] }
    }
}

impl<V: Copy> NameMap<V> {
    #[inline]
    pub(crate) fn get(&mut self, name: &str) -> Option<V> {
        match &self.recent[slot(name)] {
            Some((recent, value)) if **recent == *name => Some(*value),
            _ => self.get_from_all(name),
        }
    }

    #[cold]
    fn get_from_all(&mut self, name: &str) -> Option<V> {
        let (known, value) = self.all.get_key_value(name)?;
        self.recent[slot(name)] = Some((Arc::clone(known), *value));
        Some(*value)
    }

    pub(crate) fn insert(&mut self, name: &str, value: V) {
        let known: Arc<str> = name.into();
        self.recent[slot(name)] = Some((Arc::clone(&known), value));
        self.all.insert(known, value);
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

/// From the first and the last bytes: topics differ near their end, instruments near their beginning.
fn slot(name: &str) -> usize {
    let bytes = name.as_bytes();
    let ends = match bytes {
        [_, _, _, _, _, _, _, _, ..] => {
            let head = bytes.first_chunk().map_or(0, |head| u64::from_le_bytes(*head));
            let tail = bytes.last_chunk().map_or(0, |tail| u64::from_le_bytes(*tail));
            head ^ tail.rotate_left(32)
        }
        short => short.iter().fold(0, |ends, byte| ends << 8 | u64::from(*byte)),
    };
    // Multiplied by 2^64 / the golden ratio, of which the highest bits depend on all (Knuth, vol. 3, 6.4).
    const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
    ((ends ^ bytes.len() as u64).wrapping_mul(MIX) >> (u64::BITS - RECENT_SLOTS.ilog2())) as usize
}

const _: () = assert!(RECENT_SLOTS.is_power_of_two());
