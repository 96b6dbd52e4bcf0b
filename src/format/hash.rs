//! Entry hashes, many at a time.
//!
//! BLAKE3 spreads one long message over the vector ways of the processor, but it hashes a short
//! message serially. A record is a whole number of 64-byte blocks, and most records are shorter
//! than a BLAKE3 chunk (1024 bytes). So records of equal length share the vector: one record a way,
//! up to 16 at once with AVX-512. The result is the ordinary BLAKE3 of each record.
//!
//! `blake3::platform` is public, but that crate does not promise to keep it. So `Cargo.toml` has an
//! upper bound for its version, only [`hash_blocks`] uses it, and a property test compares the
//! result with stock BLAKE3.

use blake3::platform::{MAX_SIMD_DEGREE, Platform};

use super::LINE_BYTES;
use crate::model::Hash;

/// A record of more lines is longer than one BLAKE3 chunk. It is hashed alone.
pub const BATCH_LINES_MAX: usize = 1024 / LINE_BYTES;

const WAYS_MAX: usize = MAX_SIMD_DEGREE;

/// Collects records by length. Hashes the records of one length once they fill the vector, while
/// they are still in the processor's first-level cache.
#[derive(Debug)]
pub struct BatchHasher {
    platform: Platform,
    ways: usize,
    /// The records that wait for others of their length. Index 0: records of one line.
    waiting: [Waiting; BATCH_LINES_MAX],
}

#[derive(Debug, Clone, Copy, Default)]
struct Waiting {
    count: usize,
    /// Byte offset of the record and index of its hash.
    records: [(usize, usize); WAYS_MAX],
}

impl Default for BatchHasher {
    fn default() -> Self {
        let platform = Platform::detect();
        Self {
            ways: platform.simd_degree(),
            platform,
            waiting: [Waiting::default(); BATCH_LINES_MAX],
        }
    }
}

impl BatchHasher {
    /// Adds the record of `lines` lines at byte `start` of `buffer`. Its hash is written to
    /// `hashes[index]`, by this call or a later one; [`finish`](Self::finish) writes all that are
    /// left.
    ///
    /// # Panics
    /// If the record does not lie within `buffer`, or `index` not within `hashes`.
    #[inline]
    pub fn add(
        &mut self,
        buffer: &[u8],
        start: usize,
        lines: usize,
        index: usize,
        hashes: &mut [Hash],
    ) {
        if lines == 0 || lines > BATCH_LINES_MAX {
            hashes[index] = Hash::of(&buffer[start..start + lines * LINE_BYTES]);
            return;
        }
        let waiting = &mut self.waiting[lines - 1];
        waiting.records[waiting.count] = (start, index);
        waiting.count += 1;
        if waiting.count == self.ways {
            flush(self.platform, lines, waiting, buffer, hashes);
        }
    }

    /// Hashes all records that still wait.
    pub fn finish(&mut self, buffer: &[u8], hashes: &mut [Hash]) {
        for (lines, waiting) in (1..).zip(&mut self.waiting) {
            if waiting.count > 0 {
                flush(self.platform, lines, waiting, buffer, hashes);
            }
        }
    }
}

fn flush(
    platform: Platform,
    lines: usize,
    waiting: &mut Waiting,
    buffer: &[u8],
    hashes: &mut [Hash],
) {
    let records = &waiting.records[..waiting.count];
    let mut out = [0; WAYS_MAX * Hash::BYTES];
    hash_equal_length(platform, lines, records, buffer, &mut out);
    for ((_, index), hash) in records.iter().zip(out.as_chunks::<{ Hash::BYTES }>().0) {
        hashes[*index] = Hash::from_bytes(*hash);
    }
    waiting.count = 0;
}

fn hash_equal_length(
    platform: Platform,
    lines: usize,
    records: &[(usize, usize)],
    buffer: &[u8],
    out: &mut [u8],
) {
    macro_rules! by_lines {
        ($($n:literal)*) => {
            match lines {
                $($n => hash_blocks::<{ $n * LINE_BYTES }>(platform, records, buffer, out),)*
                _ => unreachable!("`add` hashes longer records itself"),
            }
        };
    }
    by_lines!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}

fn hash_blocks<const BYTES: usize>(
    platform: Platform,
    records: &[(usize, usize)],
    buffer: &[u8],
    out: &mut [u8],
) {
    // BLAKE3 paper, section 2.2: a one-chunk message is hashed from the initial value, with chunk
    // counter 0. Its first block has the flag CHUNK_START, its last CHUNK_END and ROOT.
    const IV: [u32; 8] = [
        0x6A09_E667,
        0xBB67_AE85,
        0x3C6E_F372,
        0xA54F_F53A,
        0x510E_527F,
        0x9B05_688C,
        0x1F83_D9AB,
        0x5BE0_CD19,
    ];
    const CHUNK_START: u8 = 1;
    const CHUNK_END: u8 = 1 << 1;
    const ROOT: u8 = 1 << 3;

    let at = |start: usize| -> &[u8; BYTES] {
        buffer[start..].first_chunk().expect("`add` takes records within the buffer")
    };
    let mut inputs = [at(records[0].0); WAYS_MAX];
    for (input, (start, _)) in inputs.iter_mut().zip(records) {
        *input = at(*start);
    }
    platform.hash_many(
        &inputs[..records.len()],
        &IV,
        0,
        blake3::IncrementCounter::No,
        0,
        CHUNK_START,
        CHUNK_END | ROOT,
        out,
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Records of any lengths, in any order, get the hashes of stock BLAKE3.
        #[test]
        fn batches_hash_as_stock_blake3_does(
            lines in prop::collection::vec(1_usize..=20, 0..200),
            seed in any::<u64>(),
        ) {
            let total: usize = lines.iter().sum();
            let mut buffer = vec![0; total * LINE_BYTES];
            blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut buffer);

            let mut hasher = BatchHasher::default();
            let mut hashes = vec![Hash::ZERO; lines.len()];
            let mut start = 0;
            let mut expected = Vec::new();
            for (index, lines) in lines.iter().enumerate() {
                hasher.add(&buffer, start, *lines, index, &mut hashes);
                expected.push(Hash::of(&buffer[start..start + lines * LINE_BYTES]));
                start += lines * LINE_BYTES;
            }
            hasher.finish(&buffer, &mut hashes);
            prop_assert_eq!(hashes, expected);
        }
    }
}
