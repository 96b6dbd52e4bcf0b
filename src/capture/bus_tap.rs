use std::any::Any;

use uuid::Uuid;

use super::BusCaptureAdapter;
use crate::bus::{BusTap, MessageBus, TapRefusal};
use crate::model::Captured;

/// The topic of a sent message is its endpoint; of a response, the data-response topic.
impl BusTap for BusCaptureAdapter {
    fn on_publish(&mut self, topic: &str, message: &dyn Any) -> Result<Captured, TapRefusal> {
        self.capture_any(topic, message).map_err(TapRefusal::new)
    }

    fn on_send(&mut self, endpoint: &str, message: &dyn Any) -> Result<Captured, TapRefusal> {
        self.capture_any(endpoint, message).map_err(TapRefusal::new)
    }

    fn on_response(
        &mut self,
        _correlation_id: Uuid,
        message: &dyn Any,
    ) -> Result<Captured, TapRefusal> {
        self.capture_any(MessageBus::RESPONSE_TOPIC, message).map_err(TapRefusal::new)
    }
}
