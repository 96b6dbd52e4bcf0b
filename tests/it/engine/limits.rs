//! A message over a limit is refused. The run goes on as if it had not come.

use tapline::engine::WriterConfig;
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
