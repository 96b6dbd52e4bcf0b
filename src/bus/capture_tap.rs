use std::any::Any;

use uuid::Uuid;

use super::{BusTap, DATA_RESPONSE_TOPIC, TapRefusal};
use crate::capture::BusCaptureAdapter;

/// The topic of a sent message is its endpoint; of a response, the data-response topic.
impl BusTap for BusCaptureAdapter {
    fn on_publish(&mut self, topic: &str, message: &dyn Any) -> Result<(), TapRefusal> {
        self.tapped(topic, message)
    }

    fn on_send(&mut self, endpoint: &str, message: &dyn Any) -> Result<(), TapRefusal> {
        self.tapped(endpoint, message)
    }

    fn on_response(&mut self, _correlation_id: Uuid, message: &dyn Any) -> Result<(), TapRefusal> {
        self.tapped(DATA_RESPONSE_TOPIC, message)
    }
}

impl BusCaptureAdapter {
    fn tapped(&mut self, topic: &str, message: &dyn Any) -> Result<(), TapRefusal> {
        self.capture_any(topic, message).map(|_captured| ()).map_err(TapRefusal::new)
    }
}
