use std::any::{Any, TypeId, type_name};
use std::sync::Arc;

use super::Encoder;
use super::encoder::{ErasedEncoder, PayloadType};
use crate::model::TypeMap;
use crate::model::type_map::RegisterError;

/// The allow-list: which message types are captured, and how. A type without an encoder passes the
/// tap at the price of one look-up.
///
/// Built once, then shared by the taps of all threads. Clones share their encoders.
#[derive(Default, Clone)]
pub struct EncoderRegistry {
    slots: TypeMap<Slot>,
}

#[derive(Clone)]
enum Slot {
    Message(Arc<dyn ErasedEncoder>),
    Envelope(UnwrapFn),
}

type UnwrapFn = Arc<dyn for<'a> Fn(&'a dyn Any) -> &'a (dyn Any + 'static) + Send + Sync>;

/// Envelopes within envelopes that are opened; a deeper nest is taken for one that never ends.
const ENVELOPES_MAX: usize = 8;

impl EncoderRegistry {
    /// A registry that captures nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Captures messages of type `T`.
    pub fn register<T: 'static>(&mut self, encoder: Encoder<T>) -> Result<(), RegisterError> {
        if let PayloadType::Fixed(payload_type) = &encoder.payload_type
            && payload_type.is_empty()
        {
            return Err(RegisterError::EmptyPayloadType { type_name: type_name::<T>() });
        }
        self.insert::<T>(Slot::Message(Arc::new(encoder)))
    }

    /// Captures what `E`, an envelope around other messages, contains: payload type, bytes and
    /// index keys are those of the message inside, which needs an encoder of its own. Up to eight
    /// envelopes around each other are opened; what is in more is not captured.
    pub fn register_envelope<E: 'static>(
        &mut self,
        unwrap: impl for<'a> Fn(&'a E) -> &'a (dyn Any + 'static) + Send + Sync + 'static,
    ) -> Result<(), RegisterError> {
        self.insert::<E>(Slot::Envelope(Arc::new(move |message| {
            match message.downcast_ref::<E>() {
                Some(envelope) => unwrap(envelope),
                None => message,
            }
        })))
    }

    fn insert<T: 'static>(&mut self, slot: Slot) -> Result<(), RegisterError> {
        let key = TypeId::of::<T>();
        if self.slots.contains_key(&key) {
            return Err(RegisterError::Duplicate { type_name: type_name::<T>() });
        }
        self.slots.insert(key, slot);
        Ok(())
    }

    /// Whether messages of a type may be captured.
    pub(crate) fn has(&self, message: TypeId) -> bool {
        self.slots.contains_key(&message)
    }

    /// The encoder for `message`, with the message it is for: the innermost of its envelopes.
    #[inline]
    pub(super) fn find<'a>(
        &'a self,
        message: &'a dyn Any,
    ) -> Option<(&'a dyn ErasedEncoder, &'a dyn Any)> {
        let mut message = message;
        for _ in 0..=ENVELOPES_MAX {
            match self.slots.get(&message.type_id())? {
                Slot::Message(encoder) => return Some((&**encoder, message)),
                Slot::Envelope(unwrap) => message = unwrap(message),
            }
        }
        None
    }
}

impl std::fmt::Debug for EncoderRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncoderRegistry").field("types", &self.slots.len()).finish()
    }
}
