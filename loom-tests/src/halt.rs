//! [`HaltSignal`]: one reason, told once, visible to all who see the halt, and nobody sleeps on.
//!
//! Two threads, three where reasons compete, exhaustive: at most 94 executions each, together 0.01
//! s.

use std::collections::BTreeSet;
use std::sync::Mutex;

use loom::thread;

use crate::explore::explore;
use crate::plain::Plain;
use crate::protocol::{HaltOutcome, HaltReason, HaltSignal, Watermark};
use crate::sync::Arc;

fn reason(number: usize) -> HaltReason {
    HaltReason::BackendError(number.to_string())
}

/// Of three threads that halt the run at one time, one does; its reason is kept, and the callback
/// hears it once.
#[test]
fn the_first_reason_wins() {
    let winners = explore(|| {
        // Not loom's lock: the model's threads are not to be ordered by it.
        let heard = Arc::new(Mutex::new(Vec::new()));
        let halt = {
            let heard = Arc::clone(&heard);
            HaltSignal::with_callback(move |reason| heard.lock().unwrap().push(reason.clone()))
        };
        let others = [1, 2].map(|number| {
            let halt = halt.clone();
            thread::spawn(move || halt.fire(reason(number)))
        });
        let first = halt.fire(reason(0));
        let fired = [first].into_iter().chain(others.map(|other| other.join().unwrap()));
        let winners: Vec<usize> = (0..)
            .zip(fired)
            .filter_map(|(i, fired)| (fired == HaltOutcome::Halted).then_some(i))
            .collect();
        let [winner] = winners[..] else { panic!("winners: {winners:?}") };
        assert_eq!(halt.reason(), Some(reason(winner)));
        assert_eq!(*heard.lock().unwrap(), [reason(winner)]);
        winner
    });
    assert_eq!(winners, BTreeSet::from([0, 1, 2]));
}

#[test]
fn a_halted_run_has_a_reason() {
    let halted = explore(|| {
        let halt = HaltSignal::new();
        let reader = {
            let halt = halt.clone();
            thread::spawn(move || {
                let halted = halt.is_halted();
                assert!(!halted || halt.reason().is_some());
                halted
            })
        };
        halt.fire(reason(0));
        reader.join().unwrap()
    });
    assert_eq!(halted, BTreeSet::from([false, true]));
}

/// Who sees the halt sees all that the halting thread did before. Waiters rely on it: one that
/// wakes because of a halt asks once more whether its message became durable before that.
#[test]
fn who_sees_the_halt_sees_what_came_before() {
    let halted = explore(|| {
        let (log, halt) = (Arc::new(Plain::new(0)), HaltSignal::new());
        let reader = {
            let (log, halt) = (Arc::clone(&log), halt.clone());
            thread::spawn(move || {
                let halted = halt.is_halted();
                assert!(!halted || log.get() == 1);
                halted
            })
        };
        log.set(1);
        halt.fire(reason(0));
        reader.join().unwrap()
    });
    assert_eq!(halted, BTreeSet::from([false, true]));
}

/// A waiter for something that will never come is woken by the halt. Missed, it would be a
/// deadlock.
#[test]
fn a_halt_wakes_waiters() {
    let slept = explore(|| {
        let (watermark, halt) = (Watermark::new(0), HaltSignal::new());
        let waiter = {
            let halt = halt.clone();
            thread::spawn(move || {
                let mut checks = 0;
                halt.parking().wait_until(None, || {
                    checks += 1;
                    watermark.get() > 0 || halt.is_halted()
                });
                // The third check is made after the first sleep.
                checks > 2
            })
        };
        halt.fire(reason(0));
        waiter.join().unwrap()
    });
    assert_eq!(slept, BTreeSet::from([false, true]));
}
