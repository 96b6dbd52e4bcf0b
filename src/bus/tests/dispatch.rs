use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use uuid::Uuid;

use super::{Log, OnDrop, tapped_bus};
use crate::bus::{BusError, MessageBus};

#[test]
fn publish_reaches_matching_subscribers_in_the_order_they_subscribed() {
    let (bus, log) = (MessageBus::new(), Log::default());
    bus.subscribe("orders.*", log.handler("orders"));
    bus.subscribe("quotes.*", log.handler("quotes"));
    bus.subscribe("*", log.handler("all"));
    bus.subscribe("orders.?", log.handler("one"));
    assert_eq!(bus.publish("orders.A", &"m1").unwrap().handlers, 3);
    assert_eq!(log.take(), ["orders: m1", "all: m1", "one: m1"]);
    assert_eq!(bus.publish("orders.AB", &"m2").unwrap().handlers, 2);
    assert_eq!(log.take(), ["orders: m2", "all: m2"]);
    assert_eq!(bus.publish("", &"m3").unwrap().handlers, 1);
    assert_eq!(log.take(), ["all: m3"]);
}

#[test]
fn changed_subscriptions_count_for_topics_published_before() {
    let (bus, log) = (MessageBus::new(), Log::default());
    assert_eq!(bus.publish("a", &"m0").unwrap().handlers, 0);
    let first = bus.subscribe("a", log.handler("first"));
    assert_eq!(bus.publish("a", &"m1").unwrap().handlers, 1);
    let second = bus.subscribe("?", log.handler("second"));
    assert_ne!(first, second);
    assert_eq!(bus.publish("a", &"m2").unwrap().handlers, 2);
    assert!(bus.unsubscribe(first));
    assert!(!bus.unsubscribe(first), "gone already");
    assert_eq!(bus.publish("a", &"m3").unwrap().handlers, 1);
    assert_eq!(log.take(), ["first: m1", "first: m2", "second: m2", "second: m3"]);
}

#[test]
fn send_reaches_the_one_handler_of_the_endpoint() {
    let (bus, log) = (MessageBus::new(), Log::default());
    bus.register("risk", log.handler("risk")).unwrap();
    let second = bus.register("risk", log.handler("second"));
    assert!(matches!(second, Err(BusError::EndpointTaken { endpoint }) if endpoint == "risk"));
    bus.send("risk", &"m1").unwrap();
    assert!(bus.deregister("risk"));
    assert!(!bus.deregister("risk"));
    let gone = bus.send("risk", &"m2");
    assert!(matches!(gone, Err(BusError::UnknownEndpoint { endpoint }) if endpoint == "risk"));
    bus.register("risk", log.handler("third")).unwrap();
    bus.send("risk", &"m3").unwrap();
    assert_eq!(log.take(), ["risk: m1", "third: m3"]);
}

#[test]
fn endpoints_are_no_topics() {
    let (bus, log) = (MessageBus::new(), Log::default());
    bus.register("risk", log.handler("endpoint")).unwrap();
    bus.subscribe("*", log.handler("subscriber"));
    bus.send("risk", &"m1").unwrap();
    bus.publish("risk", &"m2").unwrap();
    assert_eq!(log.take(), ["endpoint: m1", "subscriber: m2"]);
}

#[test]
fn what_a_handler_brings_is_delivered_before_the_handler_goes_on() {
    let (bus, log) = tapped_bus();
    bus.register("risk", log.handler("risk")).unwrap();
    bus.subscribe("fill", {
        let (bus, log) = (Rc::downgrade(&bus), log.clone());
        move |message| {
            let bus = bus.upgrade().expect("the bus is in use");
            log.note("begin", message);
            bus.publish("position", &"opened").unwrap();
            bus.send("risk", &"check").unwrap();
            log.note("end", message);
        }
    });
    bus.subscribe("position", log.handler("position"));
    bus.subscribe("fill", log.handler("later"));
    bus.publish("fill", &"m").unwrap();
    let expected = [
        "tap publish fill: m",
        "begin: m",
        "tap publish position: opened",
        "position: opened",
        "tap send risk: check",
        "risk: check",
        "end: m",
        "later: m",
    ];
    assert_eq!(log.take(), expected);
}

