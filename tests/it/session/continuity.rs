//! State never goes missing at a start. A node that traded starts again with one step of its start
//! made to fail, for every step there is; the start after that has all that was traded.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tapline::runs::SkipKind;
use tapline::session::{Environment, KernelEventStore, OpenError};
use tapline::store::RedbBackend;
use tapline::{EventStoreConfig, OnUnreadableRun, RegisteredComponents, RunSession, UnixNanos};
use tempfile::TempDir;

use super::node::{
    Door, End, Left, TRADED, assert_has, builder, files_in, lifecycle, start, start_on,
};
use crate::support::ledger::{Ledger, Vault};
use crate::support::steps::{Failure, SteppedCache, Steps};
use crate::support::{FaultyStore, Gate, PATIENCE, assert_matches, instance, tamper};

/// So many steps can fail at least, or these tests try nothing.
const STEPS_MIN: u64 = 60;
/// So many can panic: those that are not of the disk.
const PANICS_MIN: u64 = 24;

/// A start of which one step may fail. A panic is an outcome too.
fn attempt<T>(start: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(start)) {
        Ok(Ok(started)) => Ok(started),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_panic) => Err("it panicked".to_owned()),
    }
}

/// Makes every step fail in turn, each of a start on the same files. Returns how many there are.
fn fail_every_step(door: Door, end: End, failure: Failure) -> u64 {
    let left = Left::by(end);
    for step in 1.. {
        let (folder, vault) = left.lay_out();
        let steps = Steps::failing(step, failure);
        let started = attempt(|| start(door, folder.path(), &vault, &steps));
        let Some(struck) = steps.struck() else {
            assert_has(&started.expect("nothing failed").ledger, TRADED, "without a failure");
            return step - 1;
        };
        // What failed may be nothing that the start needs.
        if let Ok(node) = started {
            assert_has(&node.ledger, TRADED, &struck);
        }
        let next = start(door, folder.path(), &vault, &Steps::default());
        let next = next.unwrap_or_else(|error| panic!("after {struck}: {error}"));
        assert_has(&next.ledger, TRADED, &struck);
    }
    0
}

#[track_caller]
fn assert_every_step(door: Door, end: End, failure: Failure) {
    let steps = fail_every_step(door, end, failure);
    let at_least = if failure == Failure::Panic { PANICS_MIN } else { STEPS_MIN };
    assert!(steps >= at_least, "only {steps} steps");
}

#[test]
fn any_failed_step_after_an_end_loses_nothing() {
    assert_every_step(Door::Session, End::Sealed, Failure::Error);
}

#[test]
fn any_panicking_step_after_an_end_loses_nothing() {
    assert_every_step(Door::Session, End::Sealed, Failure::Panic);
}

#[test]
fn any_failed_step_after_a_crash_loses_nothing() {
    assert_every_step(Door::Session, End::Crashed, Failure::Error);
}

#[test]
fn any_failed_step_of_a_lifecycle_loses_nothing() {
    assert_every_step(Door::Lifecycle, End::Sealed, Failure::Error);
}

#[test]
fn any_failed_step_of_a_kernel_loses_nothing() {
    assert_every_step(Door::Kernel, End::Sealed, Failure::Error);
}

/// Starts that fail in a row, each at the next step, until one gets through all of them; at the end
/// of each row a start has it all. `attempt_at` makes one start and says what failed.
fn fail_in_rows(folder: &Path, vault: &Vault, attempt_at: impl Fn(u64, Failure) -> Option<String>) {
    const ROW: u64 = 5;
    for row in 0.. {
        let mut struck = Vec::new();
        for step in (1..=ROW).map(|nth| row * ROW + nth) {
            let failure = if step % 2 == 0 { Failure::Error } else { Failure::Panic };
            struck.extend(attempt_at(step, failure));
        }
        if struck.is_empty() {
            assert!(row * ROW >= PANICS_MIN, "only {row} rows");
            return;
        }
        let next = start(Door::Kernel, folder, vault, &Steps::default());
        let next = next.unwrap_or_else(|error| panic!("after {struck:?}: {error}"));
        assert_has(&next.ledger, TRADED, &format!("after {struck:?}"));
    }
}

