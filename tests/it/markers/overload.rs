//! A sidecar that fails, hangs or cannot keep up. The run goes on, and gaps report what is missing.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapline::internals::{MemoryMarkerBackend, run_path};
use tapline::markers::{
    DataMarkerConfig, MarkerBackend, MarkerBatch, MarkerReader, MarkerSource, MarkerStoreError,
};
use tapline::session::{KernelEventStore, LifecycleOptions};
use tapline::store::BackendFault;
use tapline::{Marker, MarkerGapReason, MarkerManifest, RunStatus, UnixNanos};

use super::node::{
    Decision, Trade, assert_run_is_whole, config_in, config_of_small_rings, on_gated_store,
    open_configured, open_in, open_with, options, record_ten, roomy, sidecar, with_opener,
};
use crate::support::{Gate, PATIENCE, instance};

type Shared = Arc<std::sync::Mutex<Option<Arc<dyn MarkerSource>>>>;

/// A memory backend whose appends wait at a gate, or fail.
struct Troubled {
    inner: MemoryMarkerBackend,
    gate: Gate,
    fails: bool,
    shared: Shared,
}

impl MarkerBackend for Troubled {
    fn open(&mut self, manifest: MarkerManifest) -> Result<(), MarkerStoreError> {
        self.inner.open(manifest)?;
        *self.shared.lock().unwrap() = self.inner.source();
        Ok(())
    }

    fn append(&mut self, batch: &MarkerBatch) -> Result<(), MarkerStoreError> {
        self.gate.pass();
        if self.fails {
            return Err(BackendFault::io(io::ErrorKind::StorageFull.into()).into());
        }
        self.inner.append(batch)
    }

    fn seal(&mut self, status: RunStatus) -> Result<MarkerManifest, MarkerStoreError> {
        self.inner.seal(status)
    }

    fn source(&self) -> Option<Arc<dyn MarkerSource>> {
        self.inner.source()
    }
}

fn troubled(gate: &Gate, fails: bool) -> (LifecycleOptions, Shared) {
    let (gate, shared) = (gate.clone(), Shared::default());
    let source = Arc::clone(&shared);
    let options = with_opener(move |_| {
        let (gate, shared) = (gate.clone(), Arc::clone(&shared));
        Box::new(Troubled { inner: MemoryMarkerBackend::new(), gate, fails, shared })
    });
    (options, source)
}

#[test]
fn a_full_disk_ends_only_the_sidecar() {
    let folder = tempfile::tempdir().unwrap();
    let (options, _) = troubled(&Gate::default(), true);
    let mut lifecycle = open_with(folder.path(), Some(roomy()), options);
    record_ten(&lifecycle);
    assert_run_is_whole(&lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap());
    assert!(!lifecycle.is_halted());
}

/// A file without a name is gone with the process, so it is no record.
#[cfg(unix)]
#[test]
fn removing_the_sidecar_does_not_end_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut lifecycle = open_in(folder.path(), Some(roomy()));
    let run = run_path(folder.path(), &instance(), lifecycle.run_id().unwrap());
    fs::remove_file(sidecar(&run)).unwrap();
    record_ten(&lifecycle);
    assert_run_is_whole(&lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap());
    assert!(!lifecycle.is_halted() && !sidecar(&run).exists());
}

/// A sidecar hangs while ten times as many marks come as may wait. Entries go on at their pace,
/// nothing halts, and gaps report what is missing. Counts are complete again with the first mark
/// that gets through.
#[test]
fn an_overload_sheds_markers_and_never_entries() {
    const DATA: u64 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    gate.shut();
    let markers = DataMarkerConfig {
        channel_capacity: 1_000,
        safety_flush_interval: Duration::from_millis(1),
        high_fidelity: vec!["NQ".to_owned()],
        ..DataMarkerConfig::default()
    };
    let (options, source) = troubled(&gate, false);
    let mut lifecycle = open_with(folder.path(), Some(markers), options);
    let mut adapter = lifecycle.adapter().unwrap().unwrap();
    let mut decisions = 0;
    for n in 1..=DATA {
        let instrument = if n % 10 == 0 { "NQ" } else { "ES" };
        adapter.capture("data", &Trade { instrument, ts_init: n, price: n }).unwrap();
        if n % 100 == 0 {
            decisions += 1;
            adapter.capture("decisions", &Decision(decisions)).unwrap();
        }
        if n == 100 {
            gate.await_waiting();
        }
    }
    // Entries become durable although the sidecar hangs.
    let session = lifecycle.session().unwrap();
    session.wait_for_watermark(decisions + 1, Duration::from_secs(10)).unwrap();
    assert!(!lifecycle.is_halted());
    gate.open();
    // It records again.
    let began = Instant::now();
    let mut last = DATA;
    let reader = MarkerReader::new(source.lock().unwrap().clone().unwrap());
    while reader.scan().count() < 100 && began.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
    for instrument in ["ES", "NQ"] {
        last += 1;
        adapter.capture("data", &Trade { instrument, ts_init: last, price: last }).unwrap();
    }
    drop(adapter);
    let report = lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap();
    assert_eq!(report.watermark, decisions + 2);
    let counts = report.markers.expect("it was sealed");
    assert!(counts.gaps >= 1, "{counts:?}");

    let (mut next, mut hifi, mut missing) = (1, 0, 0);
    for stored in reader.scan() {
        let marker = stored.unwrap().marker;
        let (from, to) = marker.marker_seqs();
        assert_eq!(from, next, "no number is left out");
        next = to + 1;
        match marker {
            Marker::Gap(gap) => {
                assert_eq!(gap.reason, MarkerGapReason::Overflow);
                missing += to - from + 1;
            }
            Marker::HiFi(_) => hifi += 1,
            Marker::Cursor(_) => {}
        }
    }
    assert!(missing > 10_000, "most was shed: {missing}");
    assert!(hifi < DATA / 10);
    let fold = reader.fold_before(u64::MAX).unwrap();
    let seen: Vec<u64> = fold.cursors.values().map(|cursor| cursor.count).collect();
    assert_eq!(seen.iter().sum::<u64>(), DATA + 2, "the last mark of each stream has it all");
}

