//! Any bytes, read as a block of the index, and blocks of sorted rows: the checks and the search
//! come to what the plainest way comes to.

#![no_main]

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tapline::internals::format::{
    KEY_BLOCK_ROWS_MAX, KEY_ROW_BYTES, KeyBlock, KeyBlockId, KeyRow, KeyTier,
};

#[derive(Debug, Arbitrary)]
struct Input {
    id: Id,
    wanted: Vec<u128>,
    rows: Rows,
}

#[derive(Debug, Arbitrary)]
struct Id {
    tier: u16,
    /// The row it is stored under; `None` stands for its first.
    first: Option<u128>,
}

#[derive(Debug, Arbitrary)]
enum Rows {
    Any(Vec<u8>),
    Sorted(BTreeSet<u128>),
    /// So many, each larger than the one before by as much.
    Many {
        count: u16,
        first: u64,
        step: u64,
    },
}

impl Rows {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Any(bytes) => bytes,
            Self::Sorted(rows) => rows.into_iter().flat_map(u128::to_le_bytes).collect(),
            Self::Many { count, first, step } => {
                let (first, step) = (u128::from(first) << 64, u128::from(step) << 32);
                let rows = (0..u128::from(count % 600)).map(|n| first.wrapping_add(n * step));
                rows.flat_map(u128::to_le_bytes).collect()
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let bytes = input.rows.bytes();
    let numbers: Vec<u128> = bytes
        .chunks_exact(KEY_ROW_BYTES)
        .map(|row| u128::from_le_bytes(row.try_into().expect("16 bytes")))
        .collect();
    let parsed = KeyBlock::parse(&bytes);
    let is_block = !bytes.is_empty() && bytes.len().is_multiple_of(KEY_ROW_BYTES);
    assert_eq!(parsed.is_ok(), is_block);
    let Ok(block) = parsed else {
        return;
    };
    assert!(block.rows().iter().map(|row| row.as_u128()).eq(numbers.iter().copied()));
    for row in block.rows() {
        assert_eq!(KeyRow::new(row.hash(), row.seq()), *row);
    }

    let first = input.id.first.unwrap_or(numbers[0]);
    let id = KeyBlockId { tier: KeyTier::from_u16(input.id.tier), first: KeyRow::from_u128(first) };
    let is_sorted = numbers.windows(2).all(|two| two[0] < two[1]);
    let is_in_order = is_sorted && first == numbers[0] && fits(&numbers, input.id.tier);
    assert_eq!(block.check(id).is_ok(), is_in_order);
    match id.next() {
        Some(next) => assert!(next > id),
        None => assert_eq!((input.id.tier, first), (u16::MAX, u128::MAX)),
    }

    for wanted in input.wanted.into_iter().chain(numbers.iter().copied().take(8)) {
        let found = block.at_or_after(KeyRow::from_u128(wanted)).map(KeyRow::as_u128);
        if is_sorted {
            assert_eq!(found, numbers.iter().copied().find(|number| *number >= wanted));
        }
    }
});

/// Whether sorted rows may be one block of a tier: there are tiers 0 to 5 and 255, the hashes of
/// tier 4 are divided by their highest three bits, those of tier 5 by their highest six.
fn fits(numbers: &[u128], tier: u16) -> bool {
    let bits = match tier {
        0..=3 | 255 => 0,
        4 => 3,
        5 => 6,
        _ => return false,
    };
    let stretch = |number: u128| (number >> 64) << bits >> 64;
    numbers.len() <= KEY_BLOCK_ROWS_MAX
        && stretch(numbers[0]) == stretch(numbers[numbers.len() - 1])
}
