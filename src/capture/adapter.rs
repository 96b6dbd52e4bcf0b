use std::any::Any;
use std::sync::Arc;

use super::recent_captures::RecentCaptures;
use super::registry::Listing;
use super::{CaptureCounts, CaptureError, EncodeError, EncoderRegistry, OnEncodeError};
use crate::engine::{Durability, Producer, SubmitError};
use crate::format::RecordBuilder;
use crate::markers::{MarkerTap, Observed};
use crate::model::{Captured, Headers, UnixNanos};

/// Captures messages of one thread: looks up the encoder, encodes into the producer's record,
/// pushes.
///
/// Installed as the tap of a [`MessageBus`](crate::bus::MessageBus), or called directly.
#[derive(Debug)]
pub struct BusCaptureAdapter {
    registry: Arc<EncoderRegistry>,
    producer: Producer,
    /// `None` where repeats are not recognised.
    recent: Option<RecentCaptures>,
    /// Where market data is marked.
    markers: Option<MarkerTap>,
    /// Set by the first refused push; from then on the ring is not touched.
    stopped: bool,
    counts: Arc<CaptureCounts>,
}

/// What is known about a message beside what it contains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CaptureContext {
    /// Correlation and causation ids. An id that is `None` is left to the encoder.
    pub headers: Headers,
    /// The message's domain time; `None` leaves it to the encoder.
    pub ts_init: Option<UnixNanos>,
}

impl CaptureContext {
    fn apply(&self, record: &mut RecordBuilder) {
        if let Some(ts_init) = self.ts_init {
            record.set_ts_init(ts_init);
        }
        if self.headers != Headers::default() {
            let Headers { correlation_id, causation_id } = record.headers();
            record.set_headers(Headers {
                correlation_id: self.headers.correlation_id.or(correlation_id),
                causation_id: self.headers.causation_id.or(causation_id),
            });
        }
    }
}

impl BusCaptureAdapter {
    /// An adapter that pushes through `producer`.
    pub fn new(registry: Arc<EncoderRegistry>, producer: Producer) -> Self {
        let recent = RecentCaptures::new(producer.dedup_window());
        let counts = Arc::default();
        Self { registry, producer, recent, markers: None, stopped: false, counts }
    }

    /// The same, that marks market data too.
    #[must_use]
    pub(crate) fn marking(self, markers: MarkerTap) -> Self {
        Self { markers: Some(markers), ..self }
    }

