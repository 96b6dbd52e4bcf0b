//! One durable commit: a sealed frame from memory to disk. Files grow as they do in use, and begin
//! anew after a gigabyte; building frames and opening files is not timed.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tapline::format::{FrameBuilder, FrameLimits, Line, RecordStamp};
use tapline::store::{DiskMode, EventStore, RedbBackend};
use tapline::{Hash, RunId, RunManifest, UnixNanos};
use tempfile::TempDir;

const RUN_BYTES_MAX: usize = 1 << 30;

/// redb gives a value a power of two of pages: a frame fills one when it stays a page below it, as
/// the default of `batch_bytes_max` does.
const fn just_under(bytes: usize) -> FrameLimits {
    FrameLimits { entries_max: usize::MAX, bytes_max: bytes - 4096 }
}

const FRAMES: [(&str, FrameLimits); 4] = [
    ("1_entry", FrameLimits { entries_max: 1, bytes_max: 4096 }),
    ("64_KiB", just_under(64 << 10)),
    ("1_MiB", just_under(1 << 20)),
    ("2_MiB", just_under(2 << 20)),
];

/// An open run and the frames for it.
struct Run {
    store: RedbBackend,
    builder: FrameBuilder,
    root: Hash,
    bytes: usize,
    // Deleted after the store has let go of its file.
    _dir: TempDir,
}

impl Run {
    fn create(disk_mode: DiskMode, limits: FrameLimits) -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let dir = TempDir::new_in(target).expect("the target folder can be written");
        let mut store = RedbBackend::with_disk_mode(dir.path(), disk_mode);
        let start = UnixNanos::now();
        let instance = "bench".parse().expect("a valid name");
        store
            .open_run(RunManifest::new(instance, RunId::generate(start), start))
            .expect("the file can be made");
        let root = store.tail().expect("the run is open").root;
        Self { store, builder: FrameBuilder::new(limits, 1, 0), root, bytes: 0, _dir: dir }
    }

    /// Commits the frame and returns how long that took.
    fn commit(&mut self) -> Duration {
        let frame = self.builder.seal(&self.root);
        let began = Instant::now();
        self.store.append(&frame).expect("the disk takes the frame");
        let elapsed = began.elapsed();
        self.root = frame.root();
        self.bytes += frame.bytes().len();
        self.builder.reset();
        elapsed
    }
}

fn commit(c: &mut Criterion) {
    let record = support::record();
    let mut group = c.benchmark_group("commit");
    group.sample_size(20).measurement_time(Duration::from_secs(4));
    for (name, limits) in FRAMES {
        let bytes = frame_bytes(limits, &record);
        group.throughput(Throughput::Bytes(bytes as u64));
        for (mode_name, mode) in [("direct", DiskMode::Direct), ("buffered", DiskMode::Buffered)] {
            let mut run = Run::create(mode, limits);
            group.bench_function(BenchmarkId::new(mode_name, name), |b| {
                b.iter_custom(|commits| {
                    let mut elapsed = Duration::ZERO;
                    for _ in 0..commits {
                        if run.bytes >= RUN_BYTES_MAX {
                            run = Run::create(mode, limits);
                        }
                        fill(&mut run.builder, &record);
                        elapsed += run.commit();
                    }
                    elapsed
                });
            });
        }
    }
    group.finish();
}

/// Fills a frame up to its limits.
fn fill(builder: &mut FrameBuilder, record: &[Line]) {
    let stamp = RecordStamp { ts_publish: UnixNanos::new(0), topic_id: 0, type_id: 0 };
    while builder.fits(record.len(), 0) {
        builder.push(record, &[], &stamp);
    }
}

fn frame_bytes(limits: FrameLimits, record: &[Line]) -> usize {
    let mut builder = FrameBuilder::new(limits, 1, 0);
    fill(&mut builder, record);
    builder.seal(&Hash::from_bytes([0; 32])).bytes().len()
}

criterion_group!(benches, commit);
criterion_main!(benches);
