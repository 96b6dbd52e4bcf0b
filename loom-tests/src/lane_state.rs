//! [`LaneState`]: who reads what the writer tells of a lane can rely on the log being so.
//!
//! Two threads, exhaustive: 6 executions each.

use std::collections::BTreeSet;

use loom::thread;

use crate::explore::explore;
use crate::plain::Plain;
use crate::protocol::LaneState;
use crate::sync::Arc;

/// A producer that sees its message durable can read it back.
#[test]
fn a_durable_message_is_in_the_log() {
    let seen = explore(|| {
        let (log, lane) = (Arc::new(Plain::new(0)), Arc::new(LaneState::new()));
        let producer = {
            let (log, lane) = (Arc::clone(&log), Arc::clone(&lane));
            thread::spawn(move || {
                let durable = lane.durable();
                assert!(durable == 0 || log.get() == durable);
                durable
            })
        };
        log.set(1);
        lane.set_durable(1);
        producer.join().unwrap()
    });
    assert_eq!(seen, BTreeSet::from([0, 1]));
}

/// A producer that sees the verdict of a closing writer sees what the writer drained before.
#[test]
fn the_verdict_comes_after_what_it_admits() {
    let seen = explore(|| {
        let (log, lane) = (Arc::new(Plain::new(0)), Arc::new(LaneState::new()));
        let producer = {
            let (log, lane) = (Arc::clone(&log), Arc::clone(&lane));
            thread::spawn(move || {
                let admitted = lane.last_admitted();
                assert!(admitted.is_none_or(|ordinal| log.get() == ordinal));
                admitted
            })
        };
        log.set(1);
        lane.set_last_admitted(1);
        producer.join().unwrap()
    });
    assert_eq!(seen, BTreeSet::from([None, Some(1)]));
}
