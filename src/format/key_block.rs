//! The index of keys: sorted rows of a key's hash and a `seq`, stored in blocks.

use twox_hash::XxHash3_64;
use zerocopy::little_endian::U128;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::model::IndexKind;

/// The hash of a key in the index: XXH3 (64 bits) of the key, seeded with the number of its kind.
/// Two keys can share a hash, so a row is only a hint. The record that it points to has the key
/// itself.
pub fn key_hash(kind: IndexKind, key: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(u64::from(kind.as_u16()), key)
}

/// The hash of a key, and the first entry of one frame that mentions a key with that hash. A row is
/// stored as one 128-bit number: the hash, then the `seq`. Rows are in the order of these numbers.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(transparent)]
pub struct KeyRow(U128);

/// Bytes of a row.
pub const KEY_ROW_BYTES: usize = size_of::<KeyRow>();

impl KeyRow {
    /// The row for: entry `seq` mentions a key with this hash.
    pub const fn new(hash: u64, seq: u64) -> Self {
        Self::from_u128((hash as u128) << 64 | seq as u128)
    }

    /// The row that is stored as this number.
    pub const fn from_u128(number: u128) -> Self {
        Self(U128::new(number))
    }

    /// The number this row is stored as.
    pub const fn as_u128(self) -> u128 {
        self.0.get()
    }

    /// The hash of the key.
    pub const fn hash(self) -> u64 {
        (self.as_u128() >> 64) as u64
    }

    /// The entry.
    pub const fn seq(self) -> u64 {
        self.as_u128() as u64
    }
}

/// The most rows of a block. Together with redb's own bytes they fill two pages. With one row more
/// the block would take four, because redb rounds a large value up to a power of two of pages.
pub const KEY_BLOCK_ROWS_MAX: usize = ((8 << 10) - 64) / KEY_ROW_BYTES;

/// How many times the rows of a tier the next tier begins with. When the blocks of a tier together
/// have as many rows as the next tier begins with, they are merged into the next.
pub const KEY_TIER_FACTOR: usize = 8;

/// The tier of a block: how many rows were merged and stored together with its own.
///
/// These rows are one sorted sequence. A long sequence is stored as several blocks. Each tier
/// divides the hashes into segments, and no block crosses from one segment into another. So all
/// blocks that can have a given hash lie together in the table, from whichever sequences they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyTier(u16);

impl KeyTier {
    /// The fewest rows.
    pub const FIRST: Self = Self(0);
    /// From 32 768 rows on. Blocks of this tier are not merged before the run is sealed: the writer
    /// stops while it merges, and a merge of so many rows takes a millisecond or two.
    pub const LARGE: Self = Self(5);
    /// All rows of the run as one sequence of full blocks.
    pub const SORTED: Self = Self(255);

    /// The highest tier that has all hashes in one segment.
    const UNDIVIDED: u16 = 3;

    /// The tier of a sequence of `rows` rows. There is at least one row, and they are not all of
    /// the run.
    pub const fn of(rows: usize) -> Self {
        let tier = rows.ilog(KEY_TIER_FACTOR);
        if tier < Self::LARGE.0 as u32 { Self(tier as u16) } else { Self::LARGE }
    }

    /// True once the blocks of this tier, which have `rows` rows together, are to be merged into
    /// the next.
    pub const fn is_full_with(self, rows: usize) -> bool {
        self.0 < Self::LARGE.0 && rows >= KEY_TIER_FACTOR.pow(self.0 as u32 + 1)
    }

    /// The tier of this number.
    pub const fn from_u16(number: u16) -> Self {
        Self(number)
    }

    /// The number that stands for this tier in a run file.
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// The tier after this one.
    #[must_use]
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// How many of the highest bits all hashes of a segment share.
    const fn segment_bits(self) -> u32 {
        if self.0 > Self::LARGE.0 { 0 } else { 3 * self.0.saturating_sub(Self::UNDIVIDED) as u32 }
    }

    /// The lowest hash of the segment that has `hash`.
    pub(crate) const fn segment_of(self, hash: u64) -> u64 {
        hash & !(u64::MAX >> self.segment_bits())
    }

    /// The lowest hash of the segment after the one that begins with `segment`; `None` after the
    /// last.
    pub(crate) const fn next_segment(self, segment: u64) -> Option<u64> {
        (segment | u64::MAX >> self.segment_bits()).checked_add(1)
    }

    /// The blocks of a sequence of this tier.
    pub(crate) fn blocks(self, rows: &[KeyRow]) -> impl Iterator<Item = &[KeyRow]> {
        rows.chunk_by(move |a, b| self.segment_of(a.hash()) == self.segment_of(b.hash()))
            .flat_map(|segment| segment.chunks(KEY_BLOCK_ROWS_MAX))
    }
}

