use std::fmt;
use std::str::FromStr;

use super::ParseError;

/// A BLAKE3 hash. `Display` of it is 64 lower-case hexadecimal digits; [`FromStr`] reads them, in
/// either case.
#[derive(Clone, Copy, PartialEq, Eq, std::hash::Hash)]
pub struct Hash([u8; Self::BYTES]);

impl Hash {
    /// Bytes of a hash.
    pub const BYTES: usize = 32;

    /// Where a chain of hashes begins.
    pub(crate) const ZERO: Self = Self([0; Self::BYTES]);

    /// The hash of `content`.
    pub fn of(content: &[u8]) -> Self {
        Self(blake3::hash(content).into())
    }

    /// The hash of the parts of a content, one after the other.
    pub(crate) fn of_parts<const N: usize>(parts: [&[u8]; N]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The hash of `content` under a key: a hash for one purpose never equals one for another.
    pub(crate) fn keyed(key: &[u8; Self::BYTES], content: &[u8]) -> Self {
        Self(blake3::keyed_hash(key, content).into())
    }

    /// The hash that consists of `bytes`.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(hash.into()))
            .map_err(|_| ParseError::new(text, "a hash", "64 hexadecimal digits"))
    }
}

/// A hash of content that comes in pieces, for instance of the fields of a record.
#[derive(Debug, Default)]
pub struct Fingerprint(blake3::Hasher);

impl Fingerprint {
    /// Adds `bytes` to what is hashed. The result depends on the bytes, not on how they were
    /// divided.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The hash of everything that was added.
    pub fn finish(&self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_stock_blake3_and_its_text_is_read_back() {
        let hash = Hash::of(b"tapline");
        let stock = blake3::hash(b"tapline");
        assert_eq!(hash.as_bytes(), stock.as_bytes());
        assert_eq!(hash.to_string(), stock.to_string());
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
    }

    #[test]
    fn a_text_of_other_length_or_with_other_letters_is_refused() {
        for text in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
            let error = text.parse::<Hash>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("{text:?} is not a hash; expected 64 hexadecimal digits")
            );
        }
    }

    #[test]
    fn a_fingerprint_depends_on_the_bytes_and_not_on_the_pieces() {
        let mut in_pieces = Fingerprint::default();
        in_pieces.update(b"tap").update(b"").update(b"line");
        assert_eq!(in_pieces.finish(), Hash::of(b"tapline"));
        assert_eq!(Hash::of_parts([b"tap", b"line"]), Hash::of(b"tapline"));
        let key = [7; Hash::BYTES];
        assert_eq!(Hash::keyed(&key, b"x").as_bytes(), blake3::keyed_hash(&key, b"x").as_bytes());
    }
}
