use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use uuid::Uuid;

use super::{Bad, Log, LogTap, OnDrop, is_bad, tapped_bus};
use crate::bus::{BusError, BusTap, MessageBus, TapRefusal};
use crate::model::{Captured, error_chain};

/// Does the same for every message.
struct TapFn<F>(F);

impl<F: FnMut() -> Result<Captured, TapRefusal>> BusTap for TapFn<F> {
    fn on_publish(&mut self, _topic: &str, _message: &dyn Any) -> Result<Captured, TapRefusal> {
        (self.0)()
    }
    fn on_send(&mut self, _endpoint: &str, _message: &dyn Any) -> Result<Captured, TapRefusal> {
        (self.0)()
    }
    fn on_response(&mut self, _id: Uuid, _message: &dyn Any) -> Result<Captured, TapRefusal> {
        (self.0)()
    }
}

#[test]
fn the_tap_sees_a_message_before_any_handler_does() {
    let (bus, log) = tapped_bus();
    bus.subscribe("a*", log.handler("first"));
    bus.subscribe("*", log.handler("second"));
    bus.register("e", log.handler("e")).unwrap();
    bus.publish("ab", &"m1").unwrap();
    bus.send("e", &"m2").unwrap();
    let expected = ["tap publish ab: m1", "first: m1", "second: m1", "tap send e: m2", "e: m2"];
    assert_eq!(log.take(), expected);
}

#[test]
fn the_tap_sees_what_nobody_subscribed_to() {
    let (bus, log) = tapped_bus();
    assert_eq!(bus.publish("a", &"m").unwrap().handlers, 0);
    assert_eq!(log.take(), ["tap publish a: m"]);
}

#[test]
fn no_handler_sees_a_refused_message() {
    let (bus, log) = tapped_bus();
    bus.subscribe("*", log.handler("subscriber"));
    bus.register("e", log.handler("e")).unwrap();
    assert!(matches!(bus.publish("a", &"bad"), Err(BusError::Refused { .. })));
    assert!(matches!(bus.send("e", &"bad"), Err(BusError::Refused { .. })));
    assert_eq!(log.take(), ["tap publish a: bad", "tap send e: bad"]);
    bus.publish("a", &"good").unwrap();
    assert_eq!(log.take(), ["tap publish a: good", "subscriber: good"]);
}

#[test]
fn a_refusal_keeps_its_cause() {
    let (bus, _) = tapped_bus();
    let error = bus.publish("a", &"bad").unwrap_err();
    assert!(is_bad(&error));
    assert_eq!(error_chain(&error), "the tap refused the message: the message is bad");
    let BusError::Refused { source } = error else { panic!("{error}") };
    assert_eq!(source.cause().downcast_ref(), Some(&Bad));
}

#[test]
fn the_tap_does_not_see_what_has_no_recipient() {
    let (bus, log) = tapped_bus();
    let id = Uuid::from_u128(1);
    assert!(matches!(bus.send("e", &"m"), Err(BusError::UnknownEndpoint { .. })));
    assert!(matches!(bus.request("e", id, &"m", |_| ()), Err(BusError::UnknownEndpoint { .. })));
    assert!(matches!(bus.respond(id, &"m"), Err(BusError::UnknownCorrelation { .. })));
    assert_eq!(log.take(), Vec::<String>::new());
}

#[test]
fn installing_replaces_and_clearing_removes() {
    let (bus, log) = tapped_bus();
    bus.subscribe("a", log.handler("a"));
    let second = Box::new(LogTap { name: "second", log: log.clone() });
    let mut first = bus.set_tap(second).expect("the first was installed");
    bus.publish("a", &"m1").unwrap();
    assert_eq!(log.take(), ["second publish a: m1", "a: m1"]);
    assert!(bus.clear_tap().is_some());
    assert!(bus.clear_tap().is_none());
    bus.publish("a", &"bad").unwrap();
    assert_eq!(log.take(), ["a: bad"], "nothing is captured, nothing refused");
    first.on_publish("b", &"m2").unwrap();
    assert_eq!(log.take(), ["tap publish b: m2"], "the returned tap is the first one");
}

#[test]
fn a_handler_may_clear_the_tap() {
    let (bus, log) = tapped_bus();
    let weak = Rc::downgrade(&bus);
    bus.subscribe("stop", move |_| assert!(weak.upgrade().unwrap().clear_tap().is_some()));
    bus.publish("stop", &"m1").unwrap();
    bus.publish("a", &"m2").unwrap();
    assert_eq!(log.take(), ["tap publish stop: m1"]);
}

