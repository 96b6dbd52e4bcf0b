//! [`LaneInbox`]: rings that are registered while the writer works.
//!
//! Two or three threads, exhaustive.

use std::collections::BTreeSet;

use loom::thread;

use crate::closing::Answer::{Accepted, NotPushed, Refused};
use crate::closing::{Lane, Writer, lane};
use crate::explore::explore;
use crate::merge::{Merge, Message, submit};
use crate::protocol::{HaltSignal, LaneInbox, OrderClock, RegisterError, RunGate};
use crate::ring::{Taker, ring};
use crate::sync::{Arc, AsymmetricBarrier, AtomicBool, Ordering};

const MAX: usize = 2;

fn as_the_writer_does(clock: &OrderClock, inbox: &LaneInbox<Taker<Message>>, merge: &mut Merge) {
    merge.collect(clock.horizon(), |lanes| inbox.take_new(lanes));
}

/// Producer A registers its ring and submits a, which causes b on the ring of B, which the writer
/// knows already or, like A's, is `registered` meanwhile. What the writer took in one `round`.
fn cause_in_a_new_ring(
    registered: bool,
    round: impl Fn(&OrderClock, &LaneInbox<Taker<Message>>, &mut Merge),
) -> String {
    let clock = Arc::new(OrderClock::counter());
    let inbox = Arc::new(LaneInbox::<Taker<Message>>::new());
    let told = Arc::new(AtomicBool::new(false));
    let producer_a = {
        let (clock, inbox, told) = (Arc::clone(&clock), Arc::clone(&inbox), Arc::clone(&told));
        thread::spawn(move || {
            let (mut push, take) = ring();
            inbox.register(take, MAX).expect("the inbox is open");
            submit(&clock, &mut push, 'a');
            told.store(true, Ordering::Release);
            Some('a')
        })
    };
    let (mut push_b, take_b) = ring();
    let (known, new) = if registered { (vec![], Some(take_b)) } else { (vec![take_b], None) };
    let producer_b = {
        let (clock, inbox) = (Arc::clone(&clock), Arc::clone(&inbox));
        thread::spawn(move || {
            if !told.load(Ordering::Acquire) {
                return None;
            }
            if let Some(take_b) = new {
                inbox.register(take_b, MAX).expect("the inbox is open");
            }
            submit(&clock, &mut push_b, 'b');
            Some('b')
        })
    };
    let mut merge = Merge::new(known);
    round(&clock, &inbox, &mut merge);
    merge.assert_in_order(&['a', 'b']);
    let taken = merge.log().to_owned();
    let producers = [producer_a, producer_b].into_iter();
    let submitted: String = producers.filter_map(|producer| producer.join().unwrap()).collect();
    as_the_writer_does(&clock, &inbox, &mut merge);
    assert_eq!(merge.log(), submitted, "everything submitted is taken, once, in order");
    taken
}

/// 2 696 executions, 0.1 s.
#[test]
fn an_effect_is_never_taken_before_its_cause_in_a_new_ring() {
    let seen = explore(|| cause_in_a_new_ring(false, as_the_writer_does));
    assert_eq!(seen, ["", "a", "ab"].map(str::to_owned).into());
}

/// 9 496 executions, 0.4 s.
#[test]
fn nor_when_both_rings_are_new() {
    let seen = explore(|| cause_in_a_new_ring(true, as_the_writer_does));
    assert_eq!(seen, ["", "a", "ab"].map(str::to_owned).into());
}

/// The test of the test: new rings taken over before the horizon is taken, not after.
#[test]
#[should_panic(expected = "an effect is ahead of its cause: b")]
fn with_a_horizon_taken_after_the_new_rings_an_effect_gets_ahead() {
    explore(|| {
        cause_in_a_new_ring(false, |clock, inbox, merge| {
            inbox.take_new(&mut merge.lanes);
            merge.collect(clock.horizon(), |_| {});
        })
    });
}

/// A ring that is registered while the writer closes is drained, with a verdict on what was pushed
/// into it, or it is refused.
///
/// 4 134 executions, 0.1 s.
#[test]
fn a_registration_that_races_with_close_is_drained_or_refused() {
    let seen = explore(|| {
        let (gate, halt) = (Arc::new(RunGate::new(AsymmetricBarrier)), HaltSignal::new());
        let inbox = Arc::new(LaneInbox::<Lane>::new());
        let producer = {
            let (gate, halt, inbox) = (Arc::clone(&gate), halt.clone(), Arc::clone(&inbox));
            thread::spawn(move || {
                let (mut submitter, lane) = lane(0);
                inbox.register(lane, MAX).map(|()| submitter.submit(&gate, &halt))
            })
        };
        let mut writer = Writer::new(&gate, &halt, vec![]);
        writer.close(|| inbox.close(), |lanes| inbox.take_new(lanes));
        match producer.join().unwrap() {
            Err(error) => {
                assert_eq!(error, RegisterError::Closed);
                None
            }
            Ok(told) => {
                assert_eq!(writer.lanes.len(), 1, "registered and not drained");
                writer.check(&[told]).pop()
            }
        }
    });
    let expected = [None, Some(NotPushed), Some(Accepted), Some(Refused)];
    assert_eq!(seen, BTreeSet::from(expected));
}

/// With room for one ring, a second is refused until the writer has let go of the first.
///
/// 328 executions, 0.01 s.
#[test]
fn never_more_rings_than_allowed() {
    let seen = explore(|| {
        let inbox = Arc::new(LaneInbox::<u8>::new());
        let producers = [0, 1].map(|lane| {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.register(lane, 1).is_ok())
        });
        let mut lanes = Vec::new();
        inbox.take_new(&mut lanes);
        let released = lanes.len();
        inbox.released(released);
        let registered = producers.map(|producer| producer.join().unwrap());
        inbox.take_new(&mut lanes);
        let count = registered.iter().filter(|registered| **registered).count();
        assert_eq!(lanes.len(), count, "each registered ring is handed over once");
        assert!((1..=1 + released).contains(&count));
        (released, count)
    });
    assert_eq!(seen, BTreeSet::from([(0, 1), (1, 1), (1, 2)]));
}