const _: () = assert!(KeyTier::LARGE.0 < KeyTier::SORTED.0);

/// The key that a block is stored under: its tier and its first row. No two blocks share a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyBlockId {
    /// The tier.
    pub tier: KeyTier,
    /// The first row.
    pub first: KeyRow,
}

impl KeyBlockId {
    /// The place before all blocks of a tier.
    pub const fn start_of(tier: KeyTier) -> Self {
        Self { tier, first: KeyRow::from_u128(0) }
    }

    /// The place before all blocks of a tier that can have this hash. Not for [`KeyTier::SORTED`].
    pub(crate) const fn before(tier: KeyTier, hash: u64) -> Self {
        Self { tier, first: KeyRow::new(tier.segment_of(hash), 0) }
    }

    /// Where to look for the next block; `None` after the last possible place.
    pub fn next(self) -> Option<Self> {
        let Self { tier, first } = self;
        match first.as_u128().checked_add(1) {
            Some(next) => Some(Self { tier, first: KeyRow::from_u128(next) }),
            None => Some(Self::start_of(KeyTier(tier.0.checked_add(1)?))),
        }
    }
}

/// Why bytes are no key block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyBlockError {
    /// Not a whole number of rows, or none.
    #[error("a key block has {bytes} bytes, which is no whole number of rows")]
    Length {
        /// The bytes it has.
        bytes: usize,
    },
    /// Rows are out of order, or one is there twice.
    #[error("a key block has rows out of order")]
    Order,
    /// Its first row is not the one it is stored under.
    #[error("a key block does not begin with the row it is stored under")]
    First,
    /// It belongs to another tier or to none, or it is too large for its tier.
    #[error("a key block is stored in a tier it does not belong to")]
    Tier,
    /// It is in the sorted sequence and does not begin after the block before it ends.
    #[error("a key block overlaps with the one before")]
    Overlap,
}

/// A block with its rows borrowed.
#[derive(Debug, Clone, Copy)]
pub struct KeyBlock<'a>(&'a [KeyRow]);

