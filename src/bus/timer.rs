use std::sync::Arc;

use uuid::Uuid;

use crate::model::UnixNanos;

/// What comes before a timer's name in its endpoint.
pub(super) const TIMER_PREFIX: &str = "timer.";

/// A timer has fired: the message that reaches the timer's handler, if it has one.
///
/// It can be cloned without allocating, and sent from the thread that keeps the time to the thread
/// of the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeEvent {
    /// The timer's name; its endpoint is `timer.<name>`.
    pub name: Arc<str>,
    /// Identity of this one event.
    pub event_id: Uuid,
    /// When the timer was due.
    pub ts_event: UnixNanos,
    /// When this event was made.
    pub ts_init: UnixNanos,
}
