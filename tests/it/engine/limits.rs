//! A message over a limit is refused. The run goes on as if it had not come.

use tapline::engine::WriterConfig;
use tapline::store::{MemoryBackend, MemoryDisk, RunReader};
use tapline::{EntryDraft, IndexKind, SubmitError};
use uuid::Uuid;

use super::defaults;
use crate::support::{Engine, draft, entries};

#[test]
fn a_limit_refuses_one_message_only() {
    let config = WriterConfig {
        record_bytes_max: 256,
        name_bytes_max: 16,
        names_max: 4,
        keys_per_entry_max: 1,
        key_bytes_max: 8,
        ..defaults()
    };
    let engine = Engine::start(config);
    let mut producer = engine.writer.producer().expect("the run is open");
    let kind = IndexKind::CLIENT_ORDER_ID;
    let refused = [
        draft("", b""),
        draft("a topic of more than sixteen bytes", b""),
        draft("fits", &[0; 193]),
        EntryDraft { keys: &[(kind, "123456789")], ..draft("fits", b"") },
        EntryDraft { keys: &[(kind, "1"), (kind, "2")], ..draft("fits", b"") },
    ];
    for (number, bad) in (0_u64..).zip(&refused) {
        let error = producer.submit(bad).expect_err("over a limit");
        assert!(!error.is_final(), "{error}");
        producer.submit(&draft("good", &number.to_le_bytes())).expect("the run goes on");
    }
    producer.submit(&draft("good", &[0; 192])).expect("just fits");
    // "good" and "Test" are known. "fits" is not: the refused message brought no name. Two more
    // names are allowed.
    producer.submit(&draft("third", b"")).expect("one more name");
    producer.submit(&draft("fourth", b"")).expect("the last name");
    let error = producer.submit(&draft("fifth", b"")).expect_err("one name too many");
    assert_eq!(error, SubmitError::TooManyNames { max: 4 });
    producer.submit(&draft("good", b"")).expect("the run goes on");
    assert_eq!(engine.close(), refused.len() as u64 + 4 + 1);
}

/// Whatever a message is refused for, its names are not counted, not in the log, and in no other
/// message's way.
#[test]
fn a_message_that_is_refused_brings_no_name() {
    let config = WriterConfig {
        record_bytes_max: 256,
        name_bytes_max: 16,
        names_max: 3,
        keys_per_entry_max: 2,
        key_bytes_max: 8,
        ..defaults()
    };
    let engine = Engine::start(config);
    let mut producer = engine.writer.producer().expect("the run is open");
    producer.submit(&draft("good", b"")).expect("room for two names");
    // The payload alone would fit. One more name would fit too, but not two.
    let keys: &[_] = &[(IndexKind::CLIENT_ORDER_ID, "1")];
    let refused = [
        EntryDraft { payload_type: "", ..draft("new", b"") },
        EntryDraft { payload_type: "a type of more than sixteen bytes", ..draft("new", b"") },
        EntryDraft { keys, ..draft("new", &[0; 192]) },
        EntryDraft { identity: Some(Uuid::from_u128(1)), ..draft("new", &[0; 177]) },
        EntryDraft { payload_type: "New", ..draft("new", b"") },
    ];
    for bad in &refused {
        let error = producer.submit(bad).expect_err("over a limit");
        assert!(!error.is_final(), "{error}");
    }
    producer.submit(&draft("third", b"")).expect("room for one name");
    let error = producer.submit(&draft("fourth", b"")).expect_err("one name too many");
    assert_eq!(error, SubmitError::TooManyNames { max: 3 });
    drop(producer);
    let reader = engine.reader.clone();
    assert_eq!(engine.close(), 3);
    let names: Vec<_> =
        reader.names(0).expect("memory").into_iter().map(|(_, name)| name).collect();
    assert_eq!(names[..3], ["good", "Test", "third"]);
    assert!(!names.contains(&"new".to_owned()));
}

fn names_of(reader: &dyn RunReader) -> Vec<String> {
    reader.names(0).expect("memory").into_iter().map(|(_, name)| name).collect()
}