/// Cursors are written in time, even if full batches are committed all the while.
#[test]
fn full_batches_do_not_delay_cursors() {
    let folder = tempfile::tempdir().unwrap();
    let (options, source) = troubled(&Gate::default(), false);
    let markers = DataMarkerConfig {
        safety_flush_interval: Duration::from_millis(100),
        high_fidelity: vec!["NQ".to_owned()],
        ..roomy()
    };
    let mut lifecycle = open_with(folder.path(), Some(markers), options);
    let mut adapter = lifecycle.adapter().unwrap().unwrap();
    let reader = MarkerReader::new(source.lock().unwrap().take().unwrap());
    let snapshots = || {
        let markers = reader.scan().map(|stored| stored.unwrap().marker);
        markers.filter(|marker| matches!(marker, Marker::Cursor(_))).count()
    };
    let (began, mut n) = (Instant::now(), 0);
    // There was no entry in all that time.
    while snapshots() < 2 {
        assert!(began.elapsed() < PATIENCE, "{n} pieces of data, and no two snapshots");
        for _ in 0..100_000 {
            n += 1;
            adapter.capture("data", &Trade { instrument: "NQ", ts_init: n, price: n }).unwrap();
        }
    }
    drop(adapter);
    lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap();
}

/// Markers of entries that never became durable are dropped. A gap says that they are missing.
#[test]
fn no_marker_is_past_a_halted_run() {
    let folder = tempfile::tempdir().unwrap();
    let (markers_options, source) = troubled(&Gate::default(), false);
    let options = LifecycleOptions {
        backend_opener: Box::new(|_, _| {
            let fault = crate::support::Fault::DiskFull;
            // RunStarted is the first commit.
            Ok(Box::new(crate::support::FaultyStore::failing(2, fault)))
        }),
        ..markers_options
    };
    let mut lifecycle = open_with(folder.path(), Some(roomy()), options);
    let mut adapter = lifecycle.adapter().unwrap().unwrap();
    adapter.capture("data", &Trade { instrument: "ES", ts_init: 1, price: 1 }).unwrap();
    adapter.capture("decisions", &Decision(1)).unwrap();
    while !lifecycle.is_halted() {
        std::thread::yield_now();
    }
    drop(adapter);
    lifecycle.seal(UnixNanos::new(1)).unwrap_err();
    drop(lifecycle);
    let reader = MarkerReader::new(source.lock().unwrap().take().unwrap());
    assert_eq!(reader.manifest().unwrap().status, RunStatus::Running, "left for the next boot");
    for stored in reader.scan() {
        let before = stored.unwrap().marker.event_seq_before();
        assert!(before.is_none_or(|before| before <= 1), "{before:?}");
    }
}

/// Shed marks are reported before everything that comes after them, even if the tap that shed them
/// sends nothing more.
#[test]
fn a_gap_comes_before_later_markers() {
    let folder = tempfile::tempdir().unwrap();
    let markers = DataMarkerConfig { streams_max: 1, ..roomy() };
    let mut lifecycle = open_in(folder.path(), Some(markers));
    let (mut first, mut second) =
        (lifecycle.adapter().unwrap().unwrap(), lifecycle.adapter().unwrap().unwrap());
    let trade = |instrument, n| Trade { instrument, ts_init: n, price: n };
    first.capture("data", &trade("ES", 1)).unwrap();
    first.capture("data", &trade("one stream too many", 2)).unwrap();
    first.capture("decisions", &Decision(1)).unwrap();
    lifecycle.session().unwrap().flush(PATIENCE).unwrap();
    second.capture("data", &trade("ES", 3)).unwrap();
    second.capture("decisions", &Decision(2)).unwrap();
    lifecycle.session().unwrap().flush(PATIENCE).unwrap();
    let run = run_path(folder.path(), &instance(), lifecycle.run_id().unwrap());
    // While the first tap still exists.
    let sealed = lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap();
    drop((first, second));
    assert_eq!(sealed.markers.unwrap().gaps, 1);
    let reader = MarkerReader::open_sealed(&sidecar(&run)).unwrap();
    // RunStarted is entry 1.
    assert_eq!(reader.fold_before(2).unwrap().missing, 1);
    assert_eq!(reader.fold_before(3).unwrap().missing, 1);
}

