//! The message bus of one thread, and the tap that sees every message before any handler does.
//!
//! **No handler can see a message the tap has not accepted.** [`MessageBus`] shows each message to
//! its [`BusTap`] first; when the tap refuses, no handler runs and the caller gets
//! [`BusError::Refused`].
//!
//! | call | reaches | the tap sees |
//! |---|---|---|
//! | [`publish`](MessageBus::publish) | every subscriber whose pattern matches the topic | `on_publish` |
//! | [`send`](MessageBus::send) | the one handler of the endpoint | `on_send` |
//! | [`request`](MessageBus::request) | the one handler of the endpoint | `on_send` |
//! | [`respond`](MessageBus::respond) | the one who asked, found by correlation id | `on_response` |
//! | [`fire`](MessageBus::fire) | the handler of endpoint `timer.<name>` | `on_send` |
//!
//! A message is any `'static` value, passed by reference. It is never cloned, queued or sent to
//! another thread: when a call returns, every handler it reached has returned.
//!
//! ```
//! use std::any::Any;
//! use std::rc::Rc;
//!
//! use tapline::Captured;
//! use tapline::bus::{BusError, BusTap, MessageBus, TapRefusal};
//! use uuid::Uuid;
//!
//! struct OnlyText;
//!
//! impl BusTap for OnlyText {
//!     fn on_publish(&mut self, _topic: &str, message: &dyn Any) -> Result<Captured, TapRefusal> {
//!         if message.is::<&str>() { Ok(Captured::NotListed) } else { Err(TapRefusal::new("not text")) }
//!     }
//!     fn on_send(&mut self, _endpoint: &str, _message: &dyn Any) -> Result<Captured, TapRefusal> {
//!         Ok(Captured::NotListed)
//!     }
//!     fn on_response(&mut self, _id: Uuid, _message: &dyn Any) -> Result<Captured, TapRefusal> {
//!         Ok(Captured::NotListed)
//!     }
//! }
//!
//! let bus = Rc::new(MessageBus::new());
//! bus.set_tap(Box::new(OnlyText));
//!
//! // A handler that uses the bus holds it weakly, since the bus holds the handler.
//! let weak = Rc::downgrade(&bus);
//! bus.register("journal", |line| assert_eq!(line.downcast_ref(), Some(&"filled")))?;
//! bus.subscribe("orders.*", move |event| {
//!     if let (Some(bus), Some(text)) = (weak.upgrade(), event.downcast_ref::<&str>()) {
//!         bus.send("journal", text).expect("the journal is registered");
//!     }
//! });
//!
//! assert_eq!(bus.publish("orders.ABC", &"filled")?.handlers, 1);
//! assert!(matches!(bus.publish("orders.ABC", &7), Err(BusError::Refused { .. })));
//! # Ok::<(), BusError>(())
//! ```

mod endpoints;
mod error;
mod message_bus;
mod pattern;
mod subscriptions;
mod tap;
mod tap_slot;
mod timer;

#[cfg(test)]
mod tests;

pub use error::BusError;
pub use message_bus::{MessageBus, Published};
internal!(pattern::topic_matches);
pub use subscriptions::SubscriptionId;
pub use tap::{BusTap, TapId, TapRefusal};
pub use timer::TimeEvent;

use std::any::Any;
use std::rc::Rc;

/// Shared, so that it can be called without holding on to the table it is in.
type Handler = Rc<dyn Fn(&dyn Any)>;
