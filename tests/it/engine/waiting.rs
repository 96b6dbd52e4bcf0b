//! Who waits is woken when there is something to tell, not found right when the time is over.

use std::time::{Duration, Instant};

use tapline::HaltReason;
use tapline::writer::WaitError;

use super::defaults;
use crate::support::{Engine, FaultyStore, Gate, PATIENCE, draft};

/// For another thread to fall asleep.
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

#[test]
fn who_waits_for_more_than_there_is_hears_of_the_end() {
    let engine = Engine::start(defaults());
    let mut ahead = engine.writer.producer().expect("the run is open");
    let durability = engine.writer.producer().expect("the run is open").durability();
    // The ticket of another producer: here it never becomes durable.
    let ticket = ahead.submit(&draft("ahead", &0_u64.to_le_bytes())).expect("room");
    let began = Instant::now();
    let waiting = std::thread::spawn(move || durability.wait(ticket, PATIENCE));
    std::thread::sleep(A_WHILE);
    assert_eq!(engine.close(), 2);
    assert_eq!(waiting.join().expect("no panic"), Err(WaitError::Closed));
    assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
}

#[test]
fn a_waiter_hears_of_a_halt_while_the_store_hangs() {
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
    assert!(engine.halt.fire(reason.clone()));
    assert_eq!(waiting.join().expect("no panic"), Err(WaitError::Halted(reason)));
    assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
    gate.open();
}
