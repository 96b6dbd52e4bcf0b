//! How a node starts, and what a start finds.

use std::fs;
use std::path::{Path, PathBuf};

use tapline::internals::{error_chain, run_files};
use tapline::runs::RetentionPlan;
use tapline::session::{
    Environment, EventStoreConfig, EventStoreLifecycle, KernelEventStore, LifecycleOptions,
    OpenError,
};
use tapline::{RegisteredComponents, RetentionMode, RunId};

use super::{Node, PRODUCERS, Running};
use crate::blocked::{Blocked, moved};
use crate::cache::Cache;
use crate::support::{Ledger, instance};
use crate::volume::Volume;

impl Node<'_> {
    pub(super) fn boot(&mut self) -> Result<(), String> {
        self.boots += 1;
        if self.lot.u8(..16) == 0 {
            self.check_refusal()?;
        }
        let mut lifecycle = self.new_lifecycle();
        self.sweep(&mut lifecycle)?;
        if self.lot.u8(..4) == 0 {
            self.retain()?;
        }
        self.volume = Volume::with(self.files_there());
        if self.lot.u8(..4) == 0 {
            self.break_disk();
        }
        self.open(lifecycle)
    }

    /// Opens the next run.
    pub(super) fn open(&mut self, mut lifecycle: EventStoreLifecycle) -> Result<(), String> {
        let is_open = if self.is_recorder {
            self.open_recording(&mut lifecycle)?
        } else {
            self.restore_and_open(&mut lifecycle)?
        };
        if !is_open {
            self.must_crash = true;
            return Ok(());
        }
        let session = lifecycle.session().ok_or("no run is open")?;
        let producers = (0..PRODUCERS).map(|_| session.producers().producer());
        match producers.collect::<Result<_, _>>() {
            Ok(producers) => self.running = Some(Running { lifecycle, producers }),
            Err(_) if self.tape.struck() > 0 => self.must_crash = true,
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }

    /// True if a run is open, without a state. False if the disk failed.
    fn open_recording(&mut self, lifecycle: &mut EventStoreLifecycle) -> Result<bool, String> {
        let environment = Environment::Backtest(self.clock.clone());
        let opened = lifecycle.open(&instance(), RegisteredComponents::default(), &environment);
        self.model.begin_run();
        match opened {
            Err(error) if self.tape.struck() == 0 => {
                Err(format!("a run does not open: {}", error_chain(&error)))
            }
            opened => Ok(opened.is_ok()),
        }
    }

    /// True if a run is open. False if the disk failed, or the first snapshot could not be kept.
    fn restore_and_open(&mut self, lifecycle: &mut EventStoreLifecycle) -> Result<bool, String> {
        let ledger = Ledger::with_vault(&self.model.live.vault);
        let mut cache = Cache { ledger, keeps_nothing: self.lot.u8(..10) == 0 };
        let components = RegisteredComponents::default();
        let environment = Environment::Backtest(self.clock.clone());
        let opened = lifecycle.restore_and_open(&instance(), components, &environment, &mut cache);
        let Cache { ledger, keeps_nothing } = cache;
        let restored = match opened {
            Ok(restored) => restored,
            // Nothing but the disk or the cache failed. What is restored is whole by then.
            Err(OpenError::Restore(error)) => return Err(error_chain(&error)),
            Err(_) if self.tape.struck() > 0 || keeps_nothing => {
                return self.model.restored(ledger).map(|()| false);
            }
            Err(error) => return Err(format!("a run does not open: {}", error_chain(&error))),
        };
        self.note(&restored.map(|restored| restored.runs.len()));
        self.note(&ledger.accounts.all);
        self.model.restored(ledger)?;
        Ok(true)
    }

    /// The process is killed now, and the next start restores what the model says.
    pub(super) fn check_next_start(&self) -> Result<(), String> {
        let base_dir = self.next_start.base_dir();
        self.next_start.restore(&moved(self.files_there(), &self.scratch.base_dir(), &base_dir));
        let config = EventStoreConfig::new(base_dir.clone());
        let mut lifecycle = EventStoreLifecycle::new(Some(config), LifecycleOptions::default());
        if self.is_recorder {
            return check_head(&mut lifecycle, &base_dir);
        }
        let mut ledger = Ledger::with_vault(&self.model.live.vault);
        let restored = lifecycle.restore_parent_cache(&instance(), &mut ledger);
        restored.map_err(|error| format!("the next start is refused: {}", error_chain(&error)))?;
        self.model.check_restored(&ledger).map_err(|error| format!("at the next start {error}"))
    }

    /// The newest run cannot be read for a moment, or by this version. A start refuses and leaves
    /// everything as it was.
    fn check_refusal(&mut self) -> Result<(), String> {
        let files = self.files_there();
        let Some((newest, content)) = files.last_key_value() else { return Ok(()) };
        let blocked = Blocked::choose(&mut self.lot);
        self.note(&blocked);
        let _holder = blocked.apply(newest, content);
        let mut ledger = Ledger::with_vault(&self.model.live.vault);
        let refused = self.new_lifecycle().restore_and_open(
            &instance(),
            RegisteredComponents::default(),
            &Environment::Backtest(self.clock.clone()),
            &mut ledger,
        );
        match refused {
            Err(OpenError::PassedOver { file, .. }) if file.path == *newest => {}
            other => {
                return Err(format!("the newest run was {blocked:?}, and the start: {other:?}"));
            }
        }
        if self.files_there().len() != files.len() {
            return Err("a start that was refused made a run".to_owned());
        }
        self.scratch.restore(&files);
        Ok(())
    }

    fn retain(&mut self) -> Result<(), String> {
        let mode = match self.lot.u8(..5) {
            0 => RetentionMode::Full,
            1 => RetentionMode::Bounded { keep_last: self.lot.u32(1..4) },
            2 => RetentionMode::MaxAge { keep_for_s: self.lot.u64(1..100) },
            3 => RetentionMode::MaxBytes { keep_bytes: self.lot.u64(..1 << 20) },
            _ => RetentionMode::SnapshotAnchored,
        };
        let (now, before) = (self.clock.now(), runs_in(&self.scratch.base_dir()));
        let plan = RetentionPlan::new_at(&self.scratch.base_dir(), &instance(), mode, now);
        let mut removed = Vec::new();
        plan.and_then(|plan| {
            plan.apply(|_, result| removed.push(result.map_err(|error| error_chain(&error))))
        })
        .map_err(|error| error_chain(&error))?;
        self.note(&removed.len());
        removed.into_iter().collect::<Result<(), String>>()?;
        let left = runs_in(&self.scratch.base_dir());
        if self.is_recorder { check_recordings(mode, &before, &left) } else { Ok(()) }
    }
}

