//! From the bus to the log: the allow-list, envelopes, headers, keys, deduplication, refusals.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tapline::bus::{BusError, MessageBus, TimeEvent};
use tapline::capture::{
    BusCaptureAdapter, CaptureContext, CaptureError, EncodeError, Encoder, EncoderRegistry,
    OnEncodeError, RegisterError,
};
use tapline::engine::WriterConfig;
use tapline::read::{EventStoreReader, Verifier};
use tapline::{
    Captured, EntryDraft, HaltReason, Headers, IndexKind, NotCaptured, SubmitError, UnixNanos,
};
use uuid::Uuid;

use super::defaults;
use crate::support::{Engine, Fault, FaultyStore, Gate, PATIENCE, draft, ended, entries};

struct Filled {
    event_id: Uuid,
    order: &'static str,
    cause: Uuid,
}

struct Failing;

struct Unlisted;

/// Named by [`EncoderRegistry::pass`].
struct Passed;

struct Quoted(u64);

enum Event {
    Filled(Filled),
    Other,
}

/// An envelope that contains itself.
struct Endless;

fn registry() -> Arc<EncoderRegistry> {
    let mut registry = EncoderRegistry::new();
    registry
        .register(
            Encoder::new("Filled", |filled: &Filled, record| {
                record.set_ts_init(UnixNanos::new(5));
                record.set_headers(Headers {
                    correlation_id: None,
                    causation_id: Some(filled.cause),
                });
                record.add_key(IndexKind::CLIENT_ORDER_ID, filled.order);
                record.write_payload(filled.order.as_bytes());
                Ok(())
            })
            .identified_by(|filled| Some(filled.event_id)),
        )
        .expect("first");
    registry
        .register(Encoder::new("Failing", |_: &Failing, record| {
            record.write_payload(b"half of it");
            Err(EncodeError::new("cannot be encoded"))
        }))
        .expect("first");
    registry
        .register(Encoder::new("Quoted", |quoted: &Quoted, record| {
            record.write_payload(&quoted.0.to_le_bytes());
            Ok(())
        }))
        .expect("first");
    registry
        .register(Encoder::new("TimeEvent", |event: &TimeEvent, record| {
            record.write_payload(event.name.as_bytes());
            Ok(())
        }))
        .expect("first");
    registry
        .register_envelope(|event: &Event| -> &(dyn Any + 'static) {
            match event {
                Event::Filled(filled) => filled,
                Event::Other => &Unlisted,
            }
        })
        .expect("first");
    registry
        .register_envelope(|endless: &Endless| -> &(dyn Any + 'static) { endless })
        .expect("first");
    Arc::new(registry)
}

fn filled(event: u128) -> Filled {
    Filled { event_id: Uuid::from_u128(event), order: "O-1", cause: Uuid::from_u128(99) }
}

fn adapter(engine: &Engine) -> BusCaptureAdapter {
    BusCaptureAdapter::new(registry(), engine.writer.producer().expect("open"))
}

#[test]
fn only_listed_types_in_envelopes_are_captured() {
    let engine = Engine::start(defaults());
    let mut adapter = adapter(&engine);
    assert!(matches!(adapter.capture("t", &Unlisted), Ok(Captured::NotListed)));
    assert!(matches!(adapter.capture("orders", &filled(1)), Ok(Captured::Logged(_))));
    assert!(matches!(
        adapter.capture("orders", &Event::Filled(filled(2))),
        Ok(Captured::Logged(_))
    ));
    assert!(matches!(adapter.capture("orders", &Event::Other), Ok(Captured::NotListed)));
    assert!(matches!(adapter.capture("orders", &Endless), Ok(Captured::NotListed)));
    assert_eq!((adapter.counts().captured(), adapter.counts().encode_errors()), (2, 0));
    engine.writer.flush(PATIENCE).expect("no halt");
    let entries = entries(&engine.reader);
    assert_eq!(entries.len(), 2);
    for entry in &entries {
        assert_eq!((&*entry.topic, &*entry.payload_type), ("orders", "Filled"));
        assert_eq!(entry.payload, b"O-1".as_slice());
        assert_eq!(entry.ts_init, UnixNanos::new(5));
        assert_eq!(entry.headers.causation_id, Some(Uuid::from_u128(99)));
        assert_eq!(entry.keys, [(IndexKind::CLIENT_ORDER_ID, "O-1".to_owned())]);
    }
    let reader = EventStoreReader::new(Arc::clone(&engine.reader));
    let first = reader.lookup(IndexKind::CLIENT_ORDER_ID, "O-1").expect("memory");
    assert_eq!(first, Some(1), "the first entry that mentions the key");
}

#[test]
fn a_message_without_a_time_gets_publish_time() {
    let engine = Engine::start(defaults());
    let mut adapter = adapter(&engine);
    assert!(matches!(adapter.capture("quotes", &Quoted(7)), Ok(Captured::Logged(_))));
    assert!(matches!(adapter.capture("orders", &filled(1)), Ok(Captured::Logged(_))));
    engine.writer.flush(PATIENCE).expect("no halt");
    let entries = entries(&engine.reader);
    let [quoted, filled] = &entries[..] else { panic!("two messages") };
    assert_ne!(quoted.ts_publish, UnixNanos::new(0));
    assert_eq!(quoted.ts_init, quoted.ts_publish, "its encoder sets no time");
    assert_eq!(filled.ts_init, UnixNanos::new(5), "its encoder sets this one");
}

#[test]
fn what_is_given_beside_a_message_is_recorded() {
    let engine = Engine::start(defaults());
    let mut adapter = adapter(&engine);
    let ids = |correlation: Option<u128>, causation: Option<u128>| Headers {
        correlation_id: correlation.map(Uuid::from_u128),
        causation_id: causation.map(Uuid::from_u128),
    };
    let context = |headers, ts_init: Option<u64>| CaptureContext {
        headers,
        ts_init: ts_init.map(UnixNanos::new),
    };
    let given = [
        context(ids(None, None), None),
        context(ids(Some(1), None), None),
        context(ids(None, Some(2)), Some(70)),
        context(ids(Some(1), Some(2)), Some(80)),
    ];
    for (n, context) in (1..).zip(given) {
        adapter.capture_with("quotes", &Quoted(7), context).expect("accepted");
        adapter.capture_with("orders", &Event::Filled(filled(n)), context).expect("accepted");
    }
    adapter.capture("quotes", &Quoted(7)).expect("accepted");
    let unlisted = adapter.capture_with("t", &Unlisted, given[3]);
    assert!(matches!(unlisted, Ok(Captured::NotListed)));
    let again = adapter.capture_with("orders", &filled(1), given[3]);
    assert!(matches!(again, Ok(Captured::Repeated(_))));
    engine.writer.flush(PATIENCE).expect("no halt");

    let entries = entries(&engine.reader);
    let found = |payload_type: &str| -> Vec<_> {
        let of_type = entries.iter().filter(|entry| entry.payload_type == payload_type);
        of_type
            .map(|entry| {
                let is_publish_time = entry.ts_init == entry.ts_publish;
                (entry.headers, (!is_publish_time).then(|| entry.ts_init.as_u64()))
            })
            .collect()
    };
    // Its encoder sets nothing.
    let nothing = (ids(None, None), None);
    let quoted = [
        nothing,
        (ids(Some(1), None), None),
        (ids(None, Some(2)), Some(70)),
        (ids(Some(1), Some(2)), Some(80)),
        nothing,
    ];
    assert_eq!(found("Quoted"), quoted);
    // Its encoder sets time and cause, which stay where nothing else is given.
    let filled = [
        (ids(None, Some(99)), Some(5)),
        (ids(Some(1), Some(99)), Some(5)),
        (ids(None, Some(2)), Some(70)),
        (ids(Some(1), Some(2)), Some(80)),
    ];
    assert_eq!(found("Filled"), filled);
}

#[test]
fn a_registry_says_what_it_contains() {
    let registry = registry();
    assert!(registry.contains::<Filled>() && registry.contains::<TimeEvent>());
    assert!(registry.contains::<Event>(), "an envelope");
    assert!(!registry.contains::<Unlisted>());
    assert_eq!(registry.payload_types(), ["Failing", "Filled", "Quoted", "TimeEvent"]);
    let mut more = EncoderRegistry::clone(&registry);
    let typed = Encoder::typed_by(|_: &Unlisted| "any", |_, _| Ok(()));
    more.register(typed).expect("it is new");
    assert!(more.contains::<Unlisted>() && !registry.contains::<Unlisted>());
    assert_eq!(more.payload_types(), registry.payload_types(), "its type is not known before");
    assert!(EncoderRegistry::new().payload_types().is_empty());
}

#[test]
fn fired_timers_are_captured_by_default() {
    let engine = Engine::start(defaults());
    let registry = EncoderRegistry::with_defaults();
    assert_eq!(registry.payload_types(), ["TimeEvent"]);
    let bus = MessageBus::new();
    let producer = engine.writer.producer().expect("open");
    bus.set_tap(Box::new(BusCaptureAdapter::new(Arc::new(registry), producer)));
    let event = |event_id| TimeEvent {
        name: "bar \"1m\"".into(),
        event_id: Uuid::from_u128(event_id),
        ts_event: UnixNanos::new(60),
        ts_init: UnixNanos::new(61),
    };
    // Nobody handles the timer. It fires all the same.
    for event_id in [1, 2] {
        assert!(matches!(bus.fire(&event(event_id)), Ok(Captured::Logged(_))));
    }
    assert!(matches!(bus.publish("timers", &event(2)).unwrap().captured, Captured::Repeated(_)));
    for _ in 0..2 {
        assert!(matches!(bus.fire(&event(0)), Ok(Captured::Logged(_))), "the nil id is no id");
    }
    engine.writer.flush(PATIENCE).expect("no halt");
    let entries = entries(&engine.reader);
    assert_eq!(entries.len(), 4);
    let first = &entries[0];
    assert_eq!((&*first.topic, &*first.payload_type), ("timer.bar \"1m\"", "TimeEvent"));
    assert_eq!(first.ts_init, UnixNanos::new(61));
    let payload = concat!(
        r#"{"name":"bar \"1m\"","event_id":"00000000-0000-0000-0000-000000000001","#,
        r#""ts_event":60,"ts_init":61}"#
    );
    assert_eq!(std::str::from_utf8(&first.payload), Ok(payload));
}

/// Entries, their hashes, the frame's maximum and the manifest have to agree.
#[test]
fn a_draft_without_a_time_gets_publish_time() {
    let engine = Engine::start(defaults());
    let mut producer = engine.writer.producer().expect("open");
    for ts_init in [UnixNanos::new(5), UnixNanos::new(0)] {
        let draft = EntryDraft { ts_init, ..draft("t", b"payload") };
        producer.submit(&draft).expect("there is room");
    }
    drop(producer);
    let report = engine.writer.close(&ended()).expect("nothing fails");
    let entries = entries(&engine.reader);
    assert_eq!(entries[0].ts_init, UnixNanos::new(5));
    for entry in &entries[1..] {
        assert_ne!(entry.ts_init, UnixNanos::new(0));
        assert_eq!(entry.ts_init, entry.ts_publish);
    }
    let latest = entries.iter().map(|entry| entry.ts_init).max();
    assert_eq!(report.manifest.end_ts_init, latest);
    let verified = Verifier::new(Arc::clone(&engine.reader)).run(|_| {});
    assert!(verified.is_clean(), "{:?}", verified.findings);
}

#[test]
fn an_encode_error_costs_one_message() {
    let engine = Engine::start(defaults());
    let mut adapter = adapter(&engine);
    let Err(CaptureError::Encode { payload_type, policy, source }) = adapter.capture("t", &Failing)
    else {
        panic!("it cannot be encoded");
    };
    assert_eq!((&*payload_type, &*source.to_string()), ("Failing", "cannot be encoded"));
    assert_eq!(policy, OnEncodeError::Deliver, "unless its encoder says otherwise");
    assert!(matches!(adapter.capture("t", &Quoted(7)), Ok(Captured::Logged(_))));
    assert_eq!((adapter.counts().captured(), adapter.counts().encode_errors()), (1, 1));
    assert!(!engine.halt.is_halted());
    engine.writer.flush(PATIENCE).expect("no halt");
    let entries = entries(&engine.reader);
    assert_eq!(entries.len(), 1);
    assert_eq!(
        entries[0].payload,
        7_u64.to_le_bytes().as_slice(),
        "nothing left of the failed one"
    );
}

/// A bus whose tap has `registry`; the topics and endpoints its one handler has seen.
fn tapped_bus(engine: &Engine, registry: EncoderRegistry) -> (MessageBus, Rc<Cell<u32>>) {
    let producer = engine.writer.producer().expect("open");
    let bus = MessageBus::new();
    bus.set_tap(Box::new(BusCaptureAdapter::new(Arc::new(registry), producer)));
    let seen = Rc::new(Cell::new(0));
    let handler = || {
        let seen = Rc::clone(&seen);
        move |_: &dyn Any| seen.set(seen.get() + 1)
    };
    bus.subscribe("*", handler());
    bus.register("endpoint", handler()).expect("the endpoint is free");
    (bus, seen)
}

/// Messages that cannot be encoded: `on_error` for [`Failing`], too long a payload for [`Quoted`].
fn failing(on_error: OnEncodeError) -> EncoderRegistry {
    let mut registry = EncoderRegistry::new();
    let failing = Encoder::new("Failing", |_: &Failing, _| Err(EncodeError::new("as asked")));
    registry.register(failing.on_error(on_error)).expect("first");
    let too_long = Encoder::new("Quoted", |_: &Quoted, record| {
        record.write_payload(&vec![0; 65 << 20]);
        Ok(())
    });
    registry.register(too_long.on_error(on_error)).expect("second");
    registry
}

#[test]
fn what_cannot_be_encoded_is_delivered_and_can_never_pass_for_durable() {
    let engine = Engine::start(defaults());
    let (bus, seen) = tapped_bus(&engine, failing(OnEncodeError::Deliver));
    for message in [&Failing as &dyn Any, &Quoted(1)] {
        let published = bus.publish("t", message).expect("it is delivered");
        assert_eq!(published.ticket(), Err(NotCaptured::NotEncoded));
        assert_eq!(bus.send("endpoint", message).unwrap(), Captured::NotEncoded);
    }
    let request_id = Uuid::from_u128(7);
    let answered = Rc::new(Cell::new(false));
    let on_response = Rc::clone(&answered);
    let asked = bus.request("endpoint", request_id, &Failing, move |_| on_response.set(true));
    assert_eq!(asked.unwrap(), Captured::NotEncoded);
    assert_eq!(bus.respond(request_id, &Failing).unwrap(), Captured::NotEncoded);
    assert_eq!((seen.get(), answered.get()), (5, true));
    assert!(!engine.halt.is_halted());
    engine.writer.flush(PATIENCE).expect("no halt");
    assert_eq!(entries(&engine.reader).len(), 0);
}

#[test]
fn what_cannot_be_encoded_and_must_be_recorded_reaches_no_handler() {
    let engine = Engine::start(defaults());
    let (bus, seen) = tapped_bus(&engine, failing(OnEncodeError::Refuse));
    for message in [&Failing as &dyn Any, &Quoted(1)] {
        for refused in
            [bus.publish("t", message).unwrap_err(), bus.send("endpoint", message).unwrap_err()]
        {
            let BusError::Refused { source } = refused else { panic!("{refused}") };
            let error = source.cause().downcast_ref::<CaptureError>();
            let is_refused =
                matches!(error, Some(CaptureError::Encode { policy: OnEncodeError::Refuse, .. }));
            assert!(is_refused, "{error:?}");
        }
    }
    assert_eq!(seen.get(), 0);
    assert!(!engine.halt.is_halted());
}

#[test]
fn a_strict_registry_refuses_what_it_does_not_know() {
    let engine = Engine::start(defaults());
    let mut registry = EncoderRegistry::clone(&registry()).strict();
    registry.pass::<Passed>().expect("it has no encoder");
    assert!(matches!(registry.pass::<Quoted>(), Err(RegisterError::Duplicate { .. })));
    assert!(!registry.contains::<Passed>(), "it is not captured");
    let (bus, seen) = tapped_bus(&engine, registry);

    // Unlisted, in an envelope as well, and an envelope that never ends.
    for unlisted in [&Unlisted as &dyn Any, &Event::Other, &Endless] {
        let refused = bus.publish("events.x", unlisted).unwrap_err();
        let BusError::Refused { source } = refused else { panic!("{refused}") };
        let text = source.cause().to_string();
        assert!(text.starts_with("a message to events.x has a type without an encoder"), "{text}");
    }
    assert_eq!(seen.get(), 0);
    let passed = bus.publish("t", &Passed).expect("it is named");
    assert_eq!((passed.captured, seen.get()), (Captured::NotListed, 1));
    assert!(matches!(bus.send("endpoint", &Quoted(7)), Ok(Captured::Logged(_))));
    assert!(!engine.halt.is_halted());

    // After a final refusal the answers are the same.
    engine.halt.fire(HaltReason::BackendError("as asked".to_owned()));
    assert!(bus.publish("t", &Quoted(8)).is_err());
    let refused = bus.publish("t", &Unlisted).unwrap_err();
    let BusError::Refused { source } = refused else { panic!("{refused}") };
    let error = source.cause().downcast_ref::<CaptureError>();
    assert!(matches!(error, Some(CaptureError::NotListed { .. })), "{error:?}");
}

#[test]
fn a_message_over_several_taps_is_one_entry() {
    let engine = Engine::start(defaults());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut adapter = adapter(&engine);
            scope.spawn(move || {
                for event in 0..1000 {
                    assert!(matches!(
                        adapter.capture("sent", &filled(event)),
                        Ok(Captured::Logged(_))
                    ));
                    assert!(matches!(
                        adapter.capture("published", &filled(event)),
                        Ok(Captured::Repeated(_))
                    ));
                    assert!(matches!(
                        adapter.capture("quotes", &Quoted(1)),
                        Ok(Captured::Logged(_))
                    ));
                }
            });
        }
    });
    engine.writer.flush(PATIENCE).expect("no halt");
    let entries = entries(&engine.reader);
    let mut events: Vec<_> = entries.iter().filter_map(|entry| entry.identity).collect();
    assert_eq!(events.len(), 1000, "each event once");
    events.sort_unstable();
    events.dedup();
    assert_eq!(events.len(), 1000);
    let quotes = entries.iter().filter(|entry| entry.payload_type == "Quoted").count();
    assert_eq!(quotes, 4000, "off by default per type");
}

