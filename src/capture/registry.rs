use std::any::{Any, TypeId, type_name};
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::Encoder;
use super::encoder::{ErasedEncoder, PayloadType};
use crate::bus::TimeEvent;
use crate::model::type_map::RegisterError;
use crate::model::{TypeMap, UnixNanos};

/// The allow-list: which message types are captured, and how. A type without an encoder passes the
/// tap at the price of one look-up.
///
/// Built once, then shared by the taps of all threads. Clones share their encoders: a clone copies
/// a pointer for each type.
#[derive(Default, Clone)]
pub struct EncoderRegistry {
    slots: TypeMap<Slot>,
    is_strict: bool,
}

#[derive(Clone)]
enum Slot {
    Message(Arc<dyn ErasedEncoder>),
    Envelope(UnwrapFn),
    /// Not captured, by name.
    Passed,
}

/// What a registry knows of a message.
pub(super) enum Listing<'a> {
    /// The encoder, and the message it is for: the innermost of the envelopes.
    Encoder(&'a dyn ErasedEncoder, &'a dyn Any),
    /// It passes the tap and is not captured.
    Passed,
    /// The registry is strict and does not know the type.
    Refused,
}

type UnwrapFn = Arc<dyn for<'a> Fn(&'a dyn Any) -> &'a (dyn Any + 'static) + Send + Sync>;

/// Envelopes within envelopes that are opened; a deeper nest is taken for one that never ends.
const ENVELOPES_MAX: usize = 8;

impl EncoderRegistry {
    /// A registry that captures nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same registry, which refuses what it does not know: a tap does not let a message of such
    /// a type through ([`CaptureError::NotListed`](super::CaptureError::NotListed)). So no type is
    /// left out of the log by mistake. [`pass`](Self::pass) names the types that are left out on purpose.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// A registry that captures the bus's own message type: fired timers ([`TimeEvent`]). Their
    /// payload is JSON: `name`, `event_id`, `ts_event` and `ts_init`.
    #[expect(clippy::missing_panics_doc, reason = "the registry is empty")]
    pub fn with_defaults() -> Self {
        #[derive(Serialize)]
        struct Payload<'a> {
            name: &'a str,
            event_id: Uuid,
            ts_event: UnixNanos,
            ts_init: UnixNanos,
        }

        let encoder = Encoder::new("TimeEvent", |event: &TimeEvent, record| {
            let TimeEvent { ref name, event_id, ts_event, ts_init } = *event;
            record.set_ts_init(ts_init);
            serde_json::to_writer(record, &Payload { name, event_id, ts_event, ts_init })?;
            Ok(())
        });
        let mut registry = Self::new();
        // Events that all have the nil id are not one event.
        let encoder = encoder
            .identified_by(|event| Some(event.event_id).filter(|event_id| !event_id.is_nil()));
        registry.register(encoder).expect("nothing is registered yet");
        registry
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

    /// Lets messages of type `T` pass the tap without being captured, also in a
    /// [strict](Self::strict) registry: for what another log has, such as market data.
    pub fn pass<T: 'static>(&mut self) -> Result<(), RegisterError> {
        self.insert::<T>(Slot::Passed)
    }

    fn insert<T: 'static>(&mut self, slot: Slot) -> Result<(), RegisterError> {
        let key = TypeId::of::<T>();
        if self.slots.contains_key(&key) {
            return Err(RegisterError::Duplicate { type_name: type_name::<T>() });
        }
        self.slots.insert(key, slot);
        Ok(())
    }

    /// True if messages of type `T` have an encoder, or are envelopes.
    pub fn contains<T: 'static>(&self) -> bool {
        self.captures(TypeId::of::<T>())
    }

    /// The payload types of all encoders whose messages have one payload type, sorted.
    pub fn payload_types(&self) -> Vec<&str> {
        let mut payload_types: Vec<_> = self
            .slots
            .values()
            .filter_map(|slot| match slot {
                Slot::Message(encoder) => encoder.fixed_payload_type(),
                Slot::Envelope(_) | Slot::Passed => None,
            })
            .collect();
        payload_types.sort_unstable();
        payload_types
    }

    /// Whether messages of a type may be captured.
    pub(crate) fn captures(&self, message: TypeId) -> bool {
        matches!(self.slots.get(&message), Some(Slot::Message(_) | Slot::Envelope(_)))
    }

    #[inline]
    pub(super) fn find<'a>(&'a self, message: &'a dyn Any) -> Listing<'a> {
        let mut message = message;
        for _ in 0..=ENVELOPES_MAX {
            match self.slots.get(&message.type_id()) {
                Some(Slot::Message(encoder)) => return Listing::Encoder(&**encoder, message),
                Some(Slot::Envelope(unwrap)) => message = unwrap(message),
                Some(Slot::Passed) => return Listing::Passed,
                None => break,
            }
        }
        if self.is_strict { Listing::Refused } else { Listing::Passed }
    }
}

impl std::fmt::Debug for EncoderRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncoderRegistry")
            .field("types", &self.slots.len())
            .field("is_strict", &self.is_strict)
            .finish()
    }
}