/// Also without a thread and a ring.
#[test]
fn an_inline_tap_reports_shed_marks() {
    let folder = tempfile::tempdir().unwrap();
    let markers = DataMarkerConfig { streams_max: 1, ..roomy() };
    let options = LifecycleOptions { is_inline: true, ..options() };
    let mut lifecycle = open_with(folder.path(), Some(markers), options);
    let mut adapter = lifecycle.adapter().unwrap().unwrap();
    for (n, instrument) in (1..).zip(["ES", "NQ", "ES"]) {
        adapter.capture("data", &Trade { instrument, ts_init: n, price: n }).unwrap();
    }
    drop(adapter);
    let counts = lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap().markers.unwrap();
    assert_eq!((counts.dict, counts.gaps), (1, 1), "{counts:?}");
}

/// The ring has no room for the announcement of a first stream. The stream is announced later,
/// after another one, and nothing is mixed up.
#[test]
fn streams_are_announced_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let (options, source) = troubled(&Gate::default(), false);
    let config = config_of_small_rings(folder.path(), roomy());
    let mut lifecycle = open_configured(config, on_gated_store(options, &gate));

    let mut adapter = lifecycle.adapter().unwrap().unwrap();
    let trade = |instrument, n| Trade { instrument, ts_init: n, price: n };
    gate.shut();
    adapter.capture("decisions", &Decision(0)).unwrap();
    // The writer waits with it for the store, and takes nothing more.
    gate.await_waiting();
    // Entries use the same room as marks.
    for n in 1..=58 {
        adapter.capture("decisions", &Decision(n)).unwrap();
    }
    for n in 1..=5 {
        adapter.capture("data", &trade("ES", n)).unwrap();
    }
    gate.open();
    lifecycle.session().unwrap().flush(Duration::from_secs(10)).unwrap();
    adapter.capture("data", &trade("NQ", 6)).unwrap();
    adapter.capture("data", &trade("ES", 7)).unwrap();
    drop(adapter);
    let report = lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap();
    let counts = report.markers.expect("it was sealed");
    assert_eq!((counts.dict, counts.gaps), (2, 1), "{counts:?}");
    let reader = MarkerReader::new(source.lock().unwrap().take().unwrap());
    let fold = reader.fold_before(u64::MAX).unwrap();
    let seen: Vec<_> = reader
        .streams()
        .unwrap()
        .into_iter()
        .map(|stream| (stream.identifier, fold.cursors[&stream.slot].count))
        .collect();
    assert_eq!(seen, [("NQ".to_owned(), 1), ("ES".to_owned(), 6)]);
    assert_eq!(fold.missing, 5);
}

/// Market data takes no room from entries: no entry waits that would not have waited without it.
#[test]
fn marks_take_no_room_from_entries() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let config = config_of_small_rings(folder.path(), roomy());
    let mut lifecycle = open_configured(config, on_gated_store(options(), &gate));
    let mut adapter = lifecycle.adapter().unwrap().unwrap();
    gate.shut();
    adapter.capture("decisions", &Decision(0)).unwrap();
    // The writer waits with it for the store, and takes nothing more.
    gate.await_waiting();
    for n in 1..=1000 {
        adapter.capture("data", &Trade { instrument: "ES", ts_init: n, price: n }).unwrap();
    }
    // Two lines each. One more would wait until the run is halted.
    for n in 1..=32 {
        adapter.capture("decisions", &Decision(n)).unwrap();
    }
    gate.open();
    drop(adapter);
    let report = lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap();
    // RunStarted and RunEnded are two.
    assert_eq!((report.watermark, report.markers.unwrap().gaps), (35, 1));
}

/// The close waits for a hanging store once. The sidecar does not wait for it again.
#[test]
fn a_hanging_writer_does_not_delay_the_sidecar() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let (options, source) = troubled(&Gate::default(), false);
    let mut config = config_in(folder.path(), Some(roomy()));
    config.writer.close_timeout = Duration::from_millis(500);
    let mut lifecycle = open_configured(config, on_gated_store(options, &gate));
    let mut adapter = lifecycle.adapter().unwrap().unwrap();
    adapter.capture("data", &Trade { instrument: "ES", ts_init: 1, price: 1 }).unwrap();
    gate.shut();
    adapter.capture("decisions", &Decision(1)).unwrap();
    gate.await_waiting();
    drop(adapter);
    lifecycle.seal(UnixNanos::new(1)).unwrap_err();
    // The opener's and this one. The sidecar's thread has ended and dropped its backend.
    drop(lifecycle);
    assert_eq!(Arc::strong_count(&source), 1);
    gate.open();
}