#[test]
fn deduplication_remembers_its_window() {
    let engine = Engine::start(WriterConfig { dedup_window: 2, ..defaults() });
    let mut adapter = adapter(&engine);
    for event in [1, 2, 1, 3, 1] {
        adapter.capture("t", &filled(event)).expect("open");
    }
    engine.writer.flush(PATIENCE).expect("no halt");
    let identities: Vec<_> = entries(&engine.reader).iter().filter_map(|e| e.identity).collect();
    assert_eq!(identities, [1, 2, 3, 1].map(Uuid::from_u128), "3 pushed 1 out");
}

#[test]
fn a_refused_push_halts_and_stops_the_adapter() {
    let engine = Engine::start_on(Box::new(FaultyStore::failing(1, Fault::DiskFull)), defaults());
    let mut adapter = adapter(&engine);
    adapter.capture("t", &Quoted(1)).expect("accepted, not yet committed");
    assert!(engine.writer.wait_for_watermark(1, PATIENCE).is_err());
    let refused = adapter.capture("t", &Quoted(2));
    assert!(matches!(refused, Err(CaptureError::Submit { source: SubmitError::Closed, .. })));
    let again = adapter.capture("t", &Quoted(3));
    let Err(CaptureError::Halted { reason }) = again else { panic!("{again:?}") };
    assert_eq!(Some(reason), engine.halt.reason());
    assert!(matches!(adapter.capture("t", &Unlisted), Err(CaptureError::Halted { .. })));
}