#[test]
fn a_handler_may_publish_on_its_own_topic() {
    let bus = Rc::new(MessageBus::new());
    let calls = Rc::new(Cell::new(0_u32));
    bus.subscribe("countdown", {
        let (bus, calls) = (Rc::downgrade(&bus), Rc::clone(&calls));
        move |message| {
            calls.set(calls.get() + 1);
            let left = *message.downcast_ref::<u32>().unwrap();
            if left > 0 {
                bus.upgrade().unwrap().publish("countdown", &(left - 1)).unwrap();
            }
        }
    });
    bus.publish("countdown", &9_u32).unwrap();
    assert_eq!(calls.get(), 10);
}

#[test]
fn a_publish_in_progress_keeps_its_list_of_handlers() {
    let (bus, log) = (Rc::new(MessageBus::new()), Log::default());
    let later = Rc::new(Cell::new(None));
    bus.subscribe("a", {
        let (bus, log, later) = (Rc::downgrade(&bus), log.clone(), Rc::clone(&later));
        move |_| {
            let bus = bus.upgrade().unwrap();
            if let Some(id) = later.take() {
                assert!(bus.unsubscribe(id));
                bus.subscribe("a", log.handler("new"));
                bus.register("e", log.handler("e")).unwrap();
            }
        }
    });
    later.set(Some(bus.subscribe("a", log.handler("later"))));
    assert_eq!(bus.publish("a", &"m1").unwrap().handlers, 2);
    assert_eq!(log.take(), ["later: m1"]);
    assert_eq!(bus.publish("a", &"m2").unwrap().handlers, 2);
    assert_eq!(log.take(), ["new: m2"]);
    bus.send("e", &"m3").unwrap();
    assert_eq!(log.take(), ["e: m3"]);
}

#[test]
fn a_handler_may_deregister_itself() {
    let bus = Rc::new(MessageBus::new());
    let weak = Rc::downgrade(&bus);
    bus.register("once", move |_| assert!(weak.upgrade().unwrap().deregister("once"))).unwrap();
    bus.send("once", &()).unwrap();
    assert!(matches!(bus.send("once", &()), Err(BusError::UnknownEndpoint { .. })));
}

#[test]
fn a_handler_may_use_the_bus_when_it_is_dropped() {
    let (bus, log) = (Rc::new(MessageBus::new()), Log::default());
    bus.subscribe("goodbye", log.handler("heard"));
    let parting = |who: &'static str| {
        let weak = Rc::downgrade(&bus);
        let on_drop = OnDrop(move || {
            let bus = weak.upgrade().unwrap();
            bus.publish("goodbye", &who).unwrap();
            bus.subscribe("x", |_| ());
            bus.register(who, |_| ()).unwrap();
            assert!(bus.deregister(who));
            assert!(!bus.cancel_request(Uuid::nil()));
        });
        move |_: &dyn Any| {
            let _ = &on_drop;
        }
    };
    let id = bus.subscribe("a", parting("subscriber"));
    bus.publish("a", &()).unwrap();
    assert!(bus.unsubscribe(id));
    bus.register("e", parting("endpoint")).unwrap();
    assert!(bus.register("e", parting("second")).is_err());
    assert!(bus.deregister("e"));
    bus.register("e", |_| ()).unwrap();
    let request = Uuid::from_u128(1);
    bus.request("e", request, &(), parting("request")).unwrap();
    assert!(bus.request("e", request, &(), parting("duplicate")).is_err());
    assert!(bus.cancel_request(request));
    let expected = ["subscriber", "second", "endpoint", "duplicate", "request"];
    assert_eq!(log.take(), expected.map(|who| format!("heard: {who}")));
}

#[test]
fn the_bus_survives_a_panicking_handler() {
    let (bus, log) = tapped_bus();
    let panics = bus.subscribe("a", |_| panic!("on purpose"));
    bus.subscribe("a", log.handler("later"));
    assert!(catch_unwind(AssertUnwindSafe(|| bus.publish("a", &"m1"))).is_err());
    assert!(bus.unsubscribe(panics));
    bus.publish("a", &"m2").unwrap();
    assert_eq!(log.take(), ["tap publish a: m1", "tap publish a: m2", "later: m2"]);
}
