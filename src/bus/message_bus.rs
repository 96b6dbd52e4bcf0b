use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::rc::Rc;

use uuid::Uuid;

use super::endpoints::Endpoints;
use super::subscriptions::Subscriptions;
use super::tap_slot::{Installed, TapSlot};
use super::timer::TIMER_PREFIX;
use super::{BusError, BusTap, Handler, SubscriptionId, TapId, TimeEvent};
use crate::model::{Captured, NotCaptured, Ticket};

type ResponseHandler = Box<dyn FnOnce(&dyn Any)>;

/// Carries messages between the parts of a node that run on one thread.
///
/// **Threads.** One bus per thread: it is neither `Send` nor `Sync`, and takes no lock.
///
/// ```compile_fail
/// fn moves_to_another_thread<T: Send>() {}
/// moves_to_another_thread::<tapline::bus::MessageBus>();
/// ```
///
/// **Order.** The tap sees a message before any handler does. Handlers run in the order they
/// subscribed. A message that a handler brings is delivered in full before the handler goes on, so
/// before the remaining handlers see the first message; the tap's order is the order in which
/// messages are brought.
///
/// **Handlers** may do anything to the bus, including what would call them again: no table of the
/// bus is borrowed while one runs. To bound the depth is theirs. A handler that owns an
/// `Rc<MessageBus>` is a cycle that keeps both alive until it is unsubscribed or deregistered; a
/// `Weak` is not.
///
/// **Blocking.** The bus itself never waits; a call takes as long as the tap and the handlers do.
///
/// **Panics** of a handler or tap pass through to the caller. Later handlers of that message do
/// not run; the bus remains usable, its tap installed.
#[derive(Default)]
pub struct MessageBus {
    tap: TapSlot,
    // Tap, handlers and what their captures do on drop are code that may use the bus. So none of it
    // may run while a table is borrowed: handlers are taken or cloned out first.
    subscriptions: RefCell<Subscriptions>,
    endpoints: RefCell<Endpoints>,
    pending: RefCell<HashMap<Uuid, ResponseHandler, foldhash::fast::RandomState>>,
    /// Memory for the endpoint of a timer without a handler.
    timer_endpoint: Cell<String>,
}

/// What became of a published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// How many handlers it reached.
    pub handlers: usize,
    /// What the tap did with it.
    pub captured: Captured,
}

impl Published {
    /// The ticket to wait for before acting on the message, or why there will never be one.
    pub const fn ticket(self) -> Result<Ticket, NotCaptured> {
        self.captured.ticket()
    }
}

impl MessageBus {
    /// The topic under which a tap records responses, which have a correlation id but no topic.
    pub const RESPONSE_TOPIC: &str = "data.response";

    /// A bus without tap, subscribers and endpoints.
    pub fn new() -> Self {
        Self::default()
    }

    /// Installs `tap` in place of the one there is, which is returned.
    ///
    /// A tap that replaces itself while it looks at a message still decides about that message and
    /// is then dropped instead of returned.
    pub fn set_tap(&self, tap: Box<dyn BusTap>) -> Option<Box<dyn BusTap>> {
        self.tap.replace(Some(Installed::new(tap))).map(Installed::into_tap)
    }

    /// Which installation the tap is; `None` without a tap.
    pub fn tap_id(&self) -> Option<TapId> {
        self.tap.id()
    }

    /// Removes the tap if it is the installation `id`, and returns it as
    /// [`set_tap`](Self::set_tap) does. Another tap stays.
    pub fn remove_tap(&self, id: TapId) -> Option<Box<dyn BusTap>> {
        if self.tap_id() == Some(id) { self.clear_tap() } else { None }
    }

    /// Removes the tap and returns it, as [`set_tap`](Self::set_tap) does. From now on messages are
    /// delivered without having been seen by anyone.
    pub fn clear_tap(&self) -> Option<Box<dyn BusTap>> {
        self.tap.replace(None).map(Installed::into_tap)
    }