#[test]
fn the_names_of_a_run_are_limited_over_producers() {
    let config = WriterConfig { run_names_max: 5, ..defaults() };
    let engine = Engine::start(config);
    let mut first = engine.writer.producer().expect("the run is open");
    for topic in ["one", "two"] {
        first.submit(&draft(topic, b"")).expect("three names with the type");
    }
    drop(first);
    let mut second = engine.writer.producer().expect("the run is open");
    second.submit(&draft("two", b"")).expect("known to the run");
    let two_more = EntryDraft { payload_type: "Three", ..draft("three", b"") };
    second.submit(&two_more).expect("the last two names");
    let refused = SubmitError::TooManyRunNames { max: 5 };
    assert!(!refused.is_final());
    for _ in 0..2 {
        assert_eq!(second.submit(&draft("four", b"")), Err(refused.clone()));
    }
    // With every name known already, a new producer has room.
    let mut third = engine.writer.producer().expect("the run is open");
    let new_type = EntryDraft { payload_type: "Four", ..draft("one", b"") };
    assert_eq!(third.submit(&new_type), Err(refused));
    third.submit(&two_more).expect("known to the run");
    second.submit(&draft("one", b"")).expect("the run goes on");
    drop((second, third));
    let reader = engine.reader.clone();
    assert_eq!(engine.close(), 7);
    let expected = ["one", "Test", "two", "three", "Three", "run.ended", "RunEnded"];
    assert_eq!(names_of(&*reader), expected, "those of the last entry come on top");
}

#[test]
fn racing_producers_share_the_limit_exactly() {
    const MAX: usize = 101;
    let engine = Engine::start(WriterConfig { run_names_max: MAX, ..defaults() });
    let accepted: usize = std::thread::scope(|scope| {
        let threads = [0; 8].map(|_| {
            let mut producer = engine.writer.producer().expect("the run is open");
            // All use the same names, so that they also race for each.
            scope.spawn(move || {
                let topics = (0..150).map(|topic| format!("topic-{topic}"));
                topics.filter(|topic| producer.submit(&draft(topic, b"")).is_ok()).count()
            })
        });
        threads.map(|thread| thread.join().expect("it does not panic")).into_iter().sum()
    });
    let reader = engine.reader.clone();
    // One name is the type.
    assert_eq!(accepted, 8 * (MAX - 1));
    assert_eq!(engine.close(), accepted as u64 + 1);
    assert_eq!(names_of(&*reader).len(), MAX + 2);
}

/// Producers that come and go bring new names each. The engine stays within its limit.
#[test]
fn producers_that_go_leave_their_names_counted() {
    let engine = Engine::start(WriterConfig { run_names_max: 11, ..defaults() });
    let mut accepted = 0;
    for number in 0..30 {
        let mut producer = engine.writer.producer().expect("the run is open");
        accepted += usize::from(producer.submit(&draft(&format!("t-{number}"), b"")).is_ok());
    }
    assert_eq!(accepted, 10);
    engine.close();
}

#[test]
fn a_run_that_goes_on_counts_the_names_it_has() {
    let disk = MemoryDisk::default();
    let start = |run_names_max| {
        let store = Box::new(MemoryBackend::new(disk.clone()));
        Engine::start_on(store, WriterConfig { run_names_max, ..defaults() })
    };
    let engine = start(1 << 20);
    let mut producer = engine.writer.producer().expect("the run is open");
    for topic in ["one", "two", "three", "four"] {
        producer.submit(&draft(topic, b"")).expect("room");
    }
    drop((producer, engine));

    let engine = start(4);
    let mut producer = engine.writer.producer().expect("the run is open");
    producer.submit(&draft("four", b"")).expect("known to the run, which has five names");
    let error = producer.submit(&draft("five", b"")).expect_err("one more");
    assert_eq!(error, SubmitError::TooManyRunNames { max: 4 });
    drop(producer);
    assert_eq!(engine.close(), 6);
}

/// One name for both.
#[test]
fn topic_and_payload_type_may_be_equal() {
    let engine = Engine::start(defaults());
    let mut producer = engine.writer.producer().expect("the run is open");
    producer.submit(&EntryDraft { payload_type: "same", ..draft("same", b"") }).expect("room");
    producer.submit(&EntryDraft { payload_type: "other", ..draft("same", b"") }).expect("room");
    drop(producer);
    let reader = engine.reader.clone();
    assert_eq!(engine.close(), 3);
    let entries = entries(&reader);
    let names = |at: usize| (entries[at].topic.as_str(), entries[at].payload_type.as_str());
    assert_eq!((names(0), names(1)), (("same", "same"), ("same", "other")));
}
