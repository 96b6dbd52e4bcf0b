//! perf
use std::time::*;
use tapline::store::*;
use tapline::writer::*;
use tapline::*;
fn main() {
    let n: u64 = std::env::args().nth(1).map_or(4_000_000, |s| s.parse().unwrap());
    let mb: usize = std::env::args().nth(2).map_or(2048, |s| s.parse().unwrap());
    let ring: usize = std::env::args().nth(3).map_or(32768, |s| s.parse().unwrap());
    let dir = std::path::PathBuf::from("/tmp/spike/runs");
    let _ = std::fs::remove_dir_all(&dir);
    let inst: InstanceId = "x".parse().unwrap();
    let start = UnixNanos::now();
    let mut be: Box<dyn EventStore> = if std::env::args().nth(4).is_some() {
        Box::new(MemoryBackend::new(MemoryDisk::default()))
    } else {
        Box::new(RedbBackend::with_disk_mode(
            &dir,
            if std::env::var("BUF").is_ok() { DiskMode::Buffered } else { DiskMode::Direct },
        ))
    };
    be.open_run(RunManifest::new(inst, RunId::generate(start), start)).unwrap();
    let cfg = WriterConfig {
        writer_core: Some(1),
        batch_bytes_max: (mb << 10) - 4096,
        ring_lines: ring,
        halt_threshold: Duration::from_secs(5),
        ..WriterConfig::default()
    };
    let halt = HaltSignal::new();
    let w = EventStoreWriter::spawn(be, Clock::Realtime, halt.clone(), cfg).unwrap();
    core_affinity::set_for_current(core_affinity::CoreId { id: 0 });
    let mut p = w.producer().unwrap();
    let payload = [7u8; 256];
    let t = Instant::now();
    let mut last = None;
    for i in 0..n {
        let d = EntryDraft {
            topic: "orders.sim.es",
            payload_type: "OrderAdded",
            ts_init: UnixNanos::new(i),
            payload: &payload,
            ..Default::default()
        };
        last = Some(p.submit(&d).unwrap());
    }
    let pushed = t.elapsed();
    p.durability().wait(last.unwrap(), Duration::from_secs(60)).unwrap();
    let el = t.elapsed();
    println!(
        "{n} entries pushed {:.0} ns each, durable {:.2} M/s",
        pushed.as_nanos() as f64 / n as f64,
        n as f64 / el.as_secs_f64() / 1e6
    );
    drop(p);
    let r = w
        .close(&EntryDraft { topic: "run", payload_type: "RunEnded", ..Default::default() })
        .unwrap();
    assert_eq!(r.watermark, n + 1);
}
