//! A process that is gone between any two steps of its start: the next one has all its state. The
//! process is this test binary, started again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tapline::read::EntryRef;
use tapline::replay::{Applied, CacheError};
use tapline::{ContentHash, RunSession, StateCache};

use super::node::{End, Left, TRADED, assert_has, builder, trade};
use crate::support::ledger::Ledger;
use crate::support::steps::{Failure, SteppedCache, Steps};

const FOLDER: &str = "TAPLINE_TEST_FOLDER";
const STEP: &str = "TAPLINE_TEST_STEP";

/// A ledger with its snapshots on the disk. What it does there are steps too.
struct OnDisk {
    ledger: Ledger,
    snapshots: PathBuf,
    steps: Steps,
}

impl OnDisk {
    fn new(folder: &Path, steps: &Steps) -> Self {
        let snapshots = folder.join("snapshots");
        fs::create_dir_all(&snapshots).expect("it is writable");
        Self { ledger: Ledger::default(), snapshots, steps: steps.clone() }
    }
}

impl StateCache for OnDisk {
    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError> {
        Ok(Some(fs::read(self.snapshots.join(blob_ref))?))
    }

    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError> {
        self.ledger.take_over(blob)
    }

    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError> {
        self.ledger.apply(entry)
    }

    fn to_blob(&self) -> Result<Vec<u8>, CacheError> {
        self.ledger.to_blob()
    }

    fn keep_blob(&mut self, blob: &[u8]) -> Result<String, CacheError> {
        let name = ContentHash::of(blob).to_string().replace(':', "-");
        let unfinished = self.snapshots.join("unfinished");
        fs::write(&unfinished, blob)?;
        self.steps.take("sync the snapshot")?;
        fs::File::open(&unfinished)?.sync_all()?;
        self.steps.take("rename the snapshot")?;
        fs::rename(&unfinished, self.snapshots.join(&name))?;
        self.steps.take("sync the folder of snapshots")?;
        fs::File::open(&self.snapshots)?.sync_all()?;
        Ok(name)
    }
}

fn start(folder: &Path, steps: &Steps) -> (RunSession, Ledger) {
    let mut cache = SteppedCache(OnDisk::new(folder, steps), steps.clone());
    let (session, _restored) =
        builder(folder, steps).restore_and_open(&mut cache).expect("nothing fails");
    (session, cache.0.ledger)
}

#[test]
#[ignore = "ends the process; the test below starts it"]
fn starts_and_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let step = std::env::var(STEP).expect("it comes with the folder").parse().expect("a number");
    start(&folder, &Steps::failing(step, Failure::Abort));
}

/// Whether a node that starts in `folder` is gone before its step `step`.
fn is_killed_at(step: u64, folder: &Path) -> bool {
    let child = Command::new(std::env::current_exe().expect("it is known"))
        .args(["--exact", "session::killed::starts_and_is_killed", "--ignored"])
        .env(FOLDER, folder)
        .env(STEP, step.to_string())
        .output()
        .expect("it can be started");
    let said = String::from_utf8_lossy(&child.stdout);
    let is_through = said.contains("1 passed");
    assert!(is_through || !said.contains("test result"), "it failed: {child:?}");
    !is_through
}

fn kill_at_every_step(end: End) {
    let left = Left::by(end);
    let began = Instant::now();
    let (mut step, mut kills) = (1, 0);
    loop {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = folder.path();
        left.lay_out_in(folder);
        let snapshots = OnDisk::new(folder, &Steps::default()).snapshots;
        for (name, blob) in &left.snapshots {
            fs::write(snapshots.join(name), blob).expect("it is writable");
        }
        let is_killed = is_killed_at(step, folder);
        let when = format!("after a kill at step {step}");
        for traded in [TRADED, TRADED + 2] {
            let (session, ledger) = start(folder, &Steps::default());
            assert_has(&ledger, traded, &when);
            trade(&session, traded + 1, traded + 2);
        }
        if !is_killed {
            break;
        }
        kills += 1;
        // On a slow machine every fifth step has to do.
        step += if began.elapsed() < Duration::from_secs(6) { 1 } else { 5 };
    }
    assert!(kills >= 20 && step > 60, "only {kills} kills, up to step {step}");
}

#[test]
fn a_kill_at_any_step_after_an_end_loses_nothing() {
    kill_at_every_step(End::Sealed);
}

#[test]
fn a_kill_at_any_step_after_a_crash_loses_nothing() {
    kill_at_every_step(End::Crashed);
}
