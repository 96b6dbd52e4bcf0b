//! What the program, the simulator, the fuzz targets, the benches and the tests need of the inside,
//! and the code of a node does not.
//!
//! It is no part of the interface: anything here may change or go with any version. The feature
//! `internals` turns it on.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};

use crate::format::{Line, RecordBuilder, RecordLimitError, RecordLimits, RecordTag};
use crate::model::{EntryDraft, InstanceId, RunId, UnixNanos};
use crate::runs::{self, SweepError, SweepReport};
use crate::{session, store};

pub use crate::markers::memory::MemoryMarkerBackend;
pub use crate::runs::recovery_options::RecoveryOptions;
pub use crate::runs::sweep::SweepProgress;
pub use crate::store::disk_probe::{DiskOp, DiskProbe};

/// Topic of a run's first entry.
pub const RUN_STARTED_TOPIC: &str = session::RUN_STARTED_TOPIC;
/// Topic of the last entry of a run that was closed in order.
pub const RUN_ENDED_TOPIC: &str = runs::RUN_ENDED_TOPIC;

/// The run file, byte for byte as `docs/format.md` describes it.
pub mod format {
    pub use crate::format::*;
}

/// Where the run `run_id` of `instance_id` is kept.
pub fn run_path(base_dir: &Path, instance_id: &InstanceId, run_id: RunId) -> PathBuf {
    store::run_path(base_dir, instance_id, run_id)
}

/// Finds an instance's run files, oldest first, with the run each holds by its name; `None` where
/// the name is no run id. No file is opened. An instance without a folder has none.
pub fn run_files(
    base_dir: &Path,
    instance_id: &InstanceId,
) -> io::Result<Vec<(Option<RunId>, PathBuf)>> {
    runs::run_files(base_dir, instance_id)
}

/// True for the topic and payload type of a run's last entry: both must match.
pub fn is_run_ended(topic: &str, payload_type: &str) -> bool {
    runs::is_run_ended(topic, payload_type)
}

/// As [`recover_predecessors`](runs::recover_predecessors); calls `observe` about once a second
/// while the entries of a run are checked.
pub fn recover_predecessors_with(
    base_dir: &Path,
    instance_id: &InstanceId,
    options: RecoveryOptions,
    observe: impl FnMut(SweepProgress<'_>),
) -> Result<SweepReport, SweepError> {
    runs::recover_predecessors_with(base_dir, instance_id, options, observe)
}

/// The file of the data markers that belong to the run file `run`.
pub fn sidecar_path(run: &Path) -> PathBuf {
    store::sidecar_path(run)
}

/// True where the file of a run was changed after redb had closed it in order. Opens the file for
/// reading, and blocks for as long as that takes.
pub fn changed_since_closed(path: &Path) -> bool {
    store::changed_since_closed(path)
}

/// True if all of the file at `path` that is in use fits its checksums: then what is strange in it
/// was written so. Does not change the file.
pub fn fits_its_checksums(path: &Path) -> bool {
    store::fits_its_checksums(path)
}

/// What a panic said; `None` where that was no text.
pub fn panic_text(panic: &(dyn Any + Send)) -> Option<&str> {
    store::panic_text(panic)
}

/// The text of `error` and of all its sources, outermost first: `A: B: C`.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    crate::model::error_chain(error)
}

/// Makes records as a producer does.
#[derive(Debug)]
pub struct RecordPress(RecordBuilder);

impl RecordPress {
    /// A press for records within `limits`.
    pub fn new(limits: RecordLimits) -> Self {
        Self(RecordBuilder::new(limits))
    }

    /// The record of `draft`, with zeros for what only the writer knows.
    pub fn record(&mut self, draft: &EntryDraft<'_>) -> Result<&[Line], RecordLimitError> {
        let ts_publish = UnixNanos::default();
        self.0.fill(draft);
        self.0.finish(RecordTag { stamp: 0, ts_publish, topic_id: 0, type_id: 0 })
    }
}
