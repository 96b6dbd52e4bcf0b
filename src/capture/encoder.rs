use std::any::Any;

use uuid::Uuid;

use super::{EncodeError, OnEncodeError};
use crate::format::RecordBuilder;

/// How one message type becomes a record.
///
/// The encoding function writes the payload, and may set `ts_init` and headers and attach index
/// keys. It runs on the publishing thread for every message, so it should not allocate or block.
///
/// ```
/// use std::io::Write;
/// use tapline::capture::{EncodeError, Encoder, EncoderRegistry};
/// use tapline::{IndexKind, UnixNanos};
///
/// struct OrderAccepted { client_order_id: String, ts: u64, event_id: uuid::Uuid }
///
/// let encoder = Encoder::new("OrderAccepted", |event: &OrderAccepted, record| {
///     record.set_ts_init(UnixNanos::new(event.ts));
///     record.add_key(IndexKind::CLIENT_ORDER_ID, &event.client_order_id);
///     write!(record, "{}", event.client_order_id)?;
///     Ok(())
/// })
/// .identified_by(|event| Some(event.event_id));
///
/// let mut registry = EncoderRegistry::new();
/// registry.register(encoder)?;
/// # Ok::<(), tapline::capture::RegisterError>(())
/// ```
pub struct Encoder<T> {
    pub(super) payload_type: PayloadType<T>,
    pub(super) encode: EncodeFn<T>,
    pub(super) identity: Option<IdentityFn<T>>,
    on_error: OnEncodeError,
}

pub(super) type EncodeFn<T> =
    Box<dyn Fn(&T, &mut RecordBuilder) -> Result<(), EncodeError> + Send + Sync>;
pub(super) type IdentityFn<T> = Box<dyn Fn(&T) -> Option<Uuid> + Send + Sync>;
pub(super) type PayloadTypeFn<T> = Box<dyn for<'a> Fn(&'a T) -> &'a str + Send + Sync>;

pub(super) enum PayloadType<T> {
    Fixed(Box<str>),
    PerMessage(PayloadTypeFn<T>),
}

impl<T: 'static> Encoder<T> {
    /// An encoder whose messages all have one payload type.
    pub fn new(
        payload_type: &str,
        encode: impl Fn(&T, &mut RecordBuilder) -> Result<(), EncodeError> + Send + Sync + 'static,
    ) -> Self {
        Self::of(PayloadType::Fixed(payload_type.into()), Box::new(encode))
    }

    /// An encoder for messages that carry their payload type with them.
    pub fn typed_by(
        payload_type: impl for<'a> Fn(&'a T) -> &'a str + Send + Sync + 'static,
        encode: impl Fn(&T, &mut RecordBuilder) -> Result<(), EncodeError> + Send + Sync + 'static,
    ) -> Self {
        Self::of(PayloadType::PerMessage(Box::new(payload_type)), Box::new(encode))
    }

    fn of(payload_type: PayloadType<T>, encode: EncodeFn<T>) -> Self {
        Self { payload_type, encode, identity: None, on_error: OnEncodeError::default() }
    }

    /// What a tap does with a message that cannot be encoded or does not fit the limits.
    /// [`OnEncodeError::Deliver`] unless set.
    #[must_use]
    pub fn on_error(mut self, on_error: OnEncodeError) -> Self {
        self.on_error = on_error;
        self
    }

    /// Names the logical message (an event or command id), so that one message that passes several
    /// taps, on any threads, becomes one entry. See `dedup_window` in
    /// [`WriterConfig`](crate::engine::WriterConfig).
    #[must_use]
    pub fn identified_by(
        mut self,
        identity: impl Fn(&T) -> Option<Uuid> + Send + Sync + 'static,
    ) -> Self {
        self.identity = Some(Box::new(identity));
        self
    }
}

/// An encoder with its message type erased.
pub(super) trait ErasedEncoder: Send + Sync {
    /// `None` if each message carries its own.
    fn fixed_payload_type(&self) -> Option<&str>;
    fn payload_type<'a>(&'a self, message: &'a dyn Any) -> &'a str;
    fn encode(&self, message: &dyn Any, record: &mut RecordBuilder) -> Result<(), EncodeError>;
    fn identity(&self, message: &dyn Any) -> Option<Uuid>;
    fn on_error(&self) -> OnEncodeError;
}

impl<T: 'static> ErasedEncoder for Encoder<T> {
    fn fixed_payload_type(&self) -> Option<&str> {
        match &self.payload_type {
            PayloadType::Fixed(payload_type) => Some(payload_type),
            PayloadType::PerMessage(_) => None,
        }
    }

    fn payload_type<'a>(&'a self, message: &'a dyn Any) -> &'a str {
        match &self.payload_type {
            PayloadType::Fixed(payload_type) => payload_type,
            PayloadType::PerMessage(payload_type) => payload_type(concrete(message)),
        }
    }

    fn encode(&self, message: &dyn Any, record: &mut RecordBuilder) -> Result<(), EncodeError> {
        (self.encode)(concrete(message), record)
    }

    #[inline]
    fn identity(&self, message: &dyn Any) -> Option<Uuid> {
        self.identity.as_ref()?(concrete(message))
    }

    fn on_error(&self) -> OnEncodeError {
        self.on_error
    }
}

fn concrete<T: 'static>(message: &dyn Any) -> &T {
    message.downcast_ref().expect("the registry finds encoders by the message's own type")
}
