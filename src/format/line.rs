use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes in a [`Line`].
pub const LINE_BYTES: usize = 64;

/// The unit of ring, hash and disk: one cache line, one ring slot, one BLAKE3 block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, align(64))]
pub struct Line([u8; LINE_BYTES]);

impl Line {
    /// A line of zeros.
    pub const ZERO: Self = Self([0; LINE_BYTES]);

    pub(crate) const fn from_bytes(bytes: [u8; LINE_BYTES]) -> Self {
        Self(bytes)
    }

    /// The line's bytes.
    pub const fn bytes(&self) -> &[u8; LINE_BYTES] {
        &self.0
    }
}

const _: () = assert!(size_of::<Line>() == LINE_BYTES && align_of::<Line>() == LINE_BYTES);

/// How many lines it takes to hold this many bytes.
pub const fn lines_for(bytes: usize) -> usize {
    bytes.div_ceil(LINE_BYTES)
}
