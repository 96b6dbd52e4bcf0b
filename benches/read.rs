//! Reading a sealed run of a quarter of a gigabyte, out of the page cache: all of it in order, all
//! of it to verify, and entry by entry. Every hash is checked each time.

mod support;

use std::hint::black_box;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tapline::internals::format::{FrameBuilder, FrameLimits, RecordStamp};
use tapline::read::{Direction, EventStoreReader, Verifier};
use tapline::store::{EventStore, RedbBackend, RunReader, open_sealed};
use tapline::{InstanceId, RunId, RunManifest, RunStatus, UnixNanos};
use tempfile::TempDir;

const RUN_BYTES: usize = 256 << 20;

/// The default of `batch_bytes_max`: what a saturated engine commits.
const LIMITS: FrameLimits = FrameLimits { entries_max: 65_536, bytes_max: (2 << 20) - 4096 };

/// A sealed run.
struct Run {
    source: Arc<dyn RunReader>,
    entries: u64,
    bytes: usize,
    // Deleted after the reader has let go of its file.
    _dir: TempDir,
}

impl Run {
    fn record() -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let dir = TempDir::new_in(target).expect("the target folder can be written");
        let mut store = RedbBackend::new(dir.path());
        let start = UnixNanos::now();
        let instance: InstanceId = "bench".parse().expect("a valid name");
        let run_id = RunId::generate(start);
        store
            .open_run(RunManifest::new(instance.clone(), run_id, start))
            .expect("the file can be made");

        let record = support::record();
        let mut builder = FrameBuilder::new(LIMITS, 1, 0);
        let name = builder.push_name("bench");
        let stamp = RecordStamp { ts_publish: start, topic_id: name, type_id: name };
        let mut bytes = 0;
        while bytes < RUN_BYTES {
            while builder.fits(record.len(), 0) {
                builder.push(&record, &[], &stamp);
            }
            let frame = builder.seal(&store.tail().expect("the run is open").root);
            store.append(&[frame]).expect("the disk takes the frame");
            bytes += frame.bytes().len();
            builder.reset();
        }
        let entries = store.tail().expect("the run is open").watermark;
        store.seal(RunStatus::Ended, Some(start)).expect("an open run can be sealed");
        drop(store);
        let source = open_sealed(dir.path(), &instance, run_id).expect("a sealed run opens");
        Self { source, entries, bytes, _dir: dir }
    }
}

/// Every number from 1 to `count` once, without a pattern, and again.
fn scattered(count: u64) -> impl Iterator<Item = u64> {
    // Full period over the next power of two.
    let mask = count.next_power_of_two() - 1;
    let next = move |n: &u64| Some(n.wrapping_mul(0x5851_f42d).wrapping_add(0x1405_7b7f) & mask);
    std::iter::successors(Some(0), next).filter(move |n| *n < count).map(|n| n + 1)
}

fn read(c: &mut Criterion) {
    let run = Run::record();
    scan(c, &run);
    verify(c, &run);
    point(c, &run);
}

fn scan(c: &mut Criterion, run: &Run) {
    let mut group = c.benchmark_group("scan");
    group.sample_size(10).throughput(Throughput::Elements(run.entries));
    let reader = EventStoreReader::new(Arc::clone(&run.source));
    group.bench_function("all", |b| {
        b.iter(|| {
            let mut scan = reader.scan(1, u64::MAX, Direction::Forward);
            let mut count = 0;
            while let Some(entry) = scan.next_ref() {
                black_box(entry.expect("the run is sound").payload());
                count += 1;
            }
            assert_eq!(count, run.entries);
        });
    });
    group.finish();
}

fn verify(c: &mut Criterion, run: &Run) {
    let mut group = c.benchmark_group("verify");
    group.sample_size(10).throughput(Throughput::Bytes(run.bytes as u64));
    let cores = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN).get();
    for threads in [1, cores.max(2)] {
        group.bench_function(format!("{threads}_threads"), |b| {
            let threads = NonZero::new(threads).expect("one or more");
            b.iter(|| {
                let verifier = Verifier::new(Arc::clone(&run.source)).threads(threads);
                assert!(verifier.run(|_| {}).is_clean());
            });
        });
    }
    group.finish();
}

/// Entries of one frame; of all frames, which are all kept; and of all frames while one is kept, so
/// that nearly each read takes a frame from the store.
fn point(c: &mut Criterion, run: &Run) {
    let mut group = c.benchmark_group("point_read");
    group.sample_size(10);
    let one_frame = run.entries.min(5_000);
    let cases = [
        ("one_frame", LIMITS.bytes_max, one_frame),
        ("all_frames_kept", 2 * run.bytes, run.entries),
        ("one_frame_kept", LIMITS.bytes_max, run.entries),
    ];
    for (name, kept, count) in cases {
        let reader = EventStoreReader::keeping(Arc::clone(&run.source), kept);
        let mut read = |seq| {
            let entry = reader.read(seq).expect("the run is sound").expect("it has the entry");
            assert_eq!(entry.seq, seq);
        };
        // What can be kept is, before time is taken.
        (1..=count).step_by(1_000).for_each(&mut read);
        let mut seqs = scattered(count);
        group.bench_function(name, |b| {
            b.iter(|| read(seqs.next().expect("they repeat")));
        });
    }
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