#[test]
fn a_repeat_is_durable_without_another_commit() {
    let engine = Engine::start(WriterConfig { producers_max: 2, ..defaults() });
    let (mut first, mut second) = (adapter(&engine), adapter(&engine));
    let captured = first.capture("sent", &filled(1)).expect("open");
    engine.writer.wait_for_watermark(1, PATIENCE).expect("no halt");
    assert_eq!(
        first.capture("published", &filled(1)).expect("open"),
        Captured::Repeated(captured.ticket().expect("captured")),
        "recognised before it is encoded"
    );
    assert_eq!((first.counts().captured(), first.counts().repeated()), (1, 1));
    // The tap of another thread: the writer recognises it.
    let captured = second.capture("published", &filled(1)).expect("open");
    let ticket = captured.ticket().expect("captured");
    second.durability().wait(ticket, PATIENCE).expect("nothing is left to commit");
    assert_eq!(engine.writer.watermark(), 1);
    // The ring of its producer is released too.
    drop(second);
    let deadline = std::time::Instant::now() + PATIENCE;
    while engine.writer.producer().is_err() {
        assert!(std::time::Instant::now() < deadline, "the writer lets go of the ring");
        std::thread::yield_now();
    }
}

#[test]
fn equal_ids_of_two_types_are_two_messages() {
    struct Acknowledged(Uuid);
    let mut registry = EncoderRegistry::new();
    let by_event = |event: &Filled| Some(event.event_id);
    registry
        .register(Encoder::new("Filled", |_: &Filled, _| Ok(())).identified_by(by_event))
        .expect("first");
    let encoder = Encoder::new("Acknowledged", |_: &Acknowledged, _| Ok(()));
    registry.register(encoder.identified_by(|event| Some(event.0))).expect("first");
    let engine = Engine::start(defaults());
    let producer = engine.writer.producer().expect("open");
    let mut adapter = BusCaptureAdapter::new(Arc::new(registry), producer);
    adapter.capture("t", &filled(1)).expect("open");
    adapter.capture("t", &Acknowledged(Uuid::from_u128(1))).expect("open");
    assert_eq!(engine.writer.flush(PATIENCE), Ok(2));
}