    /// Captures `message`, and says what was done with it. A captured message will be in the log
    /// unless the run halts.
    ///
    /// Blocks while the producer's ring is full; and, where it races with the run's close, until
    /// what was accepted is durable.
    pub fn capture<T: 'static>(
        &mut self,
        topic: &str,
        message: &T,
    ) -> Result<Captured, CaptureError> {
        self.capture_any(topic, message)
    }

    /// As [`capture`](Self::capture), for a message whose type is erased.
    pub fn capture_any(
        &mut self,
        topic: &str,
        message: &dyn Any,
    ) -> Result<Captured, CaptureError> {
        self.capture_in(topic, message, None)
    }

    /// As [`capture`](Self::capture), with what the caller knows about the message beside it. So a
    /// node can trace cause and effect, and set the domain time, of messages whose encoder does
    /// not. What `context` gives takes the place of what the encoder sets.
    ///
    /// ```
    /// # use tapline::capture::{BusCaptureAdapter, CaptureContext, CaptureError};
    /// # use tapline::Headers;
    /// # fn reply(tap: &mut BusCaptureAdapter, request_id: uuid::Uuid) -> Result<(), CaptureError> {
    /// let headers = Headers { correlation_id: Some(request_id), causation_id: None };
    /// tap.capture_with("replies", &"done", CaptureContext { headers, ts_init: None })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn capture_with<T: 'static>(
        &mut self,
        topic: &str,
        message: &T,
        context: CaptureContext,
    ) -> Result<Captured, CaptureError> {
        self.capture_in(topic, message, Some(&context))
    }

    #[inline]
    fn capture_in(
        &mut self,
        topic: &str,
        message: &dyn Any,
        context: Option<&CaptureContext>,
    ) -> Result<Captured, CaptureError> {
        if self.stopped {
            return self.capture_after_refusal(topic, message);
        }
        // Ahead of the entry that the message may become: whatever comes of it has been seen.
        if let Some(markers) = &mut self.markers
            && markers.observe(message, &mut self.producer) == Observed::OnlyData
        {
            return Ok(Captured::NotListed);
        }
        let (encoder, message) = match self.registry.find(message) {
            Listing::Encoder(encoder, message) => (encoder, message),
            Listing::Passed => return Ok(Captured::NotListed),
            Listing::Refused => return Err(not_listed(topic)),
        };
        let id = encoder.identity(message);
        let identity = id.map(|id| (message.type_id(), id));
        if let Some((recent, identity)) = self.recent.as_ref().zip(identity)
            && let Some(ticket) = recent.find(identity)
        {
            self.counts.add_repeated();
            return Ok(Captured::Repeated(ticket));
        }
        let payload_type = encoder.payload_type(message);
        let record = match self.producer.begin() {
            Ok(record) => record,
            Err(error) => {
                return Err(refused(&mut self.stopped, &self.producer, payload_type, error));
            }
        };
        if let Err(source) = encoder.encode(message, record) {
            return Err(not_encoded(&self.counts, payload_type, encoder.on_error(), source));
        }
        if let Some(context) = context {
            context.apply(record);
        }
        if let Some(id) = id {
            record.set_identity(id);
        }
        let payload_bytes = record.payload_len() as u64;
        match self.producer.submit_built(topic, payload_type) {
            Ok(ticket) => {
                self.counts.add_captured(payload_bytes);
                if let Some((recent, identity)) = self.recent.as_mut().zip(identity) {
                    recent.add(identity, ticket);
                }
                Ok(Captured::Logged(ticket))
            }
            Err(error) if error.is_final() => {
                Err(refused(&mut self.stopped, &self.producer, payload_type, error))
            }
            Err(error) => {
                let source = EncodeError::new(error);
                Err(not_encoded(&self.counts, payload_type, encoder.on_error(), source))
            }
        }
    }

    /// What a message meets after a final refusal. The run may have been closing then, and have
    /// ended since; what is not recorded in any case is no reason to halt.
    #[cold]
    fn capture_after_refusal(
        &self,
        topic: &str,
        message: &dyn Any,
    ) -> Result<Captured, CaptureError> {
        let is_listed = match self.registry.find(message) {
            Listing::Encoder(..) => true,
            Listing::Passed => false,
            Listing::Refused => return Err(not_listed(topic)),
        };
        if is_listed {
            self.producer.halt_if_ended();
        }
        match self.producer.halt_given() {
            Some(reason) => Err(CaptureError::Halted { reason }),
            None if is_listed => Err(CaptureError::Closing),
            None => Ok(Captured::NotListed),
        }
    }

    /// What this adapter has done so far, to be read while it is at work.
    pub fn counts(&self) -> Arc<CaptureCounts> {
        Arc::clone(&self.counts)
    }

    /// Tells, from any thread, how far the captured messages are durable.
    pub fn durability(&self) -> Durability {
        self.producer.durability()
    }
}

#[cold]
fn not_listed(topic: &str) -> CaptureError {
    CaptureError::NotListed { topic: topic.to_owned() }
}

/// Counts a message that could not be encoded.
#[cold]
fn not_encoded(
    counts: &CaptureCounts,
    payload_type: &str,
    policy: OnEncodeError,
    source: EncodeError,
) -> CaptureError {
    counts.add_encode_error();
    CaptureError::Encode { payload_type: payload_type.to_owned(), policy, source }
}

/// A final refusal: stops this adapter, and halts the run, unless it is halted already or still
/// closing. A run that closes in order must not be halted by a tap that was cleared too late.
#[cold]
fn refused(
    stopped: &mut bool,
    producer: &Producer,
    payload_type: &str,
    source: SubmitError,
) -> CaptureError {
    *stopped = true;
    // A message that reaches the tap of a closed run would go unrecorded: the node must not go on.
    producer.halt_if_ended();
    CaptureError::Submit { payload_type: payload_type.to_owned(), source }
}
