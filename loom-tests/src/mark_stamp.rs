//! [`MarkStamp`]: a mark of market data that goes by the stamp of the data before it still stands
//! behind every entry that caused it, and before every entry it caused.
//!
//! A feed that marks data w and then x, and another producer's entry y, under a writer of two
//! rounds, the second when both are done. The writer looks into the two rings in either order: into
//! that of the cause first is what finds a cause that is not there yet. Exhaustive, but for the
//! model of three producers.

use std::collections::BTreeSet;

use loom::thread;

use crate::explore::{explore, explore_preempting};
use crate::merge::{Merge, Message};
use crate::protocol::{LatestEntry, MarkStamp, OrderClock};
use crate::ring::{Pusher, ring};
use crate::sync::{Arc, AtomicBool, Ordering};

/// One producer: what it marks and enters, in the order of its pushes.
struct Producer {
    clock: Arc<OrderClock>,
    latest_entry: Arc<LatestEntry>,
    stamp: MarkStamp,
    ring: Pusher<Message>,
}

impl Producer {
    /// As `Producer::mark` does it.
    fn mark(&mut self, name: char) {
        let stamp = self.stamp.get(&self.latest_entry, || self.clock.stamp());
        self.ring.push(Message::new(stamp, name));
    }

    /// As `Producer::submit` does it.
    fn enter(&mut self, name: char) {
        let stamp = self.clock.stamp();
        self.ring.push(Message::new(stamp, name));
        self.latest_entry.note();
    }
}

type Part = Box<dyn FnOnce(Producer)>;

fn part(part: impl FnOnce(Producer) + 'static) -> Part {
    Box::new(part)
}

/// Each producer does its part, under a writer that does a round, and one when they are done; it
/// looks into their rings in the order given. What was taken.
fn run(order: &'static [char], parts: Vec<Part>) -> String {
    let clock = Arc::new(OrderClock::counter());
    let latest_entry = Arc::new(LatestEntry::new());
    let (pushers, takers): (Vec<_>, Vec<_>) = parts.iter().map(|_| ring()).unzip();
    let producer = |ring| Producer {
        clock: Arc::clone(&clock),
        latest_entry: Arc::clone(&latest_entry),
        stamp: MarkStamp::new(),
        ring,
    };
    let producers: Vec<Producer> = pushers.into_iter().map(producer).collect();
    let spawn = |(part, producer): (Part, _)| thread::spawn(move || part(producer));
    let threads: Vec<_> = parts.into_iter().zip(producers).map(spawn).collect();
    let mut merge = Merge::new(takers);
    merge.collect(clock.horizon(), |_| {});
    merge.assert_in_order(order);
    for thread in threads {
        thread.join().unwrap();
    }
    merge.collect(clock.horizon() + 1, |_| {});
    merge.assert_in_order(order);
    merge.log().to_owned()
}

fn told() -> (Arc<AtomicBool>, Arc<AtomicBool>) {
    let told = Arc::new(AtomicBool::new(false));
    (Arc::clone(&told), told)
}

fn orders(orders: &[&str]) -> BTreeSet<String> {
    orders.iter().map(|order| (*order).to_owned()).collect()
}

/// A feed that marks w, and x once it has heard of y; and who enters y, and tells.
fn data_behind_its_cause() -> (Part, Part) {
    let (tell, heard) = told();
    let feed = part(move |mut feed| {
        feed.mark('w');
        if heard.load(Ordering::Acquire) {
            feed.mark('x');
        }
    });
    let other = part(move |mut other| {
        other.enter('y');
        tell.store(true, Ordering::Release);
    });
    (feed, other)
}

/// 71 749 executions, 6 s.
#[test]
fn data_stands_behind_the_entry_that_caused_it() {
    let seen = explore(|| {
        let (feed, other) = data_behind_its_cause();
        run(&['y', 'x'], vec![feed, other])
    });
    assert_eq!(seen, orders(&["wy", "yw", "wyx", "ywx"]));
}

/// 100 417 executions, 7 s.
#[test]
fn so_it_does_when_the_cause_is_looked_for_first() {
    let seen = explore(|| {
        let (feed, other) = data_behind_its_cause();
        run(&['y', 'x'], vec![other, feed])
    });
    assert_eq!(seen, orders(&["wy", "yw", "wyx", "ywx"]));
}

/// The latest entry that the feed finds is not the one that caused its data, but one that was noted
/// after that.
///
/// At most 2 preemptions: 10 968 executions, 1.5 s.
#[test]
fn so_it_does_when_another_entry_was_noted_since() {
    let seen = explore_preempting(2, || {
        let (feed, other) = data_behind_its_cause();
        let third = part(|mut third: Producer| third.enter('v'));
        run(&['y', 'x'], vec![other, third, feed])
    });
    let caused: Vec<_> = seen.iter().filter(|order| order.contains('x')).collect();
    assert!(caused.iter().any(|order| order.contains("vy")), "{caused:?}");
    assert!(caused.iter().any(|order| order.contains("yv")), "{caused:?}");
}

/// 4 788 and 4 362 executions, 1 s.
#[test]
fn data_stands_before_the_entry_it_caused() {
    for feed_is_first in [true, false] {
        let seen = explore(move || {
            let (tell, heard) = told();
            let feed = part(move |mut feed| {
                feed.mark('w');
                feed.mark('x');
                tell.store(true, Ordering::Release);
            });
            let other = part(move |mut other| {
                if heard.load(Ordering::Acquire) {
                    other.enter('y');
                }
            });
            let parts = if feed_is_first { vec![feed, other] } else { vec![other, feed] };
            run(&['x', 'y'], parts)
        });
        assert_eq!(seen, orders(&["wx", "wxy"]));
    }
}