#[test]
fn a_running_tap_gets_an_error_for_a_message_of_its_own() {
    let (bus, log) = (Rc::new(MessageBus::new()), Log::default());
    let id = Uuid::from_u128(1);
    bus.subscribe("*", log.handler("subscriber"));
    bus.register("e", log.handler("e")).unwrap();
    bus.request("e", id, &"asked", |_| ()).unwrap();
    let weak = Rc::downgrade(&bus);
    bus.set_tap(Box::new(TapFn(move || {
        let bus = weak.upgrade().unwrap();
        let results = [
            bus.publish("b", &"own").map(|published| published.captured),
            bus.send("e", &"own"),
            bus.respond(id, &"own"),
            bus.request("e", Uuid::from_u128(2), &"own", |_| ()),
        ];
        for result in results {
            assert!(matches!(result, Err(BusError::TapReentered)), "{result:?}");
        }
        // What brings no message is allowed.
        assert!(bus.unsubscribe(bus.subscribe("b", |_| ())));
        assert!(format!("{bus:?}").contains("tapped: true"));
        Ok(Captured::NotListed)
    })));
    log.take();
    bus.publish("a", &"m1").unwrap();
    bus.send("e", &"m2").unwrap();
    assert_eq!(log.take(), ["subscriber: m1", "e: m2"]);
    assert!(!bus.cancel_request(Uuid::from_u128(2)), "the failed request is not pending");
    assert!(bus.cancel_request(id), "the one before is");
}

#[test]
fn a_tap_that_replaces_itself_decides_about_its_message_and_is_dropped() {
    let (bus, log) = (Rc::new(MessageBus::new()), Log::default());
    bus.subscribe("*", log.handler("subscriber"));
    let dropped = Rc::new(Cell::new(false));
    let guard = OnDrop({
        let (bus, dropped) = (Rc::downgrade(&bus), Rc::clone(&dropped));
        move || {
            dropped.set(true);
            // The bus is in order when a tap is dropped.
            bus.upgrade().unwrap().publish("dropped", &"m").unwrap();
        }
    });
    let (weak, tap_log) = (Rc::downgrade(&bus), log.clone());
    bus.set_tap(Box::new(TapFn(move || {
        let _ = &guard;
        let bus = weak.upgrade().unwrap();
        assert!(bus.set_tap(Box::new(LogTap { name: "unused", log: tap_log.clone() })).is_none());
        let next = Box::new(LogTap { name: "next", log: tap_log.clone() });
        assert!(bus.set_tap(next).is_some(), "the one that was never used comes back");
        assert!(matches!(bus.publish("own", &"m"), Err(BusError::TapReentered)));
        Err(TapRefusal::new("last words"))
    })));
    assert!(matches!(bus.publish("a", &"m1"), Err(BusError::Refused { .. })));
    assert!(dropped.get());
    bus.publish("a", &"m2").unwrap();
    let expected =
        ["next publish dropped: m", "subscriber: m", "next publish a: m2", "subscriber: m2"];
    assert_eq!(log.take(), expected);
}

#[test]
fn a_tap_that_clears_itself_is_gone_afterwards() {
    let bus = Rc::new(MessageBus::new());
    let weak = Rc::downgrade(&bus);
    bus.set_tap(Box::new(TapFn(move || {
        assert!(weak.upgrade().unwrap().clear_tap().is_none());
        Err(TapRefusal::new("once"))
    })));
    assert!(bus.publish("a", &()).is_err());
    bus.publish("a", &()).unwrap();
    assert!(format!("{bus:?}").contains("tapped: false"));
}

#[test]
fn a_panicking_tap_lets_nothing_through_and_stays_installed() {
    let (bus, log) = (MessageBus::new(), Log::default());
    bus.subscribe("a", log.handler("a"));
    bus.set_tap(Box::new(TapFn(|| panic!("on purpose"))));
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| bus.publish("a", &"m"))).is_err());
    }
    assert_eq!(log.take(), Vec::<String>::new());
    assert!(bus.clear_tap().is_some());
}

/// Ending one recording must not untap a bus that another one taps by now.
#[test]
fn only_the_named_tap_is_removed() {
    let (bus, log) = tapped_bus();
    let first = bus.tap_id().expect("tapped");
    bus.set_tap(Box::new(LogTap { name: "second", log: log.clone() }));
    let second = bus.tap_id().expect("tapped");
    assert_ne!(first, second);
    assert!(bus.remove_tap(first).is_none(), "it is gone already");
    bus.publish("a", &"m").unwrap();
    assert_eq!(log.take(), ["second publish a: m"]);
    assert!(bus.remove_tap(second).is_some());
    assert_eq!(bus.tap_id(), None);
    assert_eq!(bus.publish("a", &"m").unwrap().captured, Captured::Untapped);
}
