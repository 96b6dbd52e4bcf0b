//! A sidecar that cannot be made, one that was left behind, and no sidecar: in each case the run
//! goes on.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapline::internals::run_path;
use tapline::markers::{
    DataMarkerConfig, ExtractorRegistry, MarkerBackend, MarkerBatch, MarkerReader, MarkerSource,
    MarkerStoreError, RedbMarkerBackend,
};
use tapline::session::{EventStoreLifecycle, KernelEventStore, LifecycleOptions, MarkerStatus};
use tapline::store::open_sealed_file;
use tapline::{
    DataMarkerClass, Marker, MarkerCounts, MarkerGapReason, MarkerManifest, RunStatus, UnixNanos,
};

use super::backends;
use super::node::{
    Decision, Trade, assert_run_is_whole, open_in, open_with, options, record_ten, roomy, sidecar,
    with_opener,
};
use crate::support::marker::{cursor, manifest};
use crate::support::{Gate, PATIENCE, entries, instance, run_id, tamper};

/// What the program is told of the open run's sidecar.
fn status(lifecycle: &EventStoreLifecycle) -> MarkerStatus {
    lifecycle.session().expect("a run is open").markers()
}

fn assert_failed(lifecycle: &EventStoreLifecycle, said: &str) {
    match status(lifecycle) {
        MarkerStatus::Failed { error } => assert!(error.contains(said), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn off_means_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut lifecycle = open_in(folder.path(), None);
    record_ten(&lifecycle);
    assert_eq!(status(&lifecycle), MarkerStatus::Off);
    let run = run_path(folder.path(), &instance(), lifecycle.run_id().unwrap());
    assert!(!sidecar(&run).exists());
    let report = lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap();
    assert_run_is_whole(&report);
    assert!(!sidecar(&run).exists());
}

#[test]
fn a_file_in_the_sidecars_place_stays() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = |path: &Path| -> Box<dyn MarkerBackend> {
        fs::write(path, b"garbage").unwrap();
        Box::new(RedbMarkerBackend::new(path))
    };
    let mut lifecycle = open_with(folder.path(), Some(roomy()), with_opener(garbage));
    record_ten(&lifecycle);
    assert_failed(&lifecycle, "is there already");
    let run = run_path(folder.path(), &instance(), lifecycle.run_id().unwrap());
    assert_run_is_whole(&lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap());
    assert_eq!(fs::read(sidecar(&run)).unwrap(), b"garbage");
    drop(lifecycle);
    // The next boot reports it and goes on.
    let mut lifecycle = open_in(folder.path(), None);
    let sweep = lifecycle.boot(&instance()).unwrap().unwrap();
    assert_eq!(sweep.skipped.len(), 1, "{sweep:?}");
    assert_eq!(sweep.skipped[0].path, sidecar(&run));
}

#[test]
fn a_run_is_recorded_without_its_sidecar() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = |path: &Path| -> Box<dyn MarkerBackend> {
        Box::new(RedbMarkerBackend::new(path.join("no-such-folder/markers.redb")))
    };
    let mut lifecycle = open_with(folder.path(), Some(roomy()), with_opener(nowhere));
    record_ten(&lifecycle);
    assert_failed(&lifecycle, "no-such-folder");
    assert_run_is_whole(&lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap());
}

/// A backend that panics or hangs when it makes a sidecar.
struct Unmakeable {
    gate: Gate,
    panics: bool,
}

impl MarkerBackend for Unmakeable {
    fn open(&mut self, _: MarkerManifest) -> Result<(), MarkerStoreError> {
        assert!(!self.panics, "this panic is part of the test");
        self.gate.pass();
        Ok(())
    }

    fn append(&mut self, _: &MarkerBatch) -> Result<(), MarkerStoreError> {
        Err(MarkerStoreError::NotOpen)
    }

    fn seal(&mut self, _: RunStatus) -> Result<MarkerManifest, MarkerStoreError> {
        Err(MarkerStoreError::NotOpen)
    }

    fn source(&self) -> Option<Arc<dyn MarkerSource>> {
        None
    }
}

#[test]
fn a_panicking_sidecar_does_not_stop_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let opener = |_: &Path| -> Box<dyn MarkerBackend> {
        Box::new(Unmakeable { gate: Gate::default(), panics: true })
    };
    let mut lifecycle = open_with(folder.path(), Some(roomy()), with_opener(opener));
    record_ten(&lifecycle);
    assert_failed(&lifecycle, "has panicked");
    assert_run_is_whole(&lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap());
}

