//! Checks and times the peer on its own, until the comparison drives it.

mod engine;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, Result, ensure};

use crate::engine::{Engine, Label, Options, Sealed};

const USAGE: &str = "nautilus-peer self-check DIR | throughput DIR N PAYLOAD KEYED(true|false)";

/// How long the disk may stall before the run halts, as in the engine's own measurements: a
/// measurement should report a stall, not die of it.
const PATIENCE: Duration = Duration::from_mins(1);

const TOPIC: &str = "peer.entries";
const PAYLOAD_TYPE: &str = "Bytes";

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["self-check", dir] => self_check(Path::new(dir)),
        ["throughput", dir, entries, payload, keyed] => throughput(
            Path::new(dir),
            entries.parse().context(USAGE)?,
            payload.parse().context(USAGE)?,
            keyed.parse().context(USAGE)?,
        ),
        _ => anyhow::bail!("{USAGE}"),
    }
}

/// The payload of the entry with this seq: no two alike, so that a mix-up is seen.
fn fill(payload: &mut [u8], seq: u64) {
    for (block, bytes) in payload.chunks_mut(8).enumerate() {
        let word = (seq ^ (block as u64) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        bytes.copy_from_slice(&word[..bytes.len()]);
    }
}

fn key(seq: u64) -> String {
    format!("O-{seq:012}")
}

fn self_check(dir: &Path) -> Result<()> {
    const ENTRIES: u64 = 10_000;
    const PAYLOAD: usize = 256;
    let mut payload = [0; PAYLOAD];

    let engine = Engine::open(dir)?;
    ensure!(engine.watermark() == 0, "a fresh run has entries");
    let producer = engine.producer();
    for seq in 1..=ENTRIES {
        fill(&mut payload, seq);
        producer.submit(TOPIC, PAYLOAD_TYPE, &payload, Some(&key(seq)))?;
    }
    engine.wait_durable(ENTRIES)?;
    ensure!(producer.watermark() == ENTRIES, "watermark {}", producer.watermark());
    drop(producer);
    let path = engine.close()?;

    let run = Sealed::open(&path)?;
    ensure!(run.entries() == ENTRIES, "{} entries", run.entries());
    let mut seq = 0;
    let mut wrong = 0;
    let scanned = run.scan(|found| {
        seq += 1;
        fill(&mut payload, seq);
        wrong += u64::from(found != payload);
    })?;
    ensure!(scanned.entries == ENTRIES, "{} entries scanned", scanned.entries);
    ensure!(scanned.payload_bytes == ENTRIES * PAYLOAD as u64, "{} bytes", scanned.payload_bytes);
    ensure!(wrong == 0, "{wrong} payloads differ");

    for seq in [1, 2, 99, 100, 101, 5_000, ENTRIES] {
        let entry = run.read(seq)?.with_context(|| format!("seq {seq} is missing"))?;
        fill(&mut payload, seq);
        ensure!(entry.seq == seq && entry.payload[..] == payload, "seq {seq} reads {entry:?}");
        ensure!(entry.topic.as_ref() == TOPIC, "seq {seq} has topic {}", entry.topic);
        ensure!(run.lookup(&key(seq))? == Some(seq), "the key of seq {seq} is not found");
    }
    ensure!(run.lookup("O-none")?.is_none(), "a key nobody submitted is found");
    ensure!(run.read(ENTRIES + 2)?.is_none(), "an entry past the end is found");

    let verified = run.verify()?;
    ensure!(verified.findings.is_empty(), "verifier: {:?}", verified.findings);
    ensure!(verified.entries == ENTRIES + 1, "verifier: {} entries", verified.entries);

    println!("{ENTRIES} entries of {PAYLOAD} B in {} B: ok", run.bytes_file()?);
    remove(&path)
}

fn throughput(dir: &Path, entries: u64, payload: usize, keyed: bool) -> Result<()> {
    let mut bytes = vec![0; payload];
    let label = Label::new(TOPIC, PAYLOAD_TYPE)?;
    let engine = Engine::open_with(dir, &Options { halt_threshold: PATIENCE })?;
    let producer = engine.producer();

    let start = Instant::now();
    for seq in 1..=entries {
        fill(&mut bytes, seq);
        let key = keyed.then(|| key(seq));
        producer.submit_as(label, &bytes, key.as_deref())?;
    }
    producer.wait_durable(entries)?;
    let durable = start.elapsed();
    let open_bytes = engine.bytes_file()?;
    drop(producer);
    let path = engine.close()?;

    let payload_bytes = (entries * payload as u64) as f64;
    let start = Instant::now();
    let run = Sealed::open(&path)?;
    let opened = start.elapsed();
    let start = Instant::now();
    let scanned = run.scan(|_| ())?;
    let scan = start.elapsed();
    ensure!(scanned.entries == entries, "{} entries scanned", scanned.entries);
    println!(
        "{entries} entries of {payload} B, {}: {:.0} durable entries/s; file {:.2} B per payload byte open, {:.2} sealed, {:.2} allocated; open sealed {:.0?}, scan {:.0} entries/s",
        if keyed { "keyed" } else { "unkeyed" },
        entries as f64 / durable.as_secs_f64(),
        open_bytes as f64 / payload_bytes,
        run.bytes_file()? as f64 / payload_bytes,
        run.bytes_allocated()? as f64 / payload_bytes,
        opened,
        entries as f64 / scan.as_secs_f64(),
    );
    remove(&path)
}

/// Removes a run's file and the folder the crate made for it, when nothing else is in there.
fn remove(path: &PathBuf) -> Result<()> {
    fs::remove_file(path)?;
    if let Some(dir) = path.parent() {
        let _ = fs::remove_dir(dir);
    }
    Ok(())
}
