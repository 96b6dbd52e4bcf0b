//! What the bus does, seen from outside. The tap and the handlers write into one log, so that a
//! test can state the order of everything that happened.

mod dispatch;
mod requests;
mod tap;
mod timers;

use std::any::Any;
use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;

use uuid::Uuid;

use super::{BusTap, MessageBus, TapRefusal};
use crate::model::Captured;

/// What happened, in order. Messages are `&'static str`s or anything else, shown as `?`.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn note(&self, who: &str, message: &dyn Any) {
        let text = message.downcast_ref::<&str>().unwrap_or(&"?");
        self.0.borrow_mut().push(format!("{who}: {text}"));
    }

    /// A handler that notes what it gets.
    fn handler(&self, who: &'static str) -> impl Fn(&dyn Any) + use<> {
        let log = self.clone();
        move |message| log.note(who, message)
    }

    /// What was noted since the last call.
    fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// Notes what it sees, and refuses the message `"bad"`.
struct LogTap {
    name: &'static str,
    log: Log,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message is bad")]
struct Bad;

impl LogTap {
    fn look(&self, at: &str, message: &dyn Any) -> Result<Captured, TapRefusal> {
        self.log.note(&format!("{} {at}", self.name), message);
        match message.downcast_ref::<&str>() {
            Some(&"bad") => Err(TapRefusal::new(Bad)),
            _ => Ok(Captured::NotListed),
        }
    }
}

impl BusTap for LogTap {
    fn on_publish(&mut self, topic: &str, message: &dyn Any) -> Result<Captured, TapRefusal> {
        self.look(&format!("publish {topic}"), message)
    }
    fn on_send(&mut self, endpoint: &str, message: &dyn Any) -> Result<Captured, TapRefusal> {
        self.look(&format!("send {endpoint}"), message)
    }
    fn on_response(&mut self, id: Uuid, message: &dyn Any) -> Result<Captured, TapRefusal> {
        self.look(&format!("respond {}", id.as_u128()), message)
    }
}

/// A bus with a [`LogTap`] named `tap`.
fn tapped_bus() -> (Rc<MessageBus>, Log) {
    let (bus, log) = (Rc::new(MessageBus::new()), Log::default());
    assert!(bus.set_tap(Box::new(LogTap { name: "tap", log: log.clone() })).is_none());
    (bus, log)
}

/// Whether `error`, or a source of it, is [`Bad`].
fn is_bad(error: &(dyn Error + 'static)) -> bool {
    error.is::<Bad>() || error.source().is_some_and(is_bad)
}

/// Runs code when it is dropped.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