/// A tap that is cleared too late must not turn an orderly close into a halt.
#[test]
fn captures_that_race_with_close_do_not_halt_it() {
    // A slow machine, for example under a sanitizer, must not halt here.
    let config = WriterConfig { halt_threshold: PATIENCE, ..defaults() };
    for round in 0..200 {
        let engine = Engine::start(config.clone());
        let reader = engine.reader.clone();
        let accepted: u64 = std::thread::scope(|scope| {
            let capturing: Vec<_> = (0..2)
                .map(|_| {
                    let mut adapter = adapter(&engine);
                    scope.spawn(move || {
                        while adapter.capture("race", &Quoted(7)).is_ok() {}
                        adapter.counts().captured()
                    })
                })
                .collect();
            std::thread::sleep(std::time::Duration::from_micros(round % 53));
            engine.writer.close(&ended()).expect("closed in order");
            capturing.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(entries(&reader).len() as u64, accepted + 1);
    }
}

/// A refusal while the run closes does not halt it. But the node must not go on after the end.
#[test]
fn a_stopped_tap_halts_the_closed_run() {
    let gate = Gate::default();
    let engine = Engine::start_on(Box::new(FaultyStore::gated(&gate)), defaults());
    let mut adapter = adapter(&engine);
    let Engine { writer, halt, .. } = engine;
    gate.shut();
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| writer.close(&ended()));
        gate.await_waiting();
        let refused = adapter.capture("t", &Quoted(1));
        assert!(matches!(refused, Err(CaptureError::Submit { source: SubmitError::Closed, .. })));
        assert!(matches!(adapter.capture("t", &Quoted(2)), Err(CaptureError::Closing)));
        assert!(!halt.is_halted());
        gate.open();
        closing.join().expect("no panic").expect("closed in order");
    });
    assert!(matches!(adapter.capture("t", &Unlisted), Ok(Captured::NotListed)));
    assert!(!halt.is_halted(), "what is never recorded is missing nowhere");
    assert!(matches!(adapter.capture("t", &Quoted(3)), Err(CaptureError::Halted { .. })));
    assert!(halt.is_halted(), "a message nobody records must not go unnoticed");
}

