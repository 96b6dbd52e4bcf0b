//! One durable commit: a sealed frame from memory to disk. Files grow as they do in use, and begin
//! anew after a gigabyte; opening files is not timed, nor is building frames where they have no
//! keys.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tapline::internals::format::{
    FrameBuilder, FrameLimits, KEY_HEADER_BYTES, LINE_BYTES, Line, RecordHeader, RecordStamp,
    lines_for,
};
use tapline::store::{DiskMode, EventStore, RedbBackend};
use tapline::{Hash, IndexKind, RunId, RunManifest, UnixNanos};
use tempfile::TempDir;
use zerocopy::{FromZeros, IntoBytes};

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
        self.store.append(&[frame]).expect("the disk takes the frame");
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

/// Full frames of records with one fresh key each, against records as long without: building them
/// included, since that is where keys are hashed.
fn commit_with_keys(c: &mut Criterion) {
    let limits = just_under(2 << 20);
    let entries = entries(limits, &long_record(false));
    let mut group = c.benchmark_group("commit_with_keys");
    group.sample_size(20).measurement_time(Duration::from_secs(4));
    group.throughput(Throughput::Elements(entries));
    let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for name in ["none", "sequential", "random"] {
        let mut run = Run::create(DiskMode::Direct, limits);
        let mut record = long_record(name != "none");
        let mut number = 0;
        group.bench_function(name, |b| {
            b.iter_custom(|commits| {
                let mut elapsed = Duration::ZERO;
                for _ in 0..commits {
                    if run.bytes >= RUN_BYTES_MAX {
                        run = Run::create(DiskMode::Direct, limits);
                    }
                    let began = Instant::now();
                    while run.builder.fits(record.len(), 0) {
                        number += 1;
                        match name {
                            "sequential" => set_key(&mut record, number),
                            "random" => set_key(&mut record, spread(number)),
                            _ => {}
                        }
                        run.builder.push(&record, &[], &STAMP);
                    }
                    elapsed += began.elapsed() + run.commit();
                }
                elapsed
            });
        });
    }
    group.finish();
}

/// A record with room for a key of 16 bytes behind its payload: as its key, or as more payload.
fn long_record(keyed: bool) -> Vec<Line> {
    let keys_len = KEY_HEADER_BYTES + KEY_BYTES;
    let mut lines = vec![Line::ZERO; 1 + lines_for(support::PAYLOAD_BYTES + keys_len)];
    let mut header = RecordHeader::new_zeroed();
    header.lines.set(lines.len() as u32);
    if keyed {
        header.payload_len.set(support::PAYLOAD_BYTES as u32);
        header.keys_len.set(keys_len as u32);
        header.key_count.set(1);
    } else {
        header.payload_len.set((support::PAYLOAD_BYTES + keys_len) as u32);
    }
    let (head, body) = lines.as_mut_bytes().split_at_mut(LINE_BYTES);
    head.copy_from_slice(header.as_bytes());
    let key = &mut body[support::PAYLOAD_BYTES..];
    key[..2].copy_from_slice(&IndexKind::CLIENT_ORDER_ID.as_u16().to_le_bytes());
    key[2..KEY_HEADER_BYTES].copy_from_slice(&(KEY_BYTES as u16).to_le_bytes());
    lines
}

/// Gives a keyed record the key that is this number in hexadecimal digits.
fn set_key(record: &mut [Line], number: u64) {
    let start = LINE_BYTES + support::PAYLOAD_BYTES + KEY_HEADER_BYTES;
    let key = &mut record.as_mut_bytes()[start..][..KEY_BYTES];
    for (digit, byte) in key.iter_mut().enumerate() {
        *byte = b"0123456789abcdef"[(number >> (60 - 4 * digit)) as usize & 15];
    }
}

const KEY_BYTES: usize = 16;

const STAMP: RecordStamp = RecordStamp { ts_publish: UnixNanos::new(0), topic_id: 0, type_id: 0 };

/// Fills a frame up to its limits.
fn fill(builder: &mut FrameBuilder, record: &[Line]) {
    while builder.fits(record.len(), 0) {
        builder.push(record, &[], &STAMP);
    }
}

fn frame_bytes(limits: FrameLimits, record: &[Line]) -> usize {
    let mut builder = FrameBuilder::new(limits, 1, 0);
    fill(&mut builder, record);
    builder.seal(&Hash::from_bytes([0; 32])).bytes().len()
}

fn entries(limits: FrameLimits, record: &[Line]) -> u64 {
    let mut builder = FrameBuilder::new(limits, 1, 0);
    fill(&mut builder, record);
    builder.next_seq() - 1
}

criterion_group!(benches, commit, commit_with_keys);
criterion_main!(benches);