#[test]
fn a_hanging_sidecar_does_not_stop_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    gate.shut();
    let hung = gate.clone();
    let opener = move |_: &Path| -> Box<dyn MarkerBackend> {
        Box::new(Unmakeable { gate: hung.clone(), panics: false })
    };
    // It waits for a part of the time that the run may take to start.
    let mut lifecycle = open_with(folder.path(), Some(roomy()), with_opener(opener));
    record_ten(&lifecycle);
    assert_failed(&lifecycle, "gave no answer within");
    assert_run_is_whole(&lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap());
    gate.open();
}

#[test]
fn failing_extractors_do_not_stop_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let options = LifecycleOptions {
        extractor_registry: Box::new(|_classes| Err("no extractors".into())),
        ..options()
    };
    let mut lifecycle = open_with(folder.path(), Some(roomy()), options);
    record_ten(&lifecycle);
    assert_failed(&lifecycle, "no extractors");
    assert_run_is_whole(&lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap());
}

#[test]
fn markers_without_extractors_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut lifecycle = open_with(folder.path(), Some(roomy()), LifecycleOptions::default());
    assert_eq!(status(&lifecycle), MarkerStatus::NoExtractors);
    let counts = lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap().markers;
    assert_eq!(counts, Some(MarkerCounts::default()), "the sidecar is sound, and empty");

    let mut lifecycle = open_in(folder.path(), Some(roomy()));
    assert_eq!(status(&lifecycle), MarkerStatus::Recording);
    record_ten(&lifecycle);
    let counts = lifecycle.seal(UnixNanos::new(2)).unwrap().unwrap().markers;
    assert_ne!(counts, Some(MarkerCounts::default()));
}

#[test]
fn extractors_say_what_they_contain() {
    let none = ExtractorRegistry::new();
    assert!(none.is_empty() && !none.contains::<Trade>());
    let some = (options().extractor_registry)(&DataMarkerClass::ALL).unwrap();
    assert!(!some.is_empty() && some.contains::<Trade>() && !some.contains::<Decision>());
}

#[test]
fn extractors_are_made_for_the_enabled_classes() {
    let folder = tempfile::tempdir().unwrap();
    let classes = vec![DataMarkerClass::Trade, DataMarkerClass::Bar];
    let expected = classes.clone();
    let options = LifecycleOptions {
        extractor_registry: Box::new(move |given| {
            assert_eq!(given, expected);
            Ok(ExtractorRegistry::new())
        }),
        ..options()
    };
    open_with(folder.path(), Some(DataMarkerConfig { classes, ..roomy() }), options);
}

/// Makes its sidecar, and then fails or panics at the first markers.
struct Breaking {
    panics: bool,
}

impl MarkerBackend for Breaking {
    fn open(&mut self, _: MarkerManifest) -> Result<(), MarkerStoreError> {
        Ok(())
    }

    fn append(&mut self, _: &MarkerBatch) -> Result<(), MarkerStoreError> {
        assert!(!self.panics, "this panic is part of the test");
        Err(MarkerStoreError::StreamWritten { slot: 7 })
    }

    fn seal(&mut self, _: RunStatus) -> Result<MarkerManifest, MarkerStoreError> {
        Err(MarkerStoreError::NotOpen)
    }

    fn source(&self) -> Option<Arc<dyn MarkerSource>> {
        None
    }
}

#[test]
fn a_sidecar_that_breaks_is_told_while_the_run_is_open() {
    for (panics, said) in [(false, "slot 7"), (true, "has panicked")] {
        let folder = tempfile::tempdir().unwrap();
        let markers =
            DataMarkerConfig { safety_flush_interval: Duration::from_millis(1), ..roomy() };
        let opener = move |_: &Path| -> Box<dyn MarkerBackend> { Box::new(Breaking { panics }) };
        let mut lifecycle = open_with(folder.path(), Some(markers), with_opener(opener));
        assert_eq!(status(&lifecycle), MarkerStatus::Recording);
        record_ten(&lifecycle);
        let deadline = Instant::now() + PATIENCE;
        while status(&lifecycle) == MarkerStatus::Recording && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_failed(&lifecycle, said);
        let report = lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap();
        assert_run_is_whole(&report);
        assert_eq!(report.markers, None);
    }
}