#[test]
fn capturing_after_close_halts_the_node() {
    let engine = Engine::start(defaults());
    let mut adapter = adapter(&engine);
    let halt = engine.halt.clone();
    engine.writer.close(&ended()).expect("nothing fails");
    assert!(!halt.is_halted());
    let refused = adapter.capture("t", &Quoted(1));
    assert!(matches!(refused, Err(CaptureError::Submit { .. })));
    // Not the writer's death, which is a bug: whoever closes the run is to take the tap off first.
    assert_eq!(halt.reason(), Some(tapline::HaltReason::LateMessage), "it must not go unnoticed");
}

#[test]
fn handlers_see_only_accepted_messages() {
    let engine = Engine::start(defaults());
    let bus = Rc::new(MessageBus::new());
    bus.set_tap(Box::new(adapter(&engine)));
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    let producer_side = engine.writer.producers();
    bus.subscribe("quotes.*", move |message| {
        log.borrow_mut().push(message.downcast_ref::<Quoted>().map(|quoted| quoted.0));
        drop(producer_side.producer());
    });
    assert_eq!(bus.publish("quotes.es", &Quoted(1)).expect("accepted").handlers, 1);
    engine.halt.fire(tapline::HaltReason::BackendError("stop".to_owned()));
    assert!(matches!(bus.publish("quotes.es", &Quoted(2)), Err(BusError::Refused { .. })));
    assert_eq!(*seen.borrow(), [Some(1)], "not the refused one");
}

