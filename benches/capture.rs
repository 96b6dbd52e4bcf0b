//! What a submit costs its caller while another core drains the ring, and how much of that is the
//! ring: the bare copy of as many lines into an `rtrb` ring that is drained in the same way.
//!
//! Messages go out in batches that fit into the empty ring, so that none waits for room; the wait
//! for the drain is not timed.

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rtrb::{Consumer, RingBuffer};
use tapline::engine::{CorePin, EventStoreWriter, WriterConfig};
use tapline::internals::format::{Line, SealedFrame};
use tapline::store::{
    AnchorError, AppendError, EventStore, MemoryBackend, OpenRunError, RunOpening, RunReader,
    SealError, SealedRun, Tail,
};
use tapline::{
    Clock, EntryDraft, HaltSignal, RunId, RunManifest, RunStatus, SnapshotAnchor, UnixNanos,
};

const RING_LINES: usize = 32_768;
const TIMEOUT: Duration = Duration::from_secs(10);

/// A memory backend that forgets its frames: a bench makes more of them than memory can hold.
#[derive(Debug, Default)]
struct Forgetful(MemoryBackend);

impl EventStore for Forgetful {
    fn open_run(&mut self, manifest: RunManifest) -> Result<RunOpening, OpenRunError> {
        self.0.open_run(manifest)
    }

    fn append(&mut self, _frames: &[SealedFrame<'_>]) -> Result<(), AppendError> {
        Ok(())
    }

    fn record_anchor(&mut self, anchor: &SnapshotAnchor) -> Result<(), AnchorError> {
        self.0.record_anchor(anchor)
    }

    fn seal(
        &mut self,
        status: RunStatus,
        end_ts_init: Option<UnixNanos>,
    ) -> Result<SealedRun, SealError> {
        self.0.seal(status, end_ts_init)
    }

    fn tail(&self) -> Option<Tail> {
        self.0.tail()
    }

    fn reader(&self) -> Option<Arc<dyn RunReader>> {
        self.0.reader()
    }
}

fn capture(c: &mut Criterion) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let drain_core = cores.last().copied().filter(|_| cores.len() > 1);
    // The drains are on their own core before this thread, whose core they inherit, is pinned.
    let writer = start_writer(drain_core);
    let mut group = c.benchmark_group("capture");
    group.throughput(Throughput::Elements(1));

    let record = support::record();
    let messages_max = (RING_LINES / record.len() - 1) as u64;
    let payload = [7; support::PAYLOAD_BYTES];
    let draft = EntryDraft {
        topic: "orders.sim.es",
        payload_type: "OrderAdded",
        payload: &payload,
        ..EntryDraft::default()
    };
    let mut producer = writer.producer().expect("the run is open");
    let durability = producer.durability();
    let (mut ring, consumer) = RingBuffer::<Line>::new(RING_LINES);
    let drain = std::thread::spawn(move || drain(consumer, drain_core));
    if drain_core.is_some() {
        core_affinity::set_for_current(cores[0]);
    }

    group.bench_function("submit", |b| {
        b.iter_custom(|messages| {
            in_batches(messages, messages_max, |batch| {
                let began = Instant::now();
                let mut last = None;
                for _ in 0..batch {
                    last = Some(producer.submit(black_box(&draft)).expect("the run is open"));
                }
                let elapsed = began.elapsed();
                let last = last.expect("a batch is not empty");
                durability.wait(last, TIMEOUT).expect("the writer drains the ring");
                elapsed
            })
        });
    });
    group.bench_function("bare_ring", |b| {
        b.iter_custom(|messages| {
            in_batches(messages, messages_max, |batch| {
                let began = Instant::now();
                for _ in 0..batch {
                    ring.push_entire_slice(black_box(&record)).expect("the batch fits");
                }
                let elapsed = began.elapsed();
                while ring.slots() < RING_LINES {
                    std::thread::yield_now();
                }
                elapsed
            })
        });
    });
    group.finish();
    drop(ring);
    drain.join().expect("the drain does not panic");
}

fn in_batches(
    messages: u64,
    messages_max: u64,
    mut batch: impl FnMut(u64) -> Duration,
) -> Duration {
    let mut left = messages;
    let mut elapsed = Duration::ZERO;
    while left > 0 {
        let size = left.min(messages_max);
        elapsed += batch(size);
        left -= size;
    }
    elapsed
}

fn start_writer(core: Option<CoreId>) -> EventStoreWriter {
    let start = UnixNanos::now();
    let instance = "bench".parse().expect("a valid name");
    let mut store = Box::<Forgetful>::default();
    store
        .open_run(RunManifest::new(instance, RunId::generate(start), start))
        .expect("memory can be opened");
    let config = WriterConfig {
        halt_threshold: TIMEOUT,
        ring_lines: RING_LINES,
        writer_core: core.map_or(CorePin::None, |core| CorePin::Core(core.id)),
        ..WriterConfig::default()
    };
    EventStoreWriter::spawn(store, Clock::Realtime, HaltSignal::new(), config)
        .expect("the run is open")
}

/// Copies out what is in the ring, as the writer does, until the producer is gone.
fn drain(mut ring: Consumer<Line>, core: Option<CoreId>) {
    if let Some(core) = core {
        core_affinity::set_for_current(core);
    }
    let mut copied = Vec::with_capacity(RING_LINES);
    while !ring.is_abandoned() {
        let chunk = ring.read_chunk(ring.slots()).expect("what is in view stays in the ring");
        if chunk.is_empty() {
            std::thread::yield_now();
            continue;
        }
        let (front, wrapped) = chunk.as_slices();
        copied.clear();
        copied.extend_from_slice(front);
        copied.extend_from_slice(wrapped);
        black_box(&copied);
        chunk.commit_all();
    }
}

criterion_group!(benches, capture);
criterion_main!(benches);
