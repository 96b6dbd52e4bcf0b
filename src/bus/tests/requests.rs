use std::any::Any;
use std::rc::Rc;

use uuid::Uuid;

use super::{is_bad, tapped_bus};
use crate::bus::BusError;

const ID: Uuid = Uuid::from_u128(7);

#[test]
fn a_response_reaches_the_one_who_asked_once() {
    let (bus, log) = tapped_bus();
    bus.register("data", log.handler("data")).unwrap();
    bus.request("data", ID, &"bars?", log.handler("answer")).unwrap();
    bus.respond(ID, &"bars").unwrap();
    let expected = ["tap send data: bars?", "data: bars?", "tap respond 7: bars", "answer: bars"];
    assert_eq!(log.take(), expected);
    let second = bus.respond(ID, &"bars");
    assert!(matches!(second, Err(BusError::UnknownCorrelation { correlation_id: ID })));
    assert_eq!(log.take(), Vec::<String>::new());
}

#[test]
fn the_handler_may_respond_within_the_request() {
    let (bus, log) = tapped_bus();
    let weak = Rc::downgrade(&bus);
    let answer = move |_: &dyn Any| {
        weak.upgrade().unwrap().respond(ID, &"now").unwrap();
    };
    bus.register("data", answer).unwrap();
    bus.request("data", ID, &"ask", log.handler("answer")).unwrap();
    assert_eq!(log.take(), ["tap send data: ask", "tap respond 7: now", "answer: now"]);
}

#[test]
fn the_response_handler_may_ask_again_with_the_same_id() {
    let (bus, log) = tapped_bus();
    bus.register("data", log.handler("data")).unwrap();
    let (weak, answer) = (Rc::downgrade(&bus), log.handler("answer"));
    let ask_again = move |message: &dyn Any| {
        answer(message);
        weak.upgrade().unwrap().request("data", ID, &"more?", answer).unwrap();
    };
    bus.request("data", ID, &"ask", ask_again).unwrap();
    bus.respond(ID, &"one").unwrap();
    bus.respond(ID, &"two").unwrap();
    let handlers_only: Vec<_> =
        log.take().into_iter().filter(|line| !line.starts_with("tap")).collect();
    assert_eq!(handlers_only, ["data: ask", "answer: one", "data: more?", "answer: two"]);
}

#[test]
fn a_pending_id_cannot_be_asked_with_again() {
    let (bus, log) = tapped_bus();
    bus.register("data", log.handler("data")).unwrap();
    bus.request("data", ID, &"first", log.handler("first")).unwrap();
    log.take();
    let second = bus.request("data", ID, &"second", log.handler("second"));
    assert!(matches!(second, Err(BusError::DuplicateCorrelation { correlation_id: ID })));
    assert_eq!(log.take(), Vec::<String>::new(), "neither tapped nor sent");
    bus.respond(ID, &"m").unwrap();
    assert_eq!(log.take(), ["tap respond 7: m", "first: m"]);
}

#[test]
fn a_failed_request_is_not_pending() {
    let (bus, log) = tapped_bus();
    let unknown = bus.request("data", ID, &"ask", log.handler("answer"));
    assert!(matches!(unknown, Err(BusError::UnknownEndpoint { .. })));
    assert!(matches!(bus.respond(ID, &"m"), Err(BusError::UnknownCorrelation { .. })));
    bus.register("data", log.handler("data")).unwrap();
    let refused = bus.request("data", ID, &"bad", log.handler("answer")).unwrap_err();
    assert!(is_bad(&refused));
    assert!(matches!(bus.respond(ID, &"m"), Err(BusError::UnknownCorrelation { .. })));
    assert_eq!(log.take(), ["tap send data: bad"]);
    bus.request("data", ID, &"ask", log.handler("answer")).unwrap();
}

#[test]
fn a_refused_response_leaves_the_request_pending() {
    let (bus, log) = tapped_bus();
    bus.register("data", |_| ()).unwrap();
    bus.request("data", ID, &"ask", log.handler("answer")).unwrap();
    assert!(is_bad(&bus.respond(ID, &"bad").unwrap_err()));
    bus.respond(ID, &"good").unwrap();
    let expected =
        ["tap send data: ask", "tap respond 7: bad", "tap respond 7: good", "answer: good"];
    assert_eq!(log.take(), expected);
}

#[test]
fn a_cancelled_request_takes_no_response() {
    let (bus, log) = tapped_bus();
    bus.register("data", |_| ()).unwrap();
    bus.request("data", ID, &"ask", log.handler("answer")).unwrap();
    assert!(bus.cancel_request(ID));
    assert!(!bus.cancel_request(ID));
    assert!(matches!(bus.respond(ID, &"late"), Err(BusError::UnknownCorrelation { .. })));
    assert_eq!(log.take(), ["tap send data: ask"]);
}
