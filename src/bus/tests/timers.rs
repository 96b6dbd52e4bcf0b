use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use uuid::Uuid;

use super::{Bad, tapped_bus};
use crate::bus::{BusError, BusTap, MessageBus, TapRefusal, TimeEvent};
use crate::model::{Captured, UnixNanos};

fn event(name: &str) -> TimeEvent {
    TimeEvent {
        name: name.into(),
        event_id: Uuid::from_u128(1),
        ts_event: UnixNanos::new(2),
        ts_init: UnixNanos::new(3),
    }
}

#[test]
fn a_fired_timer_passes_the_tap_and_reaches_its_handler() {
    let (bus, log) = tapped_bus();
    let handler_log = log.clone();
    bus.set_timer_handler("bar", move |event| {
        handler_log.note("handler", &"ran");
        assert_eq!((&*event.name, event.ts_event), ("bar", UnixNanos::new(2)));
    })
    .unwrap();
    bus.set_timer_handler("other", |_| panic!("not fired")).unwrap();
    bus.fire(&event("bar")).unwrap();
    assert_eq!(log.take(), ["tap send timer.bar: ?", "handler: ran"]);
}

#[test]
fn a_timer_without_a_handler_passes_the_tap() {
    let (bus, log) = tapped_bus();
    for name in ["bar", "a longer name", ""] {
        bus.fire(&event(name)).unwrap();
    }
    let seen = ["tap send timer.bar: ?", "tap send timer.a longer name: ?", "tap send timer.: ?"];
    assert_eq!(log.take(), seen);
    bus.set_timer_handler("bar", |_| ()).unwrap();
    assert!(bus.clear_timer_handler("bar"));
    bus.fire(&event("bar")).unwrap();
    assert_eq!(log.take(), seen[..1]);
    // A message that is sent needs a handler, also at the endpoint of a timer.
    let unknown = bus.send("timer.bar", &event("bar"));
    assert!(
        matches!(unknown, Err(BusError::UnknownEndpoint { endpoint }) if endpoint == "timer.bar")
    );
    bus.clear_tap();
    assert_eq!(bus.fire(&event("bar")).unwrap(), Captured::Untapped);
    assert_eq!(log.take(), Vec::<String>::new());
}

#[test]
fn a_timer_has_one_handler() {
    let bus = MessageBus::new();
    bus.set_timer_handler("bar", |_| ()).unwrap();
    let second = bus.set_timer_handler("bar", |_| ());
    assert!(matches!(second, Err(BusError::EndpointTaken { endpoint }) if endpoint == "timer.bar"));
    assert!(bus.clear_timer_handler("bar"));
    assert!(!bus.clear_timer_handler("bar"));
}

#[test]
fn a_timer_is_an_endpoint() {
    let bus = MessageBus::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let typed = Rc::clone(&seen);
    bus.set_timer_handler("a", move |event| typed.borrow_mut().push(event.name.to_string()))
        .unwrap();
    bus.send("timer.a", &event("sent")).unwrap();
    bus.send("timer.a", &"not a time event").unwrap();
    assert_eq!(seen.take(), ["sent"]);

    assert!(matches!(bus.register("timer.a", |_| ()), Err(BusError::EndpointTaken { .. })));
    assert!(bus.deregister("timer.a"));
    let untyped = Rc::clone(&seen);
    bus.register("timer.a", move |message| {
        untyped.borrow_mut().push(format!("any {}", message.is::<TimeEvent>()));
    })
    .unwrap();
    bus.fire(&event("a")).unwrap();
    assert_eq!(seen.take(), ["any true"]);
    assert!(bus.clear_timer_handler("a"));
    assert!(matches!(bus.send("timer.a", &()), Err(BusError::UnknownEndpoint { .. })));
}

#[test]
fn no_handler_sees_a_refused_timer() {
    struct RefuseAll;
    impl BusTap for RefuseAll {
        fn on_publish(&mut self, _: &str, _: &dyn Any) -> Result<Captured, TapRefusal> {
            Err(TapRefusal::new(Bad))
        }
        fn on_send(&mut self, _: &str, _: &dyn Any) -> Result<Captured, TapRefusal> {
            Err(TapRefusal::new(Bad))
        }
        fn on_response(&mut self, _: Uuid, _: &dyn Any) -> Result<Captured, TapRefusal> {
            Err(TapRefusal::new(Bad))
        }
    }
    let bus = MessageBus::new();
    bus.set_timer_handler("bar", |_| panic!("seen although refused")).unwrap();
    bus.set_tap(Box::new(RefuseAll));
    assert!(matches!(bus.fire(&event("bar")), Err(BusError::Refused { .. })));
    assert!(matches!(bus.fire(&event("unhandled")), Err(BusError::Refused { .. })));
}
