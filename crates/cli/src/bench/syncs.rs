//! What the disk takes alone.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

use hdrhistogram::Histogram;

use crate::error::CliError;
use crate::meter::{latency_histogram, nanos};
use crate::tap::StopFlag;

const ROUNDS: usize = 500;
const BYTES: usize = 4096;
/// Blocks are written once before they are measured: it takes a disk longer to allocate them than
/// to write them again. The engine allocates blocks ahead of its small commits.
const BLOCKS: u64 = 64;

/// How long it takes to write and sync a block.
pub(super) fn measure(folder: &Path, stop: &StopFlag) -> Result<Histogram<u64>, CliError> {
    let path = folder.join("syncs");
    write_and_sync(&path, stop).map_err(|source| CliError::Scratch { path, source })
}

fn write_and_sync(path: &Path, stop: &StopFlag) -> io::Result<Histogram<u64>> {
    let mut file = File::create_new(path)?;
    let block = [0x5a; BYTES];
    for _ in 0..BLOCKS {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    let mut sync_ns = latency_histogram();
    for round in 0..ROUNDS as u64 {
        if stop.is_set() {
            break;
        }
        file.seek(SeekFrom::Start(round % BLOCKS * BYTES as u64))?;
        let began = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        sync_ns.saturating_record(nanos(began.elapsed()));
    }
    Ok(sync_ns)
}
