use std::collections::HashMap;

/// Texts to values. The look-up is on the path of every message: a text of which no other has the
/// ends is found by them, most often in the first slot.
#[derive(Debug)]
pub(crate) struct NameMap<V> {
    /// By their ends, each in the first free slot from where these lead. At least half of the slots
    /// are free.
    slots: Box<[Option<Named<V>>]>,
    /// What leaves as many bits of 64 as number the slots.
    shift: u32,
    in_slots: usize,
    /// The texts that came when another with the same ends had a slot.
    others: HashMap<Box<str>, V, foldhash::fast::RandomState>,
}

#[derive(Debug)]
struct Named<V> {
    ends: Ends,
    name: Box<str>,
    value: V,
}

const SLOTS_MIN: usize = 64;

impl<V> Default for NameMap<V> {
    fn default() -> Self {
        let slots = free_slots(SLOTS_MIN);
        Self { shift: shift_for(&slots), slots, in_slots: 0, others: HashMap::default() }
    }
}

impl<V> NameMap<V> {
    #[expect(clippy::inline_always, reason = "2 ns of the 19 that a mark costs")]
    #[inline(always)]
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        let ends = Ends::of(name);
        match &mut self.slots[slot_of(ends, &self.slots, self.shift)] {
            Some(known) if ends.is_all() || *known.name == *name => Some(&mut known.value),
            Some(_) => self.others.get_mut(name),
            None => None,
        }
    }

    /// `name` must be new.
    pub(crate) fn insert(&mut self, name: &str, value: V) {
        let ends = Ends::of(name);
        let slot = &mut self.slots[slot_of(ends, &self.slots, self.shift)];
        if slot.is_some() {
            self.others.insert(name.into(), value);
            return;
        }
        *slot = Some(Named { ends, name: name.into(), value });
        self.in_slots += 1;
        if self.in_slots > self.slots.len() / 2 {
            self.grow();
        }
    }

    fn grow(&mut self) {
        let mut slots = free_slots(2 * self.slots.len());
        self.shift = shift_for(&slots);
        for named in std::mem::take(&mut self.slots).into_iter().flatten() {
            let slot = slot_of(named.ends, &slots, self.shift);
            slots[slot] = Some(named);
        }
        self.slots = slots;
    }

    pub(crate) fn len(&self) -> usize {
        self.in_slots + self.others.len()
    }
}

/// `count` is a power of two.
fn free_slots<V>(count: usize) -> Box<[Option<Named<V>>]> {
    std::iter::repeat_with(|| None).take(count).collect()
}

fn shift_for<V>(slots: &[Option<Named<V>>]) -> u32 {
    u64::BITS - slots.len().trailing_zeros()
}

/// The slot that the text of these ends has, or would get.
#[inline]
fn slot_of<V>(ends: Ends, slots: &[Option<Named<V>>], shift: u32) -> usize {
    let mask = slots.len() - 1;
    let mut slot = (ends.mixed() >> shift) as usize;
    while slots[slot].as_ref().is_some_and(|named| named.ends != ends) {
        slot = (slot + 1) & mask;
    }
    slot
}

/// The first and the last eight bytes of a name: topics differ near their end, instruments near
/// their beginning. Of a name of up to sixteen bytes they are all there is.
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

    /// All of them in the highest bits.
    #[inline]
    fn mixed(self) -> u64 {
        // Multiplied by 2^64 / the golden ratio; of a product only the highest bits depend on all
        // (Knuth, vol. 3, 6.4).
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        (self.head ^ self.tail.rotate_left(32) ^ self.len as u64).wrapping_mul(MIX)
    }

    #[inline]
    fn is_all(self) -> bool {
        self.len <= 16
    }
}

const _: () = assert!(SLOTS_MIN.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that differ in one byte, wherever it is, are told apart, also when all have been
    /// looked up before.
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
            assert_eq!(map.get_mut(name), None);
            map.insert(name, value);
        }
        assert_eq!(map.len(), names.len());
        for (value, name) in names.iter().enumerate() {
            assert_eq!(map.get_mut(name).copied(), Some(value));
        }
    }

    /// Slots that looking a name up passes, at most, when all of `names` are in.
    fn passed_max(names: &[String]) -> usize {
        let mut map = NameMap::default();
        for name in names {
            map.insert(name, ());
        }
        let passed = |name: &String| {
            let ends = Ends::of(name);
            let start = (ends.mixed() >> map.shift) as usize;
            slot_of(ends, &map.slots, map.shift).wrapping_sub(start) & (map.slots.len() - 1)
        };
        names.iter().map(passed).max().expect("there are names")
    }

    /// Names that differ in a few letters only, as topics of many instruments do, wherever these
    /// stand.
    #[test]
    fn names_of_one_pattern_do_not_crowd() {
        let patterns: [(&str, &str); 4] = [
            ("data.", ".trades.BINANCE"),
            ("book.", "-USDT.OKX"),
            ("", ".BINANCE"),
            ("positions.", ""),
        ];
        for (before, behind) in patterns {
            let letters = || 'A'..='Z';
            let names: Vec<String> = letters()
                .flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])))
                .map(|code| format!("{before}{}{behind}", String::from_iter(code)))
                .collect();
            for count in [300, 5_000, names.len()] {
                let passed = passed_max(&names[..count]);
                assert!(
                    passed <= 32,
                    "{passed} slots are passed for {before}…{behind}, of {count}"
                );
            }
        }
    }
}
