use std::any::TypeId;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Values by Rust type. The look-up is on the path of every message.
pub(crate) type TypeMap<V> = HashMap<TypeId, V, BuildHasherDefault<TypeIdHasher>>;

/// Takes the hash that a [`TypeId`] already is.
#[derive(Debug, Default)]
pub(crate) struct TypeIdHasher(u64);

impl Hasher for TypeIdHasher {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    /// The standard library decides what a `TypeId` writes. Should that ever change, the map still
    /// works.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Why an encoder, or an extractor of market data, was not registered for its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The message type has an encoder or an extractor, or is an envelope, already.
    #[error("{type_name} is registered already")]
    Duplicate {
        /// The Rust type.
        type_name: &'static str,
    },
    /// The payload type is empty.
    #[error("the payload type of {type_name} is empty")]
    EmptyPayloadType {
        /// The Rust type.
        type_name: &'static str,
    },
}