#[test]
fn five_failed_starts_in_a_row_lose_nothing() {
    for end in [End::Sealed, End::Crashed] {
        let (folder, vault) = Left::by(end).lay_out();
        let doors = [Door::Session, Door::Lifecycle, Door::Kernel];
        fail_in_rows(folder.path(), &vault, |step, failure| {
            let steps = Steps::failing(step, failure);
            let door = doors[step as usize % doors.len()];
            let _ = attempt(|| start(door, folder.path(), &vault, &steps));
            steps.struck()
        });
    }
}

/// In one process and on one lifecycle, as a kernel that tries again.
#[test]
fn failed_starts_of_one_lifecycle_lose_nothing() {
    for door in [Door::Lifecycle, Door::Kernel] {
        let left = Left::by(End::Sealed);
        let mut tried = 0;
        for step in 1.. {
            let (folder, vault) = left.lay_out();
            let steps = Steps::default();
            let mut lifecycle = lifecycle(folder.path(), &steps);
            let mut start_with = |fails: Option<Failure>| {
                match fails {
                    Some(failure) => steps.arm(step, failure),
                    None => steps.disarm(),
                }
                let mut cache = SteppedCache(Ledger::with_vault(&vault), steps.clone());
                // A kernel whose snapshot failed has an open run, which holds nothing yet.
                let _ = lifecycle.seal(UnixNanos::new(1));
                attempt(|| start_on(&mut lifecycle, door, &mut cache)).map(|()| cache.0)
            };
            let failure = if step % 2 == 0 { Failure::Error } else { Failure::Panic };
            let _ = start_with(Some(failure));
            let Some(struck) = steps.struck() else { break };
            let ledger = start_with(None).unwrap_or_else(|error| panic!("after {struck}: {error}"));
            assert_has(&ledger, TRADED, &struck);
            tried = step;
        }
        assert!(tried >= PANICS_MIN, "only {tried} steps");
    }
}

/// A start fails, the next one trades and crashes, and so on, all in one folder.
#[test]
fn what_is_traded_between_failed_starts_is_kept() {
    let (folder, vault) = Left::by(End::Sealed).lay_out();
    let mut traded = TRADED;
    for (round, door) in
        [Door::Session, Door::Lifecycle, Door::Kernel].into_iter().cycle().enumerate()
    {
        let steps = Steps::failing(1 + 4 * round as u64, Failure::Error);
        let failed = attempt(|| start(door, folder.path(), &vault, &steps));
        let Some(struck) = steps.struck() else {
            assert!(round > 12, "only {round} rounds");
            return;
        };
        drop(failed);
        let next = start(door, folder.path(), &vault, &Steps::default());
        let mut node = next.unwrap_or_else(|error| panic!("after {struck}: {error}"));
        assert_has(&node.ledger, traded, &struck);
        node.trade(traded + 1, traded + 2);
        if round % 3 == 0 {
            node.snapshot();
        }
        node.trade(traded + 3, traded + 3);
        traded += 3;
        if round % 4 == 0 { node.seal() } else { node.crash() }
    }
}

/// The end fails too, at each step: what was acknowledged is there again.
#[test]
fn any_failed_step_of_an_end_loses_nothing() {
    let left = Left::by(End::Sealed);
    for step in 1.. {
        let (folder, vault) = left.lay_out();
        let steps = Steps::default();
        let node = start(Door::Session, folder.path(), &vault, &steps).unwrap();
        node.trade(TRADED + 1, TRADED + 2);
        steps.arm(step, Failure::Error);
        let _ = node.end();
        let Some(struck) = steps.struck() else {
            assert!(step > 12, "only {step} steps");
            return;
        };
        let next = start(Door::Session, folder.path(), &vault, &Steps::default());
        let next = next.unwrap_or_else(|error| panic!("after {struck}: {error}"));
        assert_has(&next.ledger, TRADED + 2, &struck);
    }
}