    /// Subscribes `handler` to every topic that `pattern` matches, now and later: `*` stands for
    /// any run of characters, also none, and `?` for exactly one.
    ///
    /// Patterns may overlap, and a handler subscribed twice is called twice. A publish whose
    /// handlers are being called does not reach it.
    pub fn subscribe(&self, pattern: &str, handler: impl Fn(&dyn Any) + 'static) -> SubscriptionId {
        self.subscriptions.borrow_mut().add(pattern, Rc::new(handler))
    }

    /// Ends a subscription of this bus; says whether there was one.
    ///
    /// A publish in progress has its list of handlers and may still call this one.
    pub fn unsubscribe(&self, id: SubscriptionId) -> bool {
        // A statement of its own: what is removed is dropped after the borrow, here and below.
        let removed = self.subscriptions.borrow_mut().remove(id);
        removed.is_some()
    }

    /// Publishes `message` to every subscriber whose pattern matches `topic`, in the order they
    /// subscribed. Returns how many there were and what the tap did with the message.
    ///
    /// The tap sees the message also when nobody subscribed. Allocates only for a topic that is
    /// new, or whose subscribers have changed; a bus of more than 65 536 topics looks each up anew
    /// from time to time.
    pub fn publish(&self, topic: &str, message: &dyn Any) -> Result<Published, BusError> {
        let captured = self.tap.pass(|tap| tap.on_publish(topic, message))?;
        let handlers = self.subscriptions.borrow_mut().handlers(topic);
        for handler in handlers.iter() {
            handler(message);
        }
        Ok(Published { handlers: handlers.len(), captured })
    }

    /// Registers `handler` as the only one at `endpoint`.
    ///
    /// Fails with [`BusError::EndpointTaken`] when there is one already.
    pub fn register(
        &self,
        endpoint: &str,
        handler: impl Fn(&dyn Any) + 'static,
    ) -> Result<(), BusError> {
        if self.endpoints.borrow().get(endpoint).is_some() {
            return Err(BusError::EndpointTaken { endpoint: endpoint.to_owned() });
        }
        self.endpoints.borrow_mut().insert(endpoint, Rc::new(handler));
        Ok(())
    }

    /// Removes the handler at `endpoint`; says whether there was one. It may be running.
    pub fn deregister(&self, endpoint: &str) -> bool {
        let removed = self.endpoints.borrow_mut().remove(endpoint);
        removed.is_some()
    }

    /// Sends `message` to the handler at `endpoint`, and returns what the tap did with it.
    ///
    /// Fails with [`BusError::UnknownEndpoint`], before the tap has seen the message, when there is
    /// none.
    pub fn send(&self, endpoint: &str, message: &dyn Any) -> Result<Captured, BusError> {
        let handler = self.handler_at(endpoint)?;
        let captured = self.tap.pass(|tap| tap.on_send(endpoint, message))?;
        handler(message);
        Ok(captured)
    }

    /// Sends `message` to the handler at `endpoint`, and calls `on_response` when somebody
    /// [`respond`](Self::respond)s to `correlation_id`: within this call or any time later.
    ///
    /// On an error, `on_response` is dropped and nothing is pending that was not before. A request
    /// stays pending until its response, or [`cancel_request`](Self::cancel_request); also when tap
    /// or handler panics.
    pub fn request(
        &self,
        endpoint: &str,
        correlation_id: Uuid,
        message: &dyn Any,
        on_response: impl FnOnce(&dyn Any) + 'static,
    ) -> Result<Captured, BusError> {
        let handler = self.handler_at(endpoint)?;
        self.await_response(correlation_id, on_response)?;
        let captured = self.tap.pass(|tap| tap.on_send(endpoint, message));
        let captured = captured.inspect_err(|_refused| {
            self.cancel_request(correlation_id);
        })?;
        handler(message);
        Ok(captured)
    }

