//! Where a run and its sidecar are kept.

use std::path::Path;
use std::sync::Arc;

use tapline::internals::{MemoryMarkerBackend, run_path};
use tapline::markers::{MarkerBackend, RedbMarkerBackend};
use tapline::store::{DiskMode, EventStore, LogConfig, MemoryBackend, RedbBackend};

use crate::sidecar::sidecar_path;
use crate::support::{instance, manifest};
use crate::tape::Tape;

/// A log of four records, without a thread: the order of all operations follows from the seed.
pub(crate) fn small_log() -> LogConfig {
    LogConfig { interval: None, ..LogConfig::new(16 << 10) }
}

pub(crate) struct Stores {
    pub(crate) run: Box<dyn EventStore>,
    pub(crate) sidecar: Box<dyn MarkerBackend>,
}

impl Stores {
    pub(crate) fn in_memory() -> Self {
        let run = Box::new(MemoryBackend::default());
        Self { run, sidecar: Box::new(MemoryMarkerBackend::default()) }
    }

    /// Stores in files below `base_dir`. The tape records what is done to the files.
    pub(crate) fn on_disk(
        base_dir: &Path,
        disk_mode: DiskMode,
        log: Option<LogConfig>,
        tape: &Tape,
    ) -> Self {
        let probe = || Arc::new(tape.clone());
        let run = RedbBackend::with_disk_mode(base_dir, disk_mode).logged(log).probed(probe());
        let path = run_path(base_dir, &instance(), manifest(1).run_id);
        let sidecar = RedbMarkerBackend::new(sidecar_path(&path)).probed(probe());
        Self { run: Box::new(run), sidecar: Box::new(sidecar) }
    }
}
