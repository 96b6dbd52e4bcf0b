//! Marks on their way: around the end of a ring, from taps that leave, and without a ring.

use std::path::Path;

use tapline::internals::run_path;
use tapline::markers::{DataMarkerConfig, MarkerReader};
use tapline::session::{KernelEventStore, LifecycleOptions};
use tapline::{Fingerprint, UnixNanos};

use super::node::{
    Decision, Trade, config_of_small_rings, fingerprint, on_gated_store, open_configured,
    open_with, options, roomy, sidecar,
};
use crate::support::{Gate, PATIENCE, instance};

/// Marks of two lines. Some of them have a line at each end of the ring.
#[test]
fn marks_survive_the_end_of_the_ring() {
    let folder = tempfile::tempdir().unwrap();
    let markers = DataMarkerConfig { high_fidelity: vec!["NQ".to_owned()], ..roomy() };
    let config = config_of_small_rings(folder.path(), markers);
    let mut lifecycle = open_configured(config, options());
    let run = run_path(folder.path(), &instance(), lifecycle.run_id().unwrap());
    let mut adapter = lifecycle.adapter().unwrap().unwrap();
    for n in 1..=1000 {
        let instrument = if n % 2 == 0 { "NQ" } else { "ES" };
        adapter.capture("data", &Trade { instrument, ts_init: n, price: n }).unwrap();
        if n % 10 == 0 {
            // Makes room for the next ones.
            lifecycle.session().unwrap().flush(PATIENCE).unwrap();
        }
    }
    drop(adapter);
    let counts = lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap().markers.unwrap();
    assert_eq!((counts.hifi, counts.gaps), (500, 0), "{counts:?}");
    let reader = MarkerReader::open_sealed(&sidecar(&run)).unwrap();
    for (half, marker) in (1..).zip(reader.hifi(0..=u64::MAX)) {
        let (n, marker) = (2 * half, marker.unwrap());
        let mut hasher = Fingerprint::default();
        fingerprint(&Trade { instrument: "NQ", ts_init: n, price: n }, &mut hasher);
        assert_eq!((marker.ts_init.as_u64(), marker.record_fingerprint), (n, hasher.finish()));
    }
}

#[test]
fn marks_shed_by_a_leaving_tap_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let options = on_gated_store(options(), &gate);
    let markers = DataMarkerConfig { streams_max: 1, ..roomy() };
    let mut lifecycle = open_with(folder.path(), Some(markers), options);
    let [mut first, mut second] = [(); 2].map(|()| lifecycle.adapter().unwrap().unwrap());
    let trade = |instrument, n| Trade { instrument, ts_init: n, price: n };
    second.capture("data", &trade("ES", 1)).unwrap();
    // The writer knows the ring and has emptied it.
    lifecycle.session().unwrap().flush(PATIENCE).unwrap();
    gate.shut();
    first.capture("decisions", &Decision(1)).unwrap();
    gate.await_waiting();
    second.capture("data", &trade("one stream too many", 2)).unwrap();
    drop((first, second));
    gate.open();
    let report = lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap();
    assert_eq!(report.markers.unwrap().gaps, 1);
}

/// Each tap has its own numbers for streams, and its own counts.
#[test]
fn inline_taps_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let options = LifecycleOptions { is_inline: true, ..options() };
    let mut lifecycle = open_with(folder.path(), Some(roomy()), options);
    let run = run_path(folder.path(), &instance(), lifecycle.run_id().unwrap());
    let mut taps = [(); 2].map(|()| lifecycle.adapter().unwrap().unwrap());
    let seen = [(0, "ES"), (1, "NQ"), (0, "ES"), (1, "ES"), (0, "NQ")];
    for (n, (tap, instrument)) in (1..).zip(seen) {
        taps[tap].capture("data", &Trade { instrument, ts_init: n, price: n }).unwrap();
    }
    drop(taps);
    assert!(lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap().markers.is_some());
    assert_eq!(counts(&run), [("ES".to_owned(), 3), ("NQ".to_owned(), 2)]);
}

/// The writer numbers rings when it first sees them. No two have the same number.
#[test]
fn successive_taps_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut lifecycle = open_with(folder.path(), Some(roomy()), options());
    let run = run_path(folder.path(), &instance(), lifecycle.run_id().unwrap());
    let mut taps = Vec::new();
    for (n, instrument) in (1..).zip(["ES", "NQ", "CL", "GC"]) {
        let mut tap = lifecycle.adapter().unwrap().unwrap();
        tap.capture("data", &Trade { instrument, ts_init: n, price: n }).unwrap();
        lifecycle.session().unwrap().flush(PATIENCE).unwrap();
        taps.push((tap, instrument));
    }
    for (n, (tap, instrument)) in (1..).zip(&mut taps) {
        for _ in 0..n {
            tap.capture("data", &Trade { instrument, ts_init: 10 + n, price: n }).unwrap();
        }
    }
    drop(taps);
    assert!(lifecycle.seal(UnixNanos::new(1)).unwrap().unwrap().markers.is_some());
    let expected = [("ES", 2), ("NQ", 3), ("CL", 4), ("GC", 5)];
    assert_eq!(counts(&run), expected.map(|(instrument, count)| (instrument.to_owned(), count)));
}

/// How many data of each stream were seen, in order.
fn counts(run: &Path) -> Vec<(String, u64)> {
    let reader = MarkerReader::open_sealed(&sidecar(run)).unwrap();
    let fold = reader.fold_before(u64::MAX).unwrap();
    let streams = reader.streams().unwrap().into_iter();
    streams.map(|stream| (stream.identifier, fold.cursors[&stream.slot].count)).collect()
}
