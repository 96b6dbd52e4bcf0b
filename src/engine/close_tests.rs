//! `close` racing with pushes: what was accepted is in the log, what was refused is not, over every
//! way this machine or another may run the handshake.

use std::time::Duration;

use super::handle::{Drive, EventStoreWriter, Setup};
use super::shared::Machine;
use super::test_log::{payloads, stress};
use super::{SubmitError, WriterConfig};
use crate::model::{Clock, EntryDraft, InstanceId, RunId, RunManifest, UnixNanos};
use crate::protocol::{HaltSignal, OrderClock};
use crate::store::{EventStore, MemoryBackend, MemoryDisk, RunReader};
use crate::sync::AsymmetricBarrier;

const PRODUCERS: u64 = 2;

#[test]
fn close_races_with_pushes() {
    for round in 0..stress(1000) {
        race(OrderClock::detect(), AsymmetricBarrier::new(), round);
    }
}

#[test]
fn close_races_with_pushes_without_membarrier() {
    for round in 0..stress(1000) {
        race(OrderClock::detect(), AsymmetricBarrier::fenced(), round);
    }
}

#[test]
fn close_races_with_pushes_without_a_cycle_counter() {
    for round in 0..stress(1000) {
        race(OrderClock::counter(), AsymmetricBarrier::new(), round);
    }
}

fn race(order_clock: OrderClock, barrier: AsymmetricBarrier, round: u64) {
    let mut store = MemoryBackend::new(MemoryDisk::default());
    let instance: InstanceId = "close".parse().expect("a valid id");
    let start = UnixNanos::new(1);
    store.open_run(RunManifest::new(instance, RunId::generate(start), start)).expect("a new run");
    let reader = store.reader().expect("a run is open");
    // Every second round the committer thread takes part.
    let overlap_bytes_min = if round.is_multiple_of(2) { 0 } else { 128 << 20 };
    let config = WriterConfig { ring_lines: 8192, overlap_bytes_min, ..WriterConfig::default() };
    let halt = HaltSignal::new();
    let setup = Setup {
        store: Box::new(store),
        clock: Clock::default(),
        halt: halt.clone(),
        config,
        markers: None,
        drive: Drive::Thread,
    };
    let machine = Machine { order_clock, barrier };
    let writer = EventStoreWriter::start_on(machine, setup).expect("the run is open");

    let producers = writer.producers();
    let accepted: Vec<u64> = std::thread::scope(|scope| {
        let pushing: Vec<_> = (0..PRODUCERS)
            .map(|me| {
                let mut producer = producers.producer().expect("the run is open");
                scope.spawn(move || {
                    let mut accepted: u64 = 0;
                    loop {
                        let payload = [me.to_le_bytes(), accepted.to_le_bytes()].concat();
                        let draft = EntryDraft {
                            topic: "race",
                            payload_type: "Race",
                            payload: &payload,
                            ..EntryDraft::default()
                        };
                        match producer.submit(&draft) {
                            Ok(_) => accepted += 1,
                            Err(SubmitError::Closed) => break,
                            Err(error) => panic!("refused for another reason: {error}"),
                        }
                    }
                    assert_eq!(producer.submit(&EntryDraft::default()), Err(SubmitError::Closed));
                    accepted
                })
            })
            .collect();
        // A different instant each time, from before the first push to a few hundred pushes in.
        std::thread::sleep(Duration::from_micros(round % 97));
        let ended =
            EntryDraft { topic: "run.ended", payload_type: "RunEnded", ..EntryDraft::default() };
        let report = writer.close(&ended).expect("nothing fails");
        let accepted: Vec<u64> =
            pushing.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        assert_eq!(report.watermark, accepted.iter().sum::<u64>() + 1);
        accepted
    });
    assert!(!halt.is_halted());
    assert_eq!(logged(&*reader), accepted);
}

/// How many messages of each producer are in the log; each one's must be there in push order.
fn logged(reader: &dyn RunReader) -> Vec<u64> {
    let mut counts = vec![0; PRODUCERS as usize];
    for payload in payloads(reader) {
        let ([me, ordinal], []) = payload.as_chunks::<8>() else {
            assert!(payload.is_empty(), "only RunEnded has no payload");
            continue;
        };
        let count = &mut counts[u64::from_le_bytes(*me) as usize];
        assert_eq!(u64::from_le_bytes(*ordinal), *count, "push order");
        *count += 1;
    }
    counts
}