#[test]
fn sends_responses_and_timers_pass_the_tap() {
    let engine = Engine::start(defaults());
    let bus = Rc::new(MessageBus::new());
    bus.set_tap(Box::new(adapter(&engine)));
    bus.register("exec", |_| {}).expect("free");
    bus.set_timer_handler("beat", |_| {}).expect("free");
    let correlation = Uuid::from_u128(3);
    bus.send("exec", &Quoted(1)).expect("accepted");
    bus.request("exec", correlation, &Quoted(2), |_| {}).expect("accepted");
    bus.respond(correlation, &Quoted(3)).expect("accepted");
    let now = UnixNanos::new(9);
    let event =
        TimeEvent { name: "beat".into(), event_id: correlation, ts_event: now, ts_init: now };
    bus.fire(&event).expect("accepted");
    bus.clear_tap();
    bus.send("exec", &Quoted(4)).expect("no tap");
    engine.writer.flush(PATIENCE).expect("no halt");
    let topics: Vec<_> = entries(&engine.reader).iter().map(|e| e.topic.clone()).collect();
    assert_eq!(topics, ["exec", "exec", "data.response", "timer.beat"]);
}

#[test]
fn a_type_is_registered_once() {
    let mut registry = EncoderRegistry::new();
    let encoder = || Encoder::new("Quoted", |_: &Quoted, _| Ok(()));
    registry.register(encoder()).expect("first");
    assert!(matches!(registry.register(encoder()), Err(RegisterError::Duplicate { .. })));
    let envelope = registry.register_envelope(|quoted: &Quoted| -> &(dyn Any + 'static) { quoted });
    assert!(matches!(envelope, Err(RegisterError::Duplicate { .. })));
    let nameless = registry.register(Encoder::new("", |_: &Failing, _| Ok(())));
    assert!(matches!(nameless, Err(RegisterError::EmptyPayloadType { .. })));
}