    /// Answers the pending request with `correlation_id`, which then is no longer pending.
    ///
    /// Fails with [`BusError::UnknownCorrelation`], before the tap has seen the message, when there
    /// is none. A response the tap refused leaves the request pending.
    pub fn respond(&self, correlation_id: Uuid, message: &dyn Any) -> Result<Captured, BusError> {
        if !self.is_pending(correlation_id) {
            return Err(BusError::UnknownCorrelation { correlation_id });
        }
        let captured = self.tap.pass(|tap| tap.on_response(correlation_id, message))?;
        let handler = self.pending.borrow_mut().remove(&correlation_id);
        // A running tap cannot respond, but it can cancel.
        let handler = handler.ok_or(BusError::UnknownCorrelation { correlation_id })?;
        handler(message);
        Ok(captured)
    }

    /// Gives up waiting for a response; says whether the request was pending.
    pub fn cancel_request(&self, correlation_id: Uuid) -> bool {
        let removed = self.pending.borrow_mut().remove(&correlation_id);
        removed.is_some()
    }

    /// Registers what happens when the timer `name` fires: `handler` becomes the only one at
    /// endpoint `timer.<name>`.
    ///
    /// Fails with [`BusError::EndpointTaken`] when the timer has a handler already. A message other
    /// than a [`TimeEvent`], sent to the endpoint by hand, does not reach `handler`.
    pub fn set_timer_handler(
        &self,
        name: &str,
        handler: impl Fn(&TimeEvent) + 'static,
    ) -> Result<(), BusError> {
        self.register(&timer_endpoint(name), move |message| {
            if let Some(event) = message.downcast_ref() {
                handler(event);
            }
        })
    }

    /// Removes the handler of the timer `name`; says whether there was one.
    pub fn clear_timer_handler(&self, name: &str) -> bool {
        self.deregister(&timer_endpoint(name))
    }

    /// Sends `event` to the handler of its timer at endpoint `timer.<name>`, and returns what the
    /// tap did with it.
    ///
    /// Unlike a message that is [sent](Self::send), a timer fires also when it has no handler: the
    /// tap sees it, as it sees what is published for nobody.
    pub fn fire(&self, event: &TimeEvent) -> Result<Captured, BusError> {
        let timer = self.endpoints.borrow().timer(&event.name).cloned();
        let Some(timer) = timer else { return self.fire_unhandled(event) };
        let captured = self.tap.pass(|tap| tap.on_send(&timer.endpoint, event))?;
        (timer.handler)(event);
        Ok(captured)
    }

    /// The endpoint of a timer that has no handler is written out each time, in the same memory.
    #[cold]
    fn fire_unhandled(&self, event: &TimeEvent) -> Result<Captured, BusError> {
        let mut endpoint = self.timer_endpoint.take();
        endpoint.clear();
        endpoint.push_str(TIMER_PREFIX);
        endpoint.push_str(&event.name);
        let captured = self.tap.pass(|tap| tap.on_send(&endpoint, event));
        self.timer_endpoint.set(endpoint);
        captured
    }

    fn handler_at(&self, endpoint: &str) -> Result<Handler, BusError> {
        let endpoints = self.endpoints.borrow();
        endpoints.get(endpoint).cloned().ok_or_else(|| unknown_endpoint(endpoint))
    }

    fn await_response(
        &self,
        correlation_id: Uuid,
        on_response: impl FnOnce(&dyn Any) + 'static,
    ) -> Result<(), BusError> {
        match self.pending.borrow_mut().entry(correlation_id) {
            Entry::Vacant(free) => free.insert(Box::new(on_response)),
            Entry::Occupied(_) => return Err(BusError::DuplicateCorrelation { correlation_id }),
        };
        Ok(())
    }

    fn is_pending(&self, correlation_id: Uuid) -> bool {
        self.pending.borrow().contains_key(&correlation_id)
    }
}

impl fmt::Debug for MessageBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageBus")
            .field("tapped", &self.tap_id().is_some())
            .field("subscriptions", &self.subscriptions.borrow().len())
            .field("endpoints", &self.endpoints.borrow().len())
            .field("pending_requests", &self.pending.borrow().len())
            .finish_non_exhaustive()
    }
}

fn timer_endpoint(name: &str) -> String {
    [TIMER_PREFIX, name].concat()
}

#[cold]
fn unknown_endpoint(endpoint: &str) -> BusError {
    BusError::UnknownEndpoint { endpoint: endpoint.to_owned() }
}
