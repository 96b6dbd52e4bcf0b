//! A crash and what follows: the files that it left, the sweep of the next boot, and what the sweep
//! finds.

use std::fs;
use std::path::{Path, PathBuf};

use tapline::RunStatus;
use tapline::internals::error_chain;
use tapline::read::{Direction, EventStoreReader, Verifier};
use tapline::runs::{list_runs, recover_predecessors};
use tapline::store::open_sealed_file;
use tempfile::TempDir;

use crate::sidecar::SidecarState;
use crate::support::instance;
use crate::volume::Files;
use crate::workload::{Expected, State};

/// A folder in memory, for disks that are cut off thousands of times.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        Self(folder.expect("a temporary folder"))
    }

    /// The folder above the runs.
    pub(crate) fn base_dir(&self) -> PathBuf {
        self.0.path().join("runs")
    }

    /// Empties the folder and writes these files into it.
    pub(crate) fn restore(&self, files: &Files) {
        let _ = fs::remove_dir_all(self.base_dir());
        fs::create_dir_all(self.base_dir().join(instance().as_str())).expect("a folder");
        for (path, content) in files {
            fs::write(path, content).expect("there is memory");
        }
    }
}

/// Boots over the files in `scratch`, and compares what it finds with what may be there.
pub(crate) fn check_boot(
    scratch: &Scratch,
    expected: &Expected,
    done: usize,
) -> Result<(), String> {
    let base_dir = scratch.base_dir();
    let swept =
        recover_predecessors(&base_dir, &instance()).map_err(|error| error_chain(&error))?;
    if let Some(skipped) = swept.skipped.first() {
        return Err(format!("{} was left alone: {}", skipped.path.display(), skipped.error));
    }
    if let Some(run) = swept.recovered.iter().find(|run| !run.findings.is_empty()) {
        return Err(format!("recovery found {:?}", run.findings));
    }
    let runs = list_runs(&base_dir, &instance()).map_err(|error| error_chain(&error))?;
    let found = match &runs[..] {
        [] => None,
        [run] => Some(look_at(&run.path, expected)?),
        runs => return Err(format!("{} runs where there was one", runs.len())),
    };
    let possible = expected.possible(done);
    if possible.contains(&found) {
        return Ok(());
    }
    Err(format!("after {done} actions there is {found:?}, but possible are {possible:?}"))
}

fn look_at(path: &Path, expected: &Expected) -> Result<State, String> {
    let log = look_at_log(path, expected)?;
    let sidecar = SidecarState::of_sealed(path, log.watermark, expected)?;
    Ok(State { sidecar, ..log })
}

/// What is in a sealed run, without its sidecar. All of it must be what was recorded.
pub(crate) fn look_at_log(path: &Path, expected: &Expected) -> Result<State, String> {
    let source = open_sealed_file(path).map_err(|error| error_chain(&error))?;
    let report = Verifier::new(source.clone()).run(|_| {});
    if !report.findings.is_empty() {
        return Err(format!("the sealed run has {:?}", report.findings));
    }
    let sealed_root = source.root().map_err(|error| error_chain(&error))?;
    let reader = EventStoreReader::new(source);
    let manifest = reader.manifest().map_err(|error| error_chain(&error))?;
    if manifest.run_id != expected.manifest.run_id
        || manifest.start_ts_init != expected.manifest.start_ts_init
    {
        return Err(format!("the manifest is of another run: {manifest:?}"));
    }
    let mut watermark = 0;
    for entry in reader.scan(1, u64::MAX, Direction::Forward) {
        let entry = entry.map_err(|error| error_chain(&error))?;
        if expected.entries.get(watermark as usize) != Some(&entry) {
            return Err(format!("entry {} is not the one that was recorded", entry.seq));
        }
        watermark += 1;
    }
    if watermark != manifest.high_watermark {
        return Err(format!("{watermark} entries, but a watermark of {}", manifest.high_watermark));
    }
    let anchor = reader.anchor().map_err(|error| error_chain(&error))?;
    // A recovered run is sealed too, with a root of its own.
    let root = match manifest.status {
        RunStatus::Ended => sealed_root,
        RunStatus::CrashedRecovered => None,
        status => return Err(format!("the run is {status}")),
    };
    Ok(State { watermark, anchor, root, sidecar: None })
}
