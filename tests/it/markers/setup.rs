//! A sidecar that cannot be made, and none that was asked for.

use std::fs;

use tapline::UnixNanos;
use tapline::lifecycle::{DataMarkerConfig, KernelEventStore};
use tapline::markers::MarkerReader;
use tapline::store::{open_sealed_file, run_path};

use super::node::{Decision, Trade, open_in, roomy, sidecar};
use crate::support::{entries, instance};

#[test]
fn off_means_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut lifecycle = open_in(folder.path(), None);
    let mut adapter = lifecycle.adapter().unwrap().unwrap();
    assert!(!adapter.capture("data", &Trade { instrument: "ES", ts_init: 1, price: 1 }).unwrap());
    adapter.capture("decisions", &Decision(1)).unwrap();
    let run = run_path(folder.path(), &instance(), lifecycle.run_id().unwrap());
    assert!(!sidecar(&run).exists());
    let report = lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap();
    assert_eq!((report.watermark, report.markers), (3, None));
    assert!(!sidecar(&run).exists());
}

/// A run that was left behind is recovered together with its sidecar.
#[test]
fn a_sidecar_that_was_left_behind_is_sealed_with_the_next_boot() {
    let folder = tempfile::tempdir().unwrap();
    let markers =
        DataMarkerConfig { safety_flush_interval: std::time::Duration::from_millis(1), ..roomy() };
    let mut lifecycle = open_in(folder.path(), Some(markers.clone()));
    let first = run_path(folder.path(), &instance(), lifecycle.run_id().unwrap());
    let mut adapter = lifecycle.adapter().unwrap().unwrap();
    for n in 1..=10 {
        adapter.capture("data", &Trade { instrument: "ES", ts_init: n, price: 1 }).unwrap();
        adapter.capture("decisions", &Decision(n)).unwrap();
    }
    // Halted runs are left to the next boot.
    lifecycle.halt().unwrap().fire(tapline::HaltReason::BackendError("test".to_owned()));
    lifecycle.seal(UnixNanos::new(1)).unwrap_err();
    drop(lifecycle);

    let mut lifecycle = open_in(folder.path(), Some(markers));
    let entries = entries(&open_sealed_file(&first).unwrap());
    let reader = MarkerReader::open_sealed(&sidecar(&first)).unwrap();
    let manifest = reader.manifest().unwrap();
    assert_eq!(manifest.status, tapline::RunStatus::CrashedRecovered);
    for stored in reader.scan() {
        let before = stored.unwrap().marker.event_seq_before();
        assert!(before.is_none_or(|before| before <= entries.len() as u64));
    }
    lifecycle.seal(UnixNanos::new(2)).unwrap();
    assert!(fs::exists(sidecar(&first)).unwrap());
}
