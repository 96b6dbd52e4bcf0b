//! [`RunGate`] with [`LaneState`](crate::protocol::LaneState): a push that races with the end of
//! the run is in the log or refused, never both, never neither, whatever ends the run.
//!
//! Two or three threads. Exhaustive, except where two producers race, which is bounded to 3
//! preemptions (4 were tried too: more than 400 000 executions each, 18 s).

use std::collections::BTreeSet;

use loom::thread::{self, JoinHandle};

use crate::closing::Answer::{Accepted, Halted, NotPushed, Refused};
use crate::closing::{Answer, Message, Submitter, Writer, lane};
use crate::explore::{explore, explore_preempting};
use crate::plain::Plain;
use crate::protocol::{HaltReason, HaltSignal, RunGate};
use crate::sync::{Arc, AsymmetricBarrier};

fn new_run() -> (Arc<RunGate>, HaltSignal) {
    (Arc::new(RunGate::new(AsymmetricBarrier)), HaltSignal::new())
}

fn spawn_producer(
    gate: &Arc<RunGate>,
    halt: &HaltSignal,
    mut submitter: Submitter,
    messages: usize,
) -> JoinHandle<Vec<(Message, Answer)>> {
    let (gate, halt) = (Arc::clone(gate), halt.clone());
    thread::spawn(move || (0..messages).map(|_| submitter.submit(&gate, &halt)).collect())
}

/// One producer that submits `messages`, while the writer does `rounds` and closes.
fn close_under_one_producer(messages: usize, rounds: usize) -> Vec<Answer> {
    let (gate, halt) = new_run();
    let (submitter, lane) = lane(0);
    let producer = spawn_producer(&gate, &halt, submitter, messages);
    let mut writer = Writer::new(&gate, &halt, vec![lane]);
    for _ in 0..rounds {
        assert!(writer.flush(|_| {}).is_ok(), "nothing halts this run");
    }
    writer.close(|| {}, |_| {});
    writer.check(&producer.join().unwrap())
}

/// Two producers that submit one message each, while the writer closes, on a store that takes
/// `commits` frames and then fails.
fn close_under_two_producers(commits: usize) -> Vec<Answer> {
    let (gate, halt) = new_run();
    let (submitters, lanes): (Vec<_>, Vec<_>) = [lane(0), lane(1)].into_iter().unzip();
    let spawn = |submitter| spawn_producer(&gate, &halt, submitter, 1);
    let producers: Vec<_> = submitters.into_iter().map(spawn).collect();
    let mut writer = Writer::new(&gate, &halt, lanes);
    writer.commits_left = commits;
    writer.close(|| {}, |_| {});
    let told: Vec<_> =
        producers.into_iter().flat_map(|producer| producer.join().unwrap()).collect();
    writer.check(&told)
}

/// 1 725 executions, 0.05 s.
#[test]
fn a_push_that_races_with_close_is_in_the_log_or_refused() {
    let seen = explore(|| close_under_one_producer(1, 0));
    assert_eq!(seen, BTreeSet::from([[NotPushed], [Accepted], [Refused]].map(Vec::from)));
}

/// 16 299 executions, 0.4 s.
#[test]
fn so_is_a_second_push() {
    let seen = explore(|| close_under_one_producer(2, 1));
    let expected = [
        [NotPushed, NotPushed],
        [Accepted, NotPushed],
        [Accepted, Accepted],
        [Accepted, Refused],
        [Refused, NotPushed],
    ];
    assert_eq!(seen, BTreeSet::from(expected.map(Vec::from)));
}

/// 48 422 executions, 2.1 s.
#[test]
fn so_are_the_pushes_of_two_producers() {
    let seen = explore_preempting(3, || close_under_two_producers(usize::MAX));
    assert_eq!(seen.len(), 9, "each not pushed, accepted or refused: {seen:?}");
}

/// The first frame of the drain is committed, the second is not. Who waits for a verdict on the
/// first must not hear that it was refused.
///
/// 46 220 executions, 2.0 s.
#[test]
fn nobody_hears_a_falsehood_when_the_store_fails_while_closing() {
    let seen = explore_preempting(3, || close_under_two_producers(1));
    for expected in [[Halted, Halted], [Accepted, Halted], [Halted, Accepted]] {
        assert!(seen.contains(&expected[..]), "{expected:?} is not in {seen:?}");
    }
}

/// 130 877 executions, 5 s.
#[test]
fn nobody_hears_a_falsehood_when_a_halt_races_with_close() {
    let seen = explore(|| {
        let (gate, halt) = new_run();
        let (submitter, lane) = lane(0);
        let producer = spawn_producer(&gate, &halt, submitter, 1);
        let halter = {
            let halt = halt.clone();
            thread::spawn(move || {
                let _ = halt.fire(HaltReason::BackendError(String::new()));
            })
        };
        let mut writer = Writer::new(&gate, &halt, vec![lane]);
        writer.close(|| {}, |_| {});
        halter.join().unwrap();
        writer.check(&producer.join().unwrap())
    });
    assert_eq!(seen, BTreeSet::from([[NotPushed], [Accepted], [Refused], [Halted]].map(Vec::from)));
}

/// As a tap does that was cleared too late: it finds the run ended and halts the node. What raced
/// with the close is in the log or refused all the same.
///
/// 12 646 executions, 0.4 s.
#[test]
fn a_halt_after_the_end_changes_no_answer() {
    let seen = explore(|| {
        let (gate, halt) = new_run();
        let (submitter, lane) = lane(0);
        let producer = spawn_producer(&gate, &halt, submitter, 1);
        let mut writer = Writer::new(&gate, &halt, vec![lane]);
        writer.close(|| {}, |_| {});
        halt.fire(HaltReason::BackendError(String::new()));
        writer.check(&producer.join().unwrap())
    });
    assert_eq!(seen, BTreeSet::from([[NotPushed], [Accepted], [Refused]].map(Vec::from)));
}

/// Who waits for the end of the run is woken by it. Missed, it would be a deadlock.
#[test]
fn a_waiter_for_the_end_is_woken() {
    let slept = explore(|| {
        let (gate, halt) = new_run();
        let waiter = {
            let (gate, halt) = (Arc::clone(&gate), halt.clone());
            thread::spawn(move || {
                let mut checks = 0;
                halt.parking().wait_until(None, || {
                    checks += 1;
                    gate.is_closed()
                });
                // The third check is made after the first sleep.
                checks > 2
            })
        };
        Writer::new(&gate, &halt, vec![]).close(|| {}, |_| {});
        waiter.join().unwrap()
    });
    assert_eq!(slept, BTreeSet::from([false, true]));
}

/// Who waits for the writer's answer, and finds it closing without one, gives up: an answer that
/// was given before is seen.
///
/// 6 executions.
#[test]
fn who_sees_the_close_begin_sees_what_was_answered_before() {
    let seen = explore(|| {
        let (gate, _) = new_run();
        let answer = Arc::new(Plain::new(0));
        let waiter = {
            let (gate, answer) = (Arc::clone(&gate), Arc::clone(&answer));
            thread::spawn(move || gate.is_closing().then(|| answer.get()))
        };
        answer.set(1);
        gate.begin_close();
        waiter.join().unwrap()
    });
    assert_eq!(seen, BTreeSet::from([None, Some(1)]));
}
