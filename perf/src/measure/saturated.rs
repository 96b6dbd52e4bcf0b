//! How many entries a second become durable when producers push as fast as they can.

use std::time::Duration;

use anyhow::Result;

use super::writing::{Written, write};
use crate::instruments::memory;
use crate::outcome::{Figure, Outcome};
use crate::spec::{Spec, Stop};
use crate::system::System;

pub(super) fn run<S: System>(spec: &Spec, stop: Stop, outcome: &mut Outcome) -> Result<()> {
    memory::reset_peak();
    let written = write::<S>(spec, stop)?;
    let Written {
        entries, elapsed_s, pushing_ns, cpu, producers_cpu, disk, closed, close_s, ..
    } = written;
    let payload_bytes = entries as f64 * spec.settings.payload_bytes as f64;
    let per_million = |cpu: Duration| cpu.as_secs_f64() * 1e6 / entries as f64;
    let by_payload = |bytes: u64| (bytes > 0).then(|| bytes as f64 / payload_bytes);
    let writer_cpu = cpu.zip(producers_cpu).and_then(|(all, producers)| all.checked_sub(producers));

    outcome.entries = entries;
    outcome.memory_mb = written.memory_mb;
    outcome.set(Figure::DurablePerS, entries as f64 / elapsed_s);
    outcome.set(Figure::PayloadMbPerS, payload_bytes / 1e6 / elapsed_s);
    outcome.set(Figure::PushNs, pushing_ns as f64 / entries as f64);
    outcome.set(Figure::CpuSPerMillion, cpu.map(per_million));
    outcome.set(Figure::WriterCpuSPerMillion, writer_cpu.map(per_million));
    outcome.set(Figure::FileByPayload, by_payload(disk.len));
    outcome.set(Figure::DiskByPayload, by_payload(disk.allocated));
    outcome.set(Figure::PeakMemoryMb, memory::peak_mb());
    outcome.set(Figure::CloseS, close_s);
    if let Some(commits) = closed.commits {
        outcome.keep("commit", commits, &[(Figure::CommitP50, 0.5)]);
    }
    Ok(())
}
