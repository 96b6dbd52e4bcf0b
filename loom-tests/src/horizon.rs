//! [`OrderClock`]: merged by the horizon rule, an effect is never taken in an earlier round than
//! its cause, and never before it.
//!
//! The shared counter, since loom cannot see the cycle counter. Two producers and two rounds, or a
//! chain of three producers and one round, under a writer that ends with a last round over what is
//! left. Exhaustive. Two tests of the test get the writer's steps wrong.

use std::collections::BTreeSet;

use loom::thread::{self, JoinHandle};

use crate::explore::explore;
use crate::merge::{Merge, Message, submit};
use crate::protocol::OrderClock;
use crate::ring::{Pusher, ring};
use crate::sync::{Arc, AtomicBool, Ordering};

/// What one producer tells the next.
type Signal = Arc<AtomicBool>;

fn signal() -> Signal {
    Arc::new(AtomicBool::new(false))
}

/// A producer that submits `name` once it has learnt of its `cause`, and tells of it. If it has not
/// heard of the cause when it looks, it submits nothing; loom tries both. Returns what it
/// submitted.
fn spawn_producer(
    clock: &Arc<OrderClock>,
    mut ring: Pusher<Message>,
    name: char,
    cause: Option<Signal>,
    tell: Option<Signal>,
) -> JoinHandle<Option<char>> {
    let clock = Arc::clone(clock);
    thread::spawn(move || {
        if cause.is_some_and(|cause| !cause.load(Ordering::Acquire)) {
            return None;
        }
        submit(&clock, &mut ring, name);
        if let Some(tell) = tell {
            tell.store(true, Ordering::Release);
        }
        Some(name)
    })
}

/// Two producers, a and b caused by a, under a writer that does `rounds`. What was taken in them.
fn cause_and_effect(effect_first: bool, rounds: impl Fn(&OrderClock, &mut Merge)) -> String {
    let clock = Arc::new(OrderClock::counter());
    let ((push_a, take_a), (push_b, take_b)) = (ring(), ring());
    let told = signal();
    let producers = [
        spawn_producer(&clock, push_a, 'a', None, Some(Arc::clone(&told))),
        spawn_producer(&clock, push_b, 'b', Some(told), None),
    ];
    let lanes = if effect_first { vec![take_b, take_a] } else { vec![take_a, take_b] };
    let mut merge = Merge::new(lanes);
    rounds(&clock, &mut merge);
    let taken = merge.log().to_owned();
    merge.assert_in_order(&['a', 'b']);
    finish(&clock, &mut merge, producers);
    taken
}

/// A last round, after which everything submitted is taken, once, in the order of cause and effect,
/// which is the order of `producers`.
fn finish<const N: usize>(
    clock: &OrderClock,
    merge: &mut Merge,
    producers: [JoinHandle<Option<char>>; N],
) {
    let submitted = producers.into_iter().filter_map(|producer| producer.join().unwrap());
    let submitted: String = submitted.collect();
    merge.collect(clock.horizon(), |_| {});
    assert_eq!(merge.log(), submitted);
}

/// As the writer does it.
fn rounds(count: usize) -> impl Fn(&OrderClock, &mut Merge) {
    move |clock, merge| {
        for _ in 0..count {
            merge.collect(clock.horizon(), |_| {});
            merge.assert_in_order(&['a', 'b']);
        }
    }
}

fn all_prefixes() -> BTreeSet<String> {
    ["", "a", "ab"].map(str::to_owned).into()
}

/// 29 759 executions, 2.8 s.
///
/// Looking into the cause's ring first is the order in which the horizon is needed: between the two
/// looks the cause and its effect can both be pushed, and only the effect is seen.
#[test]
fn an_effect_is_never_taken_before_its_cause() {
    assert_eq!(explore(|| cause_and_effect(false, rounds(2))), all_prefixes());
}

/// 25 299 executions, 2.3 s.
#[test]
fn nor_when_the_writer_looks_at_the_effect_first() {
    assert_eq!(explore(|| cause_and_effect(true, rounds(2))), all_prefixes());
}

/// 87 787 executions, 4.0 s.
#[test]
fn effects_of_effects_come_in_order_too() {
    let seen = explore(|| {
        let clock = Arc::new(OrderClock::counter());
        let ((push_a, take_a), (push_b, take_b), (push_c, take_c)) = (ring(), ring(), ring());
        let (a, b) = (signal(), signal());
        let producers = [
            spawn_producer(&clock, push_a, 'a', None, Some(Arc::clone(&a))),
            spawn_producer(&clock, push_b, 'b', Some(a), Some(Arc::clone(&b))),
            spawn_producer(&clock, push_c, 'c', Some(b), None),
        ];
        let mut merge = Merge::new(vec![take_a, take_b, take_c]);
        merge.collect(clock.horizon(), |_| {});
        merge.assert_in_order(&['a', 'b', 'c']);
        let taken = merge.log().to_owned();
        finish(&clock, &mut merge, producers);
        taken
    });
    assert_eq!(seen, ["", "a", "ab", "abc"].map(str::to_owned).into());
}

/// The test of the test: a writer that takes whatever it sees.
#[test]
#[should_panic(expected = "an effect is ahead of its cause: b")]
fn without_a_horizon_an_effect_gets_ahead() {
    explore(|| cause_and_effect(false, |_, merge| merge.collect(u64::MAX, |_| {})));
}

/// The test of the test: the two steps of a round exchanged.
#[test]
#[should_panic(expected = "an effect is ahead of its cause: b")]
fn with_a_horizon_taken_after_the_look_an_effect_gets_ahead() {
    explore(|| {
        cause_and_effect(false, |clock, merge| {
            merge.look();
            merge.take_before(clock.horizon());
        })
    });
}
