use std::num::NonZero;
use std::ops::RangeInclusive;
use std::thread;

use crate::read::Verifier;
use crate::store::{DiskMode, RedbMemory};

/// How a recovery writes, and how much of the machine it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryOptions {
    /// How the files are written.
    pub disk_mode: DiskMode,
    /// Memory to make do with, in bytes: see
    /// [`recovery_memory_bytes`](crate::session::EventStoreConfig::recovery_memory_bytes).
    pub memory_bytes: u64,
    /// How many threads check hashes. `None`: as many as there are processors, as far as the memory
    /// goes.
    pub threads: Option<NonZero<usize>>,
}

impl Default for RecoveryOptions {
    fn default() -> Self {
        let disk_mode = DiskMode::default();
        Self { disk_mode, memory_bytes: Self::MEMORY_BYTES, threads: None }
    }
}

/// What the pages of the file, the rows of the index and each thread get of the memory. redb holds
/// up to twice its cache while it writes; a thread holds a frame as stored and as decoded, with its
/// rows: 4 to 8 MiB with frames of 1 MiB. Measured in docs/performance.md, "Recovery".
const CACHE_SHARE: u64 = 8;
const ROWS_SHARE: u64 = 4;
const THREAD_BYTES: u64 = 16 << 20;

const ROW_BYTES: u64 = 16;

impl RecoveryOptions {
    /// Default of [`memory_bytes`](Self::memory_bytes): 64 MiB, so that a container with 100 MB
    /// comes up again.
    pub const MEMORY_BYTES: u64 = 64 << 20;

    /// The range of [`memory_bytes`](Self::memory_bytes): 16 MiB to 64 GiB.
    pub const MEMORY_RANGE: RangeInclusive<u64> = 16 << 20..=64 << 30;

    pub(super) fn redb_memory(&self) -> RedbMemory {
        let count = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        RedbMemory {
            cache_bytes: count(self.memory_bytes / CACHE_SHARE),
            seal_rows_max: count(self.memory_bytes / ROWS_SHARE / ROW_BYTES),
        }
    }

    pub(super) fn threads(&self) -> NonZero<usize> {
        self.threads
            .unwrap_or_else(|| {
                let processors = thread::available_parallelism().map_or(1, NonZero::get);
                let affordable = usize::try_from(self.memory_bytes / THREAD_BYTES);
                let threads = processors.min(affordable.unwrap_or(usize::MAX));
                NonZero::new(threads).unwrap_or(NonZero::<usize>::MIN)
            })
            .min(Verifier::THREADS_MAX)
    }
}
