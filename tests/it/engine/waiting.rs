//! Waiters are woken when there is news, not only when their time is over.

use std::time::{Duration, Instant};

use tapline::engine::WaitError;
use tapline::{HaltOutcome, HaltReason};

use super::defaults;
use crate::support::{Engine, FaultyStore, Gate, PATIENCE, draft};

/// Gives another thread time to fall asleep.
const A_WHILE: Duration = Duration::from_millis(50);

#[test]
fn waiters_are_woken_when_it_is_durable() {
    let gate = Gate::default();
    let engine = Engine::start_on(Box::new(FaultyStore::gated(&gate)), defaults());
    let mut producer = engine.writer.producer().expect("the run is open");
    let durability = producer.durability();
    gate.shut();
    let ticket = producer.submit(&draft("woken", &0_u64.to_le_bytes())).expect("room");
    gate.await_waiting();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let of_ticket = scope.spawn(|| durability.wait(ticket, PATIENCE));
        let of_watermark = scope.spawn(|| engine.writer.wait_for_watermark(1, PATIENCE));
        std::thread::sleep(A_WHILE);
        gate.open();
        assert_eq!(of_ticket.join().expect("no panic"), Ok(()));
        assert_eq!(of_watermark.join().expect("no panic"), Ok(1));
    });
    for _ in 0..100 {
        assert_eq!(engine.writer.flush(PATIENCE), Ok(1));
    }
    assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
}

/// Such a ticket used to look like one of the producer that was asked, and never became durable.
#[test]
fn a_ticket_of_another_producer_is_answered() {
    let engine = Engine::start(defaults());
    let mut ahead = engine.writer.producer().expect("the run is open");
    let durability = engine.writer.producer().expect("the run is open").durability();
    let ticket = ahead.submit(&draft("ahead", &0_u64.to_le_bytes())).expect("room");
    assert_eq!(durability.wait(ticket, PATIENCE), Ok(()));
    assert!(durability.is_durable(ticket));
    assert_eq!(engine.close(), 2);
    assert_eq!(durability.wait(ticket, Duration::ZERO), Ok(()), "also after the end");
}

#[test]
fn a_halt_wakes_waiters_of_a_hanging_store() {
    let gate = Gate::default();
    let engine = Engine::start_on(Box::new(FaultyStore::gated(&gate)), defaults());
    let mut producer = engine.writer.producer().expect("the run is open");
    gate.shut();
    let ticket = producer.submit(&draft("hangs", &0_u64.to_le_bytes())).expect("room");
    gate.await_waiting();
    let (durability, began) = (producer.durability(), Instant::now());
    let waiting = std::thread::spawn(move || durability.wait(ticket, PATIENCE));
    std::thread::sleep(A_WHILE);
    let reason = HaltReason::BackendError("the test says so".to_owned());
    assert_eq!(engine.halt.fire(reason.clone()), HaltOutcome::Halted);
    assert_eq!(waiting.join().expect("no panic"), Err(WaitError::Halted(reason)));
    assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
    gate.open();
}
