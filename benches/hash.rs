//! Entry hashes: records that share the vector lanes of the processor, against one at a time. Both
//! give the same hashes; the batch is about as long as the writer keeps in the first-level cache.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tapline::Hash;
use tapline::internals::format::{BatchHasher, LINE_BYTES};

/// A multiple of the lanes of every processor.
const RECORDS: usize = 64;

fn hash(c: &mut Criterion) {
    let mut group = c.benchmark_group("hash");
    // 4 lines are the 256-byte message of the design notes; 5 are a header and 256 bytes of
    // payload.
    for lines in [1, 2, 4, 5, 9, 16] {
        let record_bytes = lines * LINE_BYTES;
        let buffer: Vec<u8> = (0..=u8::MAX).cycle().take(RECORDS * record_bytes).collect();
        let mut hashes = vec![Hash::from_bytes([0; 32]); RECORDS];
        group.throughput(Throughput::Bytes(buffer.len() as u64));

        let mut lanes = BatchHasher::default();
        group.bench_function(BenchmarkId::new("lanes", record_bytes), |b| {
            b.iter(|| {
                let buffer = black_box(buffer.as_slice());
                for index in 0..RECORDS {
                    lanes.add(buffer, index * record_bytes, lines, index, &mut hashes);
                }
                lanes.finish(buffer, &mut hashes);
                black_box(&hashes);
            });
        });
        group.bench_function(BenchmarkId::new("one_at_a_time", record_bytes), |b| {
            b.iter(|| {
                let records = black_box(buffer.as_slice()).chunks_exact(record_bytes);
                for (hash, record) in hashes.iter_mut().zip(records) {
                    *hash = Hash::of(record);
                }
                black_box(&hashes);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hash);
criterion_main!(benches);