impl<'a> KeyBlock<'a> {
    /// Takes `bytes` for a block. Does not check the order of the rows.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, KeyBlockError> {
        match <[KeyRow]>::ref_from_bytes(bytes) {
            Ok(rows) if !rows.is_empty() => Ok(Self(rows)),
            _ => Err(KeyBlockError::Length { bytes: bytes.len() }),
        }
    }

    /// Checks everything that must hold for a block stored under `id`.
    pub fn check(&self, id: KeyBlockId) -> Result<(), KeyBlockError> {
        if !self.0.is_sorted_by(|a, b| a < b) {
            Err(KeyBlockError::Order)
        } else if self.0[0] != id.first {
            Err(KeyBlockError::First)
        } else if !self.fits(id.tier) {
            Err(KeyBlockError::Tier)
        } else {
            Ok(())
        }
    }

    fn fits(&self, tier: KeyTier) -> bool {
        let is_one_segment = match self.0 {
            [first, .., last] => tier.segment_of(first.hash()) == tier.segment_of(last.hash()),
            _ => true,
        };
        (tier <= KeyTier::LARGE || tier == KeyTier::SORTED)
            && is_one_segment
            && self.0.len() <= KEY_BLOCK_ROWS_MAX
    }

    /// The rows, at least one.
    pub fn rows(&self) -> &'a [KeyRow] {
        self.0
    }

    /// The first row that is not below `wanted`.
    pub fn at_or_after(&self, wanted: KeyRow) -> Option<KeyRow> {
        self.0.get(self.0.partition_point(|row| *row < wanted)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_xxh3_of_the_key_seeded_with_the_kind() {
        // From the reference implementation, XXH3_64bits_withSeed.
        assert_eq!(key_hash(IndexKind::from_u16(0), b""), 0x2d06_8005_38d3_94c2);
        assert_ne!(
            key_hash(IndexKind::CLIENT_ORDER_ID, b"X"),
            key_hash(IndexKind::VENUE_ORDER_ID, b"X")
        );
    }

    #[test]
    fn rows_are_in_order_of_hash_then_seq() {
        let rows = [(0, 0), (0, u64::MAX), (1, 0), (u64::MAX, 7)].map(|(h, s)| KeyRow::new(h, s));
        assert!(rows.is_sorted_by(|a, b| a < b));
        assert_eq!((rows[3].hash(), rows[3].seq()), (u64::MAX, 7));
        assert_eq!(rows[2].as_bytes(), [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn rows_that_fill_a_tier_belong_higher() {
        for rows in [1, 7, 8, 63, 64, 4095, 4096, 32_767, 32_768, 1 << 30] {
            let tier = KeyTier::of(rows);
            assert!(!tier.is_full_with(rows));
            let full = (rows..100_000).find(|rows| tier.is_full_with(*rows));
            assert_eq!(full.is_none(), tier == KeyTier::LARGE);
            assert!(full.is_none_or(|full| KeyTier::of(full) > tier));
        }
    }

    #[test]
    fn no_block_crosses_into_the_next_segment() {
        let hashes = [0, (1 << 61) - 1, 1 << 61, (1 << 61) + 5, u64::MAX];
        let rows = hashes.map(|hash| KeyRow::new(hash, 1));
        let lengths = |tier| KeyTier(tier).blocks(&rows).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(0), [5]);
        assert_eq!(lengths(3), [5]);
        assert_eq!(lengths(4), [2, 2, 1]);
        assert_eq!(lengths(5), [1, 1, 2, 1]);
        assert_eq!(KeyTier(5).segment_of((3 << 58) + 77), 3 << 58);
        assert_eq!(KeyTier(0).segment_of(u64::MAX), 0);
    }

    #[test]
    fn segments_follow_each_other_to_the_last_hash() {
        for (tier, count) in [(KeyTier(3), 1), (KeyTier(4), 8), (KeyTier::LARGE, 64)] {
            let next = |segment: &u64| tier.next_segment(*segment);
            let segments: Vec<u64> = std::iter::successors(Some(0), next).take(100).collect();
            let len = (1_u128 << 64) / count;
            let expected: Vec<u64> = (0..count).map(|n| (n * len) as u64).collect();
            assert_eq!(segments, expected);
            for segment in segments {
                assert_eq!(tier.segment_of(segment), segment);
                assert_eq!(tier.segment_of(segment + (len - 1) as u64), segment);
            }
        }
    }

    /// Holds for all hashes, also for those of keys that somebody has chosen.
    #[test]
    fn no_block_exceeds_the_row_limit() {
        assert_eq!(KEY_BLOCK_ROWS_MAX, 508, "part of the format");
        let rows: Vec<KeyRow> = (0..40_000).map(|seq| KeyRow::new(7, seq)).collect();
        for tier in [KeyTier::FIRST, KeyTier(4), KeyTier::LARGE, KeyTier::SORTED] {
            let blocks: Vec<_> = tier.blocks(&rows).collect();
            assert_eq!(blocks.concat(), rows);
            for rows in blocks {
                let id = KeyBlockId { tier, first: rows[0] };
                assert_eq!(KeyBlock(rows).check(id), Ok(()));
            }
            let all = KeyBlockId { tier, first: rows[0] };
            assert_eq!(KeyBlock(&rows).check(all), Err(KeyBlockError::Tier));
        }
    }

    #[test]
    fn the_next_row_is_found_from_anywhere() {
        let rows = [(3, 5), (3, 9), (4, 1)].map(|(hash, seq)| KeyRow::new(hash, seq));
        let block = KeyBlock::parse(rows.as_bytes()).unwrap();
        let find = |hash, seq| block.at_or_after(KeyRow::new(hash, seq));
        assert_eq!(find(0, 0), Some(rows[0]));
        assert_eq!(find(3, 5), Some(rows[0]));
        assert_eq!(find(3, 6), Some(rows[1]));
        assert_eq!(find(3, 10), Some(rows[2]));
        assert_eq!(find(4, 2), None);
    }

    #[test]
    fn malformed_blocks_are_refused() {
        for bytes in [0, 1, 15, 17] {
            let error = KeyBlock::parse(&vec![0; bytes]).unwrap_err();
            assert_eq!(error, KeyBlockError::Length { bytes });
        }
        let id = |row: KeyRow| KeyBlockId { tier: KeyTier::FIRST, first: row };
        let [low, high] = [KeyRow::new(1, 1), KeyRow::new(1, 2)];
        let check =
            |rows: &[KeyRow], first| KeyBlock::parse(rows.as_bytes()).unwrap().check(id(first));
        assert_eq!(check(&[low, high], low), Ok(()));
        assert_eq!(check(&[low, high], high), Err(KeyBlockError::First));
        assert_eq!(check(&[high, low], high), Err(KeyBlockError::Order));
        assert_eq!(check(&[low, low], low), Err(KeyBlockError::Order));
    }

    #[test]
    fn after_the_last_block_of_a_tier_comes_the_next_tier() {
        let last = KeyBlockId { tier: KeyTier::FIRST, first: KeyRow::from_u128(u128::MAX) };
        assert_eq!(last.next(), Some(KeyBlockId::start_of(KeyTier(1))));
        assert_eq!(KeyBlockId { tier: KeyTier(u16::MAX), ..last }.next(), None);
    }
}