type Runs = [(Option<RunId>, PathBuf)];

/// Checks what retention has left of recordings. All were sealed, and none is a node's state.
fn check_recordings(mode: RetentionMode, before: &Runs, left: &Runs) -> Result<(), String> {
    let bytes_of = |path: &Path| fs::metadata(path).expect("it is readable").len();
    let bytes: u64 = left.iter().map(|(_, path)| bytes_of(path)).sum();
    let is_right = match mode {
        RetentionMode::MaxBytes { keep_bytes } => bytes <= keep_bytes || left.len() == 1,
        RetentionMode::MaxAge { .. } => true,
        _ => left == before,
    };
    if is_right && left.last() == before.last() {
        return Ok(());
    }
    Err(format!("{mode:?} left {left:?} of {before:?}, {bytes} bytes"))
}

fn runs_in(base_dir: &Path) -> Vec<(Option<RunId>, PathBuf)> {
    run_files(base_dir, &instance()).expect("it is readable")
}

/// A recorder's next run continues the newest.
fn check_head(lifecycle: &mut EventStoreLifecycle, base_dir: &Path) -> Result<(), String> {
    let newest = runs_in(base_dir).pop().and_then(|(run_id, _)| run_id);
    let swept = lifecycle.boot(&instance()).map_err(|error| error_chain(&error))?;
    let swept = swept.ok_or("there is no configuration")?;
    if swept.parent_run_id == newest && swept.skipped.is_empty() {
        return Ok(());
    }
    Err(format!("the newest run is {newest:?}, and the next start: {swept:?}"))
}
