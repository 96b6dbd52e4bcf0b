//! A halt callback may do anything, in both modes, on whatever thread the run halts.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tapline::engine::{
    AnchorRequestError, CloseError, EventStoreWriter, ProducerError, WaitError, WriterConfig,
};
use tapline::store::EventStore;
use tapline::{Clock, ContentHash, HaltReason, HaltSignal, SimulatedClock};

use crate::support::{Fault, FaultyStore, MODES, PATIENCE, Start, draft, ended, manifest};

/// Where a callback finds the writer.
type Place = Arc<Mutex<Option<EventStoreWriter>>>;

/// Halts a run at its second commit. `in_callback` gets the writer. Returns what `in_callback`
/// returned.
fn halt<T: Send + 'static>(
    start: Start,
    fault: Fault,
    in_callback: impl Fn(EventStoreWriter) -> T + Send + Sync + 'static,
) -> (Receiver<T>, HaltSignal) {
    let place = Place::default();
    let (tell, told) = channel();
    let (at, tell) = (Arc::clone(&place), Mutex::new(tell));
    let halt = HaltSignal::with_callback(move |_reason| {
        let writer = at.lock().expect("no panic").take().expect("it is there before the halt");
        let answer = in_callback(writer);
        tell.lock().expect("no panic").send(answer).expect("somebody listens");
    });
    let mut store = FaultyStore::failing(2, fault);
    store.open_run(manifest(1)).expect("new");
    let clock = Clock::Simulated(SimulatedClock::default());
    let config = WriterConfig { overlap_bytes_min: 128 << 20, ..WriterConfig::default() };
    let writer = start(Box::new(store), clock, halt.clone(), config).expect("open");
    let mut producer = writer.producer().expect("open");
    producer.submit(&draft("callback", b"first")).expect("the first commit");
    writer.flush(PATIENCE).expect("the first commit");
    *place.lock().expect("no panic") = Some(writer);
    let _ = producer.submit(&draft("callback", b"second"));
    (told, halt)
}

#[test]
fn a_callback_may_ask_for_anything() {
    for start in MODES {
        for fault in [Fault::Io, Fault::Panic] {
            let (told, halt) = halt(start, fault, |writer| {
                let anchored = writer.record_snapshot_anchor("blob", ContentHash::of(b""));
                let flushed = writer.flush(PATIENCE);
                let producer = writer.producer().map(drop);
                let closed = writer.close(&ended()).map(drop);
                (anchored.map(drop), flushed, producer, closed)
            });
            let began = Instant::now();
            let (anchored, flushed, producer, closed) = told.recv_timeout(PATIENCE).expect("told");
            assert!(began.elapsed() < PATIENCE / 2, "nothing waits for the writer");
            let reason = halt.reason().expect("halted");
            assert!(
                matches!(anchored, Err(AnchorRequestError::Halted(told)) if told == reason),
                "the real reason"
            );
            assert_eq!(flushed, Err(WaitError::Halted(reason.clone())));
            assert_eq!(producer, Err(ProducerError::Halted(reason.clone())));
            assert!(matches!(closed, Err(CloseError::Halted(told)) if told == reason));
        }
    }
}

#[test]
fn a_callback_may_drop_the_writer() {
    for start in MODES {
        let (told, halt) = halt(start, Fault::Io, drop);
        told.recv_timeout(PATIENCE).expect("the callback comes back");
        assert!(matches!(halt.reason(), Some(HaltReason::BackendError(_))));
    }
}

/// The gate closes anyway: closing does not wait for its time limit.
#[test]
fn a_callback_that_panics_leaves_no_gate_open() {
    for start in MODES {
        let halt = HaltSignal::with_callback(|_reason| panic!("the node lost its mind"));
        let mut store = FaultyStore::failing(1, Fault::Io);
        store.open_run(manifest(1)).expect("new");
        let clock = Clock::Simulated(SimulatedClock::default());
        let writer = start(Box::new(store), clock, halt.clone(), WriterConfig::default());
        let writer = writer.expect("open");
        let mut producer = writer.producer().expect("open");
        let _ = producer.submit(&draft("callback", b"first"));
        assert!(matches!(writer.flush(PATIENCE), Err(WaitError::Halted(_))));
        let began = Instant::now();
        assert!(matches!(writer.close(&ended()), Err(CloseError::Halted(_))));
        assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
        assert!(matches!(halt.reason(), Some(HaltReason::BackendError(_))), "not the panic");
    }
}

/// A halted run answers alike in both modes, even if everything is durable.
#[test]
fn flush_on_a_halted_run_is_an_error() {
    for start in MODES {
        let halt = HaltSignal::new();
        let mut store = FaultyStore::failing(9, Fault::Io);
        store.open_run(manifest(1)).expect("new");
        let writer =
            start(Box::new(store), Clock::default(), halt.clone(), WriterConfig::default())
                .expect("open");
        let reason = HaltReason::BackendError("the operator said so".to_owned());
        halt.fire(reason.clone());
        assert_eq!(writer.flush(PATIENCE), Err(WaitError::Halted(reason)));
    }
}
