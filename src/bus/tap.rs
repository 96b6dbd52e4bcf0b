use std::any::Any;
use std::error::Error;

use uuid::Uuid;

use crate::model::Captured;
use crate::sync::{AtomicU64, Ordering};

/// Sees every message before any handler does, and decides whether handlers may see it. It answers
/// what it did with the message, which the bus hands to the caller.
///
/// It runs on the bus's thread, inside the call that brings the message, so a tap that waits makes
/// the caller wait. It sees messages in the order they are brought, also those brought by handlers,
/// and messages nobody subscribed to.
///
/// While it runs, the bus takes no messages from it: they fail with
/// [`BusError::TapReentered`](super::BusError::TapReentered). When it panics, no handler runs and
/// it stays installed.
pub trait BusTap {
    /// A message is about to be published on `topic`.
    fn on_publish(&mut self, topic: &str, message: &dyn Any) -> Result<Captured, TapRefusal>;

    /// A command, request or fired timer is about to reach `endpoint`, which has a handler. That of
    /// a timer may have none.
    fn on_send(&mut self, endpoint: &str, message: &dyn Any) -> Result<Captured, TapRefusal>;

    /// A response is about to reach the pending request with `correlation_id`.
    fn on_response(
        &mut self,
        correlation_id: Uuid,
        message: &dyn Any,
    ) -> Result<Captured, TapRefusal>;
}

/// Why a tap did not accept a message: its own error, kept as the source.
#[derive(Debug, thiserror::Error)]
#[error("the tap refused the message")]
pub struct TapRefusal(#[from] Box<dyn Error + Send + Sync>);

impl TapRefusal {
    /// Wraps the cause, an error or a text.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }

    /// The cause; its `downcast_ref` gives the concrete error back.
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

/// Names one installation of a tap on a bus. No two are alike in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TapId(u64);

impl TapId {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: only the number matters.
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
