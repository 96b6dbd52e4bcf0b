use std::any::Any;

use uuid::Uuid;

use super::{BusCaptureAdapter, CaptureError, OnEncodeError};
use crate::bus::{BusTap, MessageBus, TapRefusal};
use crate::model::{Captured, error_chain};

/// The topic of a sent message is its endpoint; of a response, the data-response topic.
impl BusTap for BusCaptureAdapter {
    fn on_publish(&mut self, topic: &str, message: &dyn Any) -> Result<Captured, TapRefusal> {
        self.pass(topic, message)
    }

    fn on_send(&mut self, endpoint: &str, message: &dyn Any) -> Result<Captured, TapRefusal> {
        self.pass(endpoint, message)
    }

    fn on_response(
        &mut self,
        _correlation_id: Uuid,
        message: &dyn Any,
    ) -> Result<Captured, TapRefusal> {
        self.pass(MessageBus::RESPONSE_TOPIC, message)
    }
}

impl BusCaptureAdapter {
    #[inline]
    fn pass(&mut self, topic: &str, message: &dyn Any) -> Result<Captured, TapRefusal> {
        self.capture_any(topic, message).or_else(|error| self.deliver_or_refuse(topic, error))
    }

    #[cold]
    fn deliver_or_refuse(&self, topic: &str, error: CaptureError) -> Result<Captured, TapRefusal> {
        let CaptureError::Encode { policy: OnEncodeError::Deliver, .. } = error else {
            return Err(TapRefusal::new(error));
        };
        // The caller does not see the error. A log line for each would be a flood.
        let count = self.counts().encode_errors();
        if count.is_power_of_two() {
            let error = error_chain(&error);
            tracing::warn!(topic, count, "delivered without being recorded: {error}");
        }
        Ok(Captured::NotEncoded)
    }
}