/// The first entry never becomes durable. What the store may still write to its file when it comes
/// to itself is nothing that a start could know: it waits, and says for which file.
#[test]
fn a_start_over_a_store_that_hangs_is_refused() {
    let (folder, vault) = Left::by(End::Sealed).lay_out();
    let gate = Gate::default();
    gate.shut();
    let mut config = EventStoreConfig::new(folder.path());
    config.run_started_timeout = Duration::from_millis(500);
    let theirs = gate.clone();
    let hanging = RunSession::builder(config, instance()).options(|options| {
        options.backend_opener = Box::new(move |config, _manifest| {
            let store = Box::new(RedbBackend::new(&config.base_dir));
            Ok(Box::new(FaultyStore::gated_before(store, &theirs)))
        });
    });
    let mut ledger = Ledger::with_vault(&vault);
    let began = Instant::now();
    let error = hanging.restore_and_open(&mut ledger).err().expect("it hangs");
    assert_matches!(error, OpenError::RunStartedTimeout { .. });
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());

    let again = || start(Door::Session, folder.path(), &vault, &Steps::default());
    let error = again().err().expect("its file is in use").to_string();
    assert!(error.contains(".redb") && error.contains("in use"), "{error}");
    gate.open();
    let deadline = Instant::now() + PATIENCE;
    let node = loop {
        match again() {
            Ok(node) => break node,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    assert_has(&node.ledger, TRADED, "after it hung");
}

/// A node that crashed, with what it traded in a run of its own, and that run's file.
fn crashed_child() -> (TempDir, Vault, PathBuf) {
    let (folder, vault) = Left::by(End::Sealed).lay_out();
    let node = start(Door::Session, folder.path(), &vault, &Steps::default()).unwrap();
    node.trade(TRADED + 1, TRADED + 2);
    let path = node.session().path().to_owned();
    node.crash();
    (folder, vault, path)
}

/// Both doors refuse, name the file, and change nothing.
#[track_caller]
fn assert_refused(folder: &Path, vault: &Vault, path: &Path, why: &str) {
    for door in [Door::Session, Door::Lifecycle] {
        let before = files_in(folder);
        let refused = start(door, folder, vault, &Steps::default());
        let said = refused.err().expect("the newest run is missing").to_string();
        assert!(said.contains(&*path.to_string_lossy()) && said.contains(why), "{said}");
        let runs = |files: BTreeMap<PathBuf, Vec<u8>>| -> Vec<_> {
            files
                .into_iter()
                .filter(|(name, _)| name.extension().is_some_and(|e| e == "redb"))
                .collect()
        };
        assert!(runs(before) == runs(files_in(folder)), "a run was made, changed or removed");
    }
}

#[test]
fn a_newest_run_in_use_is_waited_for_by_name() {
    let (folder, vault, path) = crashed_child();
    let holder = fs::File::open(&path).unwrap();
    holder.lock_shared().unwrap();
    assert_refused(folder.path(), &vault, &path, "in use");
    drop(holder);
    let node = start(Door::Session, folder.path(), &vault, &Steps::default()).unwrap();
    assert_has(&node.ledger, TRADED + 2, "after its file was free");
}

/// It takes somebody who moves the file away, or says that the node starts afresh.
#[test]
fn a_damaged_newest_run_is_not_passed_over() {
    let (folder, vault, path) = crashed_child();
    fs::write(&path, &fs::read(&path).unwrap()[..4096]).unwrap();
    assert_refused(folder.path(), &vault, &path, "damaged");

    let mut ledger = Ledger::with_vault(&vault);
    let fresh = builder(folder.path(), &Steps::default()).fresh_start();
    let (session, restored) = fresh.restore_and_open(&mut ledger).unwrap();
    assert_eq!((restored, session.parent_run_id()), (None, None));
    let flags = session.reader().manifest().unwrap().feature_flags;
    assert!(flags.contains(&"fresh-start".to_owned()), "{flags:?}");
    let fresh_path = session.path().to_owned();
    drop(session);
    fs::remove_file(fresh_path).unwrap();

    fs::rename(&path, path.with_extension("away")).unwrap();
    let node = start(Door::Session, folder.path(), &vault, &Steps::default()).unwrap();
    assert_has(&node.ledger, TRADED, "as the run before left it");
}

/// By every door, whatever is wrong with the newest run. What may be passed over is passed over by
/// name only, and what another version can read never is.
#[test]
fn every_door_refuses_a_newest_run_it_cannot_continue() {
    type Spoil = fn(&Path);
    let cases: [(Spoil, SkipKind); 4] = [
        (|path| fs::write(path, b"this is no run file").unwrap(), SkipKind::Damaged),
        (|path| fs::write(path, b"").unwrap(), SkipKind::Damaged),
        // Quarantined by the sweep.
        (|path| tamper::frame_bytes(path, 1, |bytes| bytes[200] ^= 1), SkipKind::Damaged),
        (|path| tamper::meta(path, "format", &9_u64.to_le_bytes()), SkipKind::OtherVersion),
    ];
    for (spoil, kind) in cases {
        let (folder, vault, path) = crashed_child();
        spoil(&path);
        let refused = |error: OpenError| match error {
            OpenError::PassedOver { file, .. } => {
                assert_eq!((file.path, file.kind), (path.clone(), kind));
            }
            other => panic!("{other}"),
        };
        let mut ledger = Ledger::with_vault(&vault);
        let steps = Steps::default();
        refused(builder(folder.path(), &steps).open().err().unwrap());
        refused(builder(folder.path(), &steps).restore_and_open(&mut ledger).err().unwrap());
        let mut kernel = lifecycle(folder.path(), &steps);
        refused(kernel.restore_parent_cache(&instance(), &mut ledger).unwrap_err());
        refused(
            kernel
                .open(&instance(), RegisteredComponents::default(), &Environment::Live)
                .unwrap_err(),
        );
        assert_eq!(kernel.run_id(), None);

        let mut config = EventStoreConfig::new(folder.path());
        config.on_unreadable_run = OnUnreadableRun::PassOver;
        let opened = RunSession::builder(config, instance()).open();
        if kind == SkipKind::OtherVersion {
            refused(opened.err().unwrap());
        } else {
            let flags = opened.unwrap().reader().manifest().unwrap().feature_flags;
            assert!(flags[0].starts_with("passed-over="), "{flags:?}");
        }
    }
}

/// The report of its boot says so.
#[test]
fn a_kernel_is_told_of_a_run_passed_over() {
    let (folder, _vault, path) = crashed_child();
    let holder = fs::File::open(&path).unwrap();
    holder.lock_shared().unwrap();
    let mut lifecycle = lifecycle(folder.path(), &Steps::default());
    let report = lifecycle.boot(&instance()).unwrap().unwrap();
    assert_eq!(report.passed_over.len(), 1);
    assert_eq!(report.skipped[0].path, path);
}

/// Everything in the chain.
fn chain(error: &dyn Error) -> String {
    let errors = std::iter::successors(Some(error), |&error| error.source());
    errors.map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn an_error_says_what_failed_and_where() {
    let left = Left::by(End::Sealed);
    let (folder, vault) = left.lay_out();
    vault.lock().unwrap().clear();
    let error = start(Door::Session, folder.path(), &vault, &Steps::default()).err().unwrap();
    let said = chain(&*error);
    assert!(
        said.contains("restore from run") && said.contains("no snapshot \"snapshot-"),
        "{said}"
    );

    for step in 1.. {
        let (folder, vault) = left.lay_out();
        let steps = Steps::failing(step, Failure::Error);
        let started = start(Door::Session, folder.path(), &vault, &steps);
        let Some(struck) = steps.struck() else { break };
        let Err(error) = started else { continue };
        let said = chain(&*error);
        // A refused anchor says so in its own words.
        let is_named = said.contains(&struck) || said.contains("snapshot");
        assert!(is_named, "{struck}: {said}");
    }
}
