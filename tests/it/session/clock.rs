//! The system's clock is set, back or ahead by years, between runs and within a run.

use std::path::Path;

use tapline::internals::run_path;
use tapline::read::Verifier;
use tapline::session::{Environment, KernelEventStore};
use tapline::store::open_sealed_file;
use tapline::{HaltReason, RegisteredComponents, RunId, RunStatus, SimulatedClock, UnixNanos};

use super::lifecycle;
use crate::support::{Message, entries, instance};

const YEAR: u64 = 365 * 24 * 3_600_000_000_000;
/// Some moment in 2026.
const NOW: u64 = 56 * YEAR;

/// How a run ends.
#[derive(Clone, Copy)]
enum End {
    CutOff,
    InOrder,
}

/// Opens a run when the clock shows `time`, and ends it. Returns the run and its parent.
fn run_at(folder: &Path, time: u64, end: End) -> (RunId, Option<RunId>) {
    let mut lifecycle = lifecycle(folder);
    let clock = SimulatedClock::new(UnixNanos::new(time));
    let environment = Environment::Backtest(clock.clone());
    lifecycle.open(&instance(), RegisteredComponents::default(), &environment).unwrap();
    let opened = (lifecycle.run_id().unwrap(), lifecycle.parent_run_id());
    let run_started = lifecycle.session().unwrap().reader().read(1);
    let shown = run_started.unwrap().expect("it is durable").ts_init;
    assert_eq!(shown.as_u64(), time, "whatever the run's id says");
    match end {
        End::CutOff => {
            let why = HaltReason::BackendError("the test says so".to_owned());
            assert_eq!(lifecycle.halt().unwrap().fire(why), tapline::HaltOutcome::Halted);
            assert!(lifecycle.seal(clock.now()).is_err());
        }
        End::InOrder => assert!(lifecycle.seal(clock.now()).unwrap().is_some()),
    }
    opened
}

#[test]
fn runs_sort_and_continue_under_any_clock() {
    let folder = tempfile::tempdir().unwrap();
    let mut before: Option<RunId> = None;
    for time in [NOW, NOW - 30 * YEAR, 0, NOW + 100 * YEAR, NOW, NOW, NOW + 101 * YEAR] {
        let (run_id, parent_run_id) = run_at(folder.path(), time, End::CutOff);
        assert!(Some(run_id) > before, "{run_id} after {before:?}");
        assert_eq!(parent_run_id, before);
        before = Some(run_id);
    }
}

/// The run that ended in order has the later time, but it is the older run.
#[test]
fn the_parent_is_older_despite_its_later_time() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, _) = run_at(folder.path(), NOW, End::InOrder);
    let (cut_off, parent) = run_at(folder.path(), NOW - 20 * YEAR, End::CutOff);
    assert_eq!(parent, Some(ended));
    assert_eq!(cut_off.start().as_u64(), ended.start().as_u64() + 1);
    let (next, parent) = run_at(folder.path(), NOW - 19 * YEAR, End::InOrder);
    assert!(next > cut_off);
    assert_eq!(parent, Some(cut_off));
    let (_, parent) = run_at(folder.path(), NOW - 18 * YEAR, End::InOrder);
    assert_eq!(parent, Some(next));
    assert_eq!(run_at(folder.path(), NOW + YEAR, End::InOrder).0.start().as_u64(), NOW + YEAR);
}

#[test]
fn seq_rises_though_the_clock_falls() {
    let folder = tempfile::tempdir().unwrap();
    let mut lifecycle = lifecycle(folder.path());
    let clock = SimulatedClock::new(UnixNanos::new(NOW));
    let environment = Environment::Backtest(clock.clone());
    lifecycle.open(&instance(), RegisteredComponents::default(), &environment).unwrap();
    let run_id = lifecycle.run_id().unwrap();
    let mut producer = lifecycle.session().unwrap().producers().producer().unwrap();
    let times = [NOW, NOW - 30 * YEAR, NOW + 300 * YEAR, 0, NOW];
    for time in times {
        clock.set(UnixNanos::new(time));
        let message = Message::new("orders", "Order", time, b"");
        message.with_draft(|draft| producer.submit(draft)).unwrap();
    }
    clock.set(UnixNanos::new(1));
    let report = lifecycle.seal(clock.now()).unwrap().expect("it was open");
    assert_eq!(report.manifest.status, RunStatus::Ended);
    assert_eq!(report.watermark, 7);

    let source = open_sealed_file(&run_path(folder.path(), &instance(), run_id)).unwrap();
    let entries = entries(&source);
    let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6, 7]);
    let published: Vec<u64> = entries.iter().map(|entry| entry.ts_publish.as_u64()).collect();
    assert_eq!(published[..1], [NOW]);
    assert_eq!(published[1..6], times);
    assert_eq!(published[6], 1);
    assert!(Verifier::new(source).expect_root(report.root).run(|_| {}).is_clean());
}
