//! Fail-stop: the first reason wins, everybody learns it, and nothing is accepted afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tapline::engine::{AnchorRequestError, CloseError, ProducerError, WaitError, WriterConfig};
use tapline::store::{EventStore, FileError, MemoryBackend, MemoryDisk, OpenRunError, RunOpening};
use tapline::{ContentHash, HaltOutcome, HaltReason, HaltSignal, SubmitError};

use super::defaults;
use crate::support::{
    Engine, Fault, FaultyStore, Gate, PATIENCE, counts_by_topic, draft, ended, entries, manifest,
};

/// A signal that counts how often its callback ran.
fn counted() -> (HaltSignal, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&calls);
    let halt = HaltSignal::with_callback(move |_reason| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    (halt, calls)
}

#[test]
fn a_backend_that_blocks_halts_the_run_once() {
    let gate = Gate::default();
    let (halt, calls) = counted();
    let threshold = Duration::from_millis(50);
    let config = WriterConfig {
        ring_lines: 64,
        record_bytes_max: 256,
        name_bytes_max: 64,
        halt_threshold: threshold,
        ..defaults()
    };
    let engine = Engine::start_with_halt(Box::new(FaultyStore::gated(&gate)), config, halt);
    let mut first = engine.writer.producer().expect("the run is open");
    let ticket = first.submit(&draft("before", &0_u64.to_le_bytes())).expect("room");
    first.durability().wait(ticket, PATIENCE).expect("the gate is open");
    assert_eq!(engine.writer.watermark(), 1);

    gate.shut();
    let outcomes: Vec<(u64, SubmitError)> = std::thread::scope(|scope| {
        let submitting: Vec<_> = (0..4)
            .map(|me| {
                let mut producer = engine.writer.producer().expect("the run is open");
                scope.spawn(move || {
                    let topic = format!("stalled.{me}");
                    let mut accepted: u64 = 0;
                    loop {
                        match producer.submit(&draft(&topic, &accepted.to_le_bytes())) {
                            Ok(_) => accepted += 1,
                            Err(error) => {
                                let again = producer.submit(&draft(&topic, b"again"));
                                assert_eq!(again, Err(SubmitError::Closed), "without blocking");
                                return (accepted, error);
                            }
                        }
                    }
                })
            })
            .collect();
        submitting.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let signaled = |error: &SubmitError| {
        matches!(error, SubmitError::HaltSignaled { stalled_for, threshold: t }
            if *t == threshold && *stalled_for >= threshold)
    };
    assert_eq!(outcomes.iter().filter(|(_, error)| signaled(error)).count(), 1);
    assert_eq!(outcomes.iter().filter(|(_, error)| *error == SubmitError::Closed).count(), 3);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(matches!(engine.halt.reason(), Some(HaltReason::BackpressureStall { .. })));
    assert!(matches!(engine.writer.producer(), Err(ProducerError::Halted(_))));

    gate.open();
    let Engine { writer, reader, halt } = engine;
    assert!(matches!(writer.close(&ended()), Err(CloseError::Halted(_))));
    assert_eq!(calls.load(Ordering::SeqCst), 1, "closing a halted run halts it no second time");
    drop(halt);
    // The blocked commit may have succeeded. Nothing was committed after it, and the log has only
    // accepted messages.
    let counts = counts_by_topic(&entries(&reader));
    assert_eq!(counts["before"], 1);
    for (me, (accepted, _)) in outcomes.iter().enumerate() {
        assert!(counts.get(&format!("stalled.{me}")).copied().unwrap_or(0) <= *accepted);
    }
}

#[test]
fn a_failed_commit_halts_without_retry() {
    for (fault, reason) in [
        (Fault::DiskFull, "BackendDisk"),
        (Fault::Corrupted, "BackendCorrupted"),
        (Fault::Io, "BackendError"),
        (Fault::Panic, "WriterDied"),
    ] {
        let (halt, calls) = counted();
        let store = Box::new(FaultyStore::failing(3, fault));
        let engine = Engine::start_with_halt(store, defaults(), halt);
        let mut producer = engine.writer.producer().expect("the run is open");
        let durability = producer.durability();
        // One message a commit. The third commit fails.
        let mut told = Vec::new();
        for number in 0_u64..4 {
            match producer.submit(&draft("fails", &number.to_le_bytes())) {
                Ok(ticket) => told.push(durability.wait(ticket, PATIENCE)),
                Err(error) => assert_eq!((number, error), (3, SubmitError::Closed)),
            }
        }
        assert_eq!(told[..2], [Ok(()), Ok(())]);
        assert_eq!(told.len(), 3);
        let Err(WaitError::Halted(given)) = &told[2] else { panic!("told {told:?}") };
        assert!(format!("{given:?}").starts_with(reason), "{given:?}");
        assert_eq!(engine.halt.reason().as_ref(), Some(given));

        assert_eq!(engine.writer.watermark(), 2, "nothing uncommitted is reported durable");
        assert!(matches!(engine.writer.flush(PATIENCE), Err(WaitError::Halted(_))));
        let waited = engine.writer.wait_for_watermark(3, PATIENCE);
        assert!(matches!(waited, Err(WaitError::Halted(_))));
        let anchored = engine.writer.record_snapshot_anchor("blob", ContentHash::of(b""));
        assert!(matches!(anchored, Err(AnchorRequestError::Halted(_))), "{anchored:?}");
        let Engine { writer, reader, .. } = engine;
        let closing = Instant::now();
        assert!(matches!(writer.close(&ended()), Err(CloseError::Halted(_))));
        assert!(closing.elapsed() < PATIENCE, "the thread has ended, whatever it died of");
        // The callback comes after the waiters are woken. The closed writer has run it.
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert_eq!(counts_by_topic(&entries(&reader))["fails"], 2);
        assert_eq!(reader.manifest().expect("a manifest").status, tapline::RunStatus::Running);
    }
}

#[test]
fn a_run_halted_from_outside_accepts_nothing_more() {
    let (halt, calls) = counted();
    let engine =
        Engine::start_with_halt(Box::new(FaultyStore::gated(&Gate::default())), defaults(), halt);
    let mut producer = engine.writer.producer().expect("the run is open");
    producer.submit(&draft("outside", &0_u64.to_le_bytes())).expect("room");
    let reason = HaltReason::BackendError("the operator said so".to_owned());
    assert_eq!(engine.halt.fire(reason.clone()), HaltOutcome::Halted);
    let late = HaltReason::WriterDied("too late".to_owned());
    assert_eq!(engine.halt.fire(late), HaltOutcome::AlreadyHalted);
    assert_eq!(producer.submit(&draft("outside", b"late")), Err(SubmitError::Closed));
    assert_eq!(engine.halt.reason(), Some(reason.clone()));
    assert_eq!(engine.writer.halt().reason(), Some(reason));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn an_unanswered_anchor_request_halts_the_run() {
    let gate = Gate::default();
    let threshold = Duration::from_millis(50);
    let config = WriterConfig { halt_threshold: threshold, ..defaults() };
    let engine = Engine::start_on(Box::new(FaultyStore::gated(&gate)), config);
    let mut producer = engine.writer.producer().expect("the run is open");
    gate.shut();
    producer.submit(&draft("anchor", &0_u64.to_le_bytes())).expect("room");
    gate.await_waiting();
    let anchored = engine.writer.record_snapshot_anchor("blob", ContentHash::of(b""));
    let Err(AnchorRequestError::Halted(HaltReason::BackpressureStall { threshold: given, .. })) =
        anchored
    else {
        panic!("{anchored:?}");
    };
    assert_eq!(given, threshold);
    gate.open();
}

#[test]
fn timed_out_flushes_block_nobody() {
    let gate = Gate::default();
    let threshold = Duration::from_millis(50);
    let config = WriterConfig { halt_threshold: threshold, close_timeout: threshold, ..defaults() };
    let engine = Engine::start_on(Box::new(FaultyStore::gated(&gate)), config);
    let mut producer = engine.writer.producer().expect("the run is open");
    gate.shut();
    producer.submit(&draft("flush", &0_u64.to_le_bytes())).expect("room");
    gate.await_waiting();
    let short = Duration::from_millis(1);
    for _ in 0..100 {
        assert_eq!(engine.writer.flush(short), Err(WaitError::TimedOut { waited: short }));
    }
    assert_an_anchor_is_given_up(engine, &gate);
}

/// The caller learns that the run is halted. Its request is not carried out when the store comes
/// back.
#[track_caller]
fn assert_an_anchor_is_given_up(engine: Engine, gate: &Gate) {
    let anchored = engine.writer.record_snapshot_anchor("blob", ContentHash::of(b""));
    assert!(matches!(anchored, Err(AnchorRequestError::Halted(_))), "{anchored:?}");
    gate.open();
    let Engine { writer, reader, .. } = engine;
    drop(writer);
    assert_eq!(reader.anchor().expect("memory"), None);
}

#[test]
fn a_timed_out_anchor_is_not_recorded() {
    let gate = Gate::default();
    let config = WriterConfig {
        halt_threshold: Duration::from_millis(50),
        // The message is committed because of the anchor, not before.
        max_batch_latency: Some(Duration::from_secs(10)),
        ..defaults()
    };
    let engine = Engine::start_on(Box::new(FaultyStore::gated(&gate)), config);
    let mut producer = engine.writer.producer().expect("the run is open");
    gate.shut();
    producer.submit(&draft("anchor", &0_u64.to_le_bytes())).expect("room");
    assert_an_anchor_is_given_up(engine, &gate);
}

#[test]
fn a_timed_out_close_does_not_seal() {
    let (gate, disk) = (Gate::default(), MemoryDisk::default());
    let config = WriterConfig { close_timeout: Duration::from_millis(50), ..defaults() };
    let store = FaultyStore::gated_before(Box::new(MemoryBackend::new(disk.clone())), &gate);
    let Engine { writer, reader, .. } = Engine::start_on(Box::new(store), config);
    drop(reader);
    gate.shut();
    assert!(matches!(writer.close(&ended()), Err(CloseError::Halted(_))));
    gate.open();
    // The writer releases the run when the store comes back.
    let deadline = Instant::now() + PATIENCE;
    let reopened = loop {
        match MemoryBackend::new(disk.clone()).open_run(manifest(1)) {
            Err(OpenRunError::File(FileError::InUse { .. })) if Instant::now() < deadline => {
                std::thread::yield_now();
            }
            reopened => break reopened,
        }
    };
    assert!(matches!(reopened, Ok(RunOpening::CrashedPredecessor(_))), "{reopened:?}");
}

/// The run is sealed, and the caller of close learns that. But the node must not wait for such a
/// disk.
#[test]
fn a_backend_hanging_in_drop_delays_no_close() {
    let gate = Gate::default();
    let config = WriterConfig { close_timeout: Duration::from_millis(50), ..defaults() };
    let engine = Engine::start_on(Box::new(FaultyStore::gated_at_last(&gate)), config);
    gate.shut();
    let Engine { writer, halt, .. } = engine;
    assert_eq!(writer.close(&ended()).expect("sealed").watermark, 1);
    let setting = "close_timeout_ms";
    assert_eq!(
        halt.reason(),
        Some(HaltReason::NoAnswer { waited: Duration::from_millis(50), setting })
    );
    gate.open();
}

/// A request after a close is never answered. That is no stall.
#[test]
fn an_anchor_during_close_is_refused() {
    let gate = Gate::default();
    let config = WriterConfig { halt_threshold: Duration::from_millis(50), ..defaults() };
    let engine = Engine::start_on(Box::new(FaultyStore::gated(&gate)), config);
    let anchorer = engine.writer.snapshot_anchorer();
    let Engine { writer, halt, .. } = engine;
    gate.shut();
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| writer.close(&ended()));
        // The last entry is on its way.
        gate.await_waiting();
        let refused = anchorer.record("blob", ContentHash::of(b""));
        assert!(matches!(refused, Err(AnchorRequestError::Closed)), "{refused:?}");
        std::thread::sleep(Duration::from_millis(100));
        gate.open();
        assert_eq!(closing.join().expect("no panic").expect("closed in order").watermark, 1);
    });
    assert!(!halt.is_halted());
}

#[test]
fn a_hanging_backend_does_not_hang_close_or_drop() {
    for close in [true, false] {
        let gate = Gate::default();
        let timeout = Duration::from_millis(50);
        let config = WriterConfig { close_timeout: timeout, ..defaults() };
        let engine = Engine::start_on(Box::new(FaultyStore::gated(&gate)), config);
        let mut producer = engine.writer.producer().expect("the run is open");
        gate.shut();
        producer.submit(&draft("hangs", &0_u64.to_le_bytes())).expect("room");
        gate.await_waiting();
        let Engine { writer, halt, .. } = engine;
        if close {
            assert!(matches!(writer.close(&ended()), Err(CloseError::Halted(_))));
        } else {
            drop(writer);
        }
        let setting = "close_timeout_ms";
        assert_eq!(
            halt.reason(),
            Some(HaltReason::NoAnswer { waited: Duration::from_millis(50), setting })
        );
        gate.open();
    }
}