/// A run that was left behind is recovered together with its sidecar.
#[test]
fn a_boot_seals_a_leftover_sidecar() {
    let folder = tempfile::tempdir().unwrap();
    let markers = DataMarkerConfig { safety_flush_interval: Duration::from_millis(1), ..roomy() };
    let mut lifecycle = open_in(folder.path(), Some(markers.clone()));
    let first = run_path(folder.path(), &instance(), lifecycle.run_id().unwrap());
    let mut adapter = lifecycle.adapter().unwrap().unwrap();
    for n in 1..=10 {
        adapter.capture("data", &Trade { instrument: "ES", ts_init: n, price: 1 }).unwrap();
        adapter.capture("decisions", &Decision(n)).unwrap();
    }
    // Markers of entries that a halt loses would leave a gap of their own.
    lifecycle.session().unwrap().flush(PATIENCE).unwrap();
    // Halted runs are left to the next boot.
    lifecycle.halt().unwrap().fire(tapline::HaltReason::BackendError("test".to_owned()));
    lifecycle.seal(UnixNanos::new(1)).unwrap_err();
    drop(lifecycle);

    let mut lifecycle = open_in(folder.path(), Some(markers));
    let entries = entries(&open_sealed_file(&first).unwrap());
    let reader = MarkerReader::open_sealed(&sidecar(&first)).unwrap();
    let manifest = reader.manifest().unwrap();
    assert_eq!(manifest.status, RunStatus::CrashedRecovered);
    let stored: Vec<Marker> = reader.scan().map(|stored| stored.unwrap().marker).collect();
    let behind = stored.iter().filter_map(Marker::event_seq_before);
    assert!(behind.into_iter().all(|before| before <= entries.len() as u64));
    // Nobody knows what else there would have been.
    let Some(Marker::Gap(last)) = stored.last() else { panic!("{stored:?}") };
    assert_eq!((last.reason, last.from), (MarkerGapReason::WriterClosed, last.to));
    assert_eq!((manifest.counts.gaps, reader.fold_before(u64::MAX).unwrap().missing), (1, 1));
    lifecycle.seal(UnixNanos::new(2)).unwrap();
    assert!(fs::exists(sidecar(&first)).unwrap());
}

/// How a boot seals a sidecar that was left beside a run of 12 entries, with a marker after entry
/// `event_seq_before`. It is reported exactly if it is not sound.
fn swept(
    event_seq_before: u64,
    change: impl FnOnce(&mut MarkerManifest),
    damage: impl FnOnce(&Path),
) -> RunStatus {
    let folder = tempfile::tempdir().unwrap();
    let mut lifecycle = open_in(folder.path(), None);
    let run_id = lifecycle.run_id().unwrap();
    let run = run_path(folder.path(), &instance(), run_id);
    record_ten(&lifecycle);
    lifecycle.seal(UnixNanos::new(1)).unwrap();
    drop(lifecycle);
    let mut manifest = MarkerManifest { run_id, ..manifest() };
    change(&mut manifest);
    let mut backend = RedbMarkerBackend::new(sidecar(&run));
    backend.open(manifest).unwrap();
    let marker = cursor(1, event_seq_before, 0, 1);
    backend.append(&backends::batch(&[0], vec![marker])).unwrap();
    drop(backend);
    damage(&sidecar(&run));

    let mut lifecycle = open_in(folder.path(), None);
    let sweep = lifecycle.boot(&instance()).unwrap().unwrap();
    let manifest = MarkerReader::open_sealed(&sidecar(&run)).unwrap().manifest().unwrap();
    if manifest.status == RunStatus::CrashedRecovered {
        assert_eq!((sweep.skipped.len(), manifest.counts.gaps), (0, 1));
    } else {
        assert_eq!((sweep.skipped.len(), manifest.counts.gaps), (1, 0));
        assert_eq!(sweep.skipped[0].path, sidecar(&run));
        let error = sweep.skipped[0].error.clone();
        assert!(error.contains("Quarantined"), "{error}");
    }
    manifest.status
}

/// An impossible sidecar is not sealed as sound, and the boot reports it.
#[test]
fn a_damaged_leftover_sidecar_is_quarantined() {
    assert_eq!(swept(12, |_| {}, |_| {}), RunStatus::CrashedRecovered);
    let damage = |path: &Path| {
        tamper::edit(path, |transaction| {
            tamper::marker_block(transaction, 1, |block| block[20] ^= 1);
        });
    };
    assert_eq!(swept(12, |_| {}, damage), RunStatus::Quarantined);
}

#[test]
fn a_foreign_sidecar_is_quarantined() {
    assert_eq!(swept(13, |_| {}, |_| {}), RunStatus::Quarantined, "behind the run's end");
    let of_another = |manifest: &mut MarkerManifest| manifest.run_id = run_id(1);
    assert_eq!(swept(12, of_another, |_| {}), RunStatus::Quarantined);
}
