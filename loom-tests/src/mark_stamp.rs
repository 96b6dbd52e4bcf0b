//! [`MarkStamp`]: a mark of market data that goes by the stamp of the data before it still stands behind every entry that
//! caused it, and before every entry it caused.
//!
//! A feed that marks data w and then x, and another producer's entry y, under a writer of two rounds, the
//! second when both are done. Exhaustive.

use std::collections::BTreeSet;

use loom::thread;

use crate::explore::explore;
use crate::merge::{Merge, Message};
use crate::protocol::{LatestEntry, MarkStamp, OrderClock};
use crate::ring::{Pusher, ring};
use crate::sync::{Arc, AtomicBool, Ordering};

/// One producer: what it marks and enters, in the order of its pushes.
struct Producer {
    clock: OrderClock,
    stamp: MarkStamp,
    ring: Pusher<Message>,
}

impl Producer {
    /// As `Producer::mark` does it.
    fn mark(&mut self, name: char) {
        let stamp = self.stamp.get(|| self.clock.stamp());
        self.ring.push(Message::new(stamp, name));
    }

    /// As `Producer::submit` does it.
    fn enter(&mut self, name: char) {
        let stamp = self.clock.stamp();
        self.stamp.entry_stamped(stamp);
        self.ring.push(Message::new(stamp, name));
    }
}

/// The feed and the other producer each do their part, under a writer that does a round, and one when they are done. What
/// was taken.
fn run(
    order: &'static [char],
    feed: impl FnOnce(Producer) + 'static,
    other: impl FnOnce(Producer) + 'static,
) -> String {
    let clock = OrderClock::counter();
    let latest_entry = LatestEntry::new();
    let ((push_feed, take_feed), (push_other, take_other)) = (ring(), ring());
    let producer =
        |ring| Producer { clock: clock.clone(), stamp: MarkStamp::new(latest_entry.clone()), ring };
    let (first, second) = (producer(push_feed), producer(push_other));
    let threads = [thread::spawn(move || feed(first)), thread::spawn(move || other(second))];
    let mut merge = Merge::new(vec![take_feed, take_other]);
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

/// 79 771 executions, 6 s.
#[test]
fn data_stands_behind_the_entry_that_caused_it() {
    let seen = explore(|| {
        let (tell, heard) = told();
        run(
            &['y', 'x'],
            move |mut feed| {
                feed.mark('w');
                if heard.load(Ordering::Acquire) {
                    feed.mark('x');
                }
            },
            move |mut other| {
                other.enter('y');
                tell.store(true, Ordering::Release);
            },
        )
    });
    assert_eq!(seen, orders(&["wy", "yw", "wyx", "ywx"]));
}

/// 4 788 executions, 0.4 s.
#[test]
fn data_stands_before_the_entry_it_caused() {
    let seen = explore(|| {
        let (tell, heard) = told();
        run(
            &['x', 'y'],
            move |mut feed| {
                feed.mark('w');
                feed.mark('x');
                tell.store(true, Ordering::Release);
            },
            move |mut other| {
                if heard.load(Ordering::Acquire) {
                    other.enter('y');
                }
            },
        )
    });
    assert_eq!(seen, orders(&["wx", "wxy"]));
}
