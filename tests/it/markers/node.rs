use std::path::{Path, PathBuf};

use tapline::capture::{BusCaptureAdapter, Encoder, EncoderRegistry};
use tapline::engine::CloseReport;
use tapline::internals::run_path;
use tapline::markers::{
    DataMarkerConfig, DataPoint, Extractor, ExtractorRegistry, MarkerBackend, MarkerReader,
    MarkerVerifier, open_sealed_markers,
};
use tapline::session::{
    Environment, EventStoreConfig, EventStoreLifecycle, KernelEventStore, LifecycleOptions,
};
use tapline::store::{RedbBackend, open_sealed_file};
use tapline::{
    DataMarkerClass, Entry, Fingerprint, MarkerManifest, RegisteredComponents, RunStatus, UnixNanos,
};

use crate::support::{FaultyStore, Gate, PATIENCE, entries, instance};

/// A trade is market data: marked, but not captured.
pub(super) struct Trade {
    pub(super) instrument: &'static str,
    pub(super) ts_init: u64,
    pub(super) price: u64,
}

/// A node's decision: captured, with its number.
pub(super) struct Decision(pub(super) u64);

/// A node with a sidecar.
pub(super) struct Node {
    folder: tempfile::TempDir,
    lifecycle: EventStoreLifecycle,
}

/// What the node left behind.
pub(super) struct Recorded {
    pub(super) report: CloseReport,
    pub(super) markers: MarkerReader,
    pub(super) entries: Vec<Entry>,
    /// Kept alive for its content.
    folder: tempfile::TempDir,
    pub(super) run: PathBuf,
}

pub(super) fn fingerprint(trade: &Trade, hasher: &mut Fingerprint) {
    hasher.update(trade.instrument.as_bytes()).update(&trade.price.to_le_bytes());
}

pub(super) fn options() -> LifecycleOptions {
    LifecycleOptions {
        encoder_registry: Box::new(|| {
            let mut registry = EncoderRegistry::new();
            registry.register(Encoder::new("Decision", |decision: &Decision, record| {
                record.write_payload(&decision.0.to_le_bytes());
                Ok(())
            }))?;
            Ok(registry)
        }),
        extractor_registry: Box::new(|_classes| {
            let mut registry = ExtractorRegistry::new();
            let extractor = Extractor::new(|trade: &Trade| {
                Some(DataPoint {
                    class: DataMarkerClass::Trade,
                    identifier: trade.instrument,
                    ts_event: (trade.ts_init - 1).into(),
                    ts_init: trade.ts_init.into(),
                })
            });
            registry.register(extractor.fingerprinted_by(fingerprint))?;
            Ok(registry)
        }),
        ..LifecycleOptions::default()
    }
}

/// Settings under which nothing is shed.
pub(super) fn roomy() -> DataMarkerConfig {
    DataMarkerConfig { channel_capacity: 1 << 20, ..DataMarkerConfig::default() }
}

impl Node {
    pub(super) fn open(markers: DataMarkerConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lifecycle = open_in(folder.path(), Some(markers));
        Self { folder, lifecycle }
    }

    /// A node whose writer stops soon after `gate` is shut, until it is opened. Meanwhile messages
    /// wait in the rings.
    pub(super) fn gated(markers: DataMarkerConfig, gate: &Gate) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config_in(folder.path(), Some(markers));
        // With two full small frames, there is no more room.
        config.writer.batch_entries_max = 64;
        config.writer.halt_threshold = PATIENCE;
        let gate = gate.clone();
        let options = LifecycleOptions {
            backend_opener: Box::new(move |config, _manifest| {
                let files = RedbBackend::with_disk_mode(&config.base_dir, config.disk_mode);
                Ok(Box::new(FaultyStore::gated_before(Box::new(files), &gate)))
            }),
            ..options()
        };
        Self { lifecycle: open_configured(config, options), folder }
    }

    pub(super) fn adapter(&self) -> BusCaptureAdapter {
        self.lifecycle.adapter().unwrap().expect("it has a configuration")
    }

    pub(super) fn seal(mut self) -> Recorded {
        let report = self.lifecycle.seal(UnixNanos::new(1)).unwrap().expect("it is open");
        let run = run_path(self.folder.path(), &instance(), report.manifest.run_id);
        let entries = entries(&open_sealed_file(&run).unwrap());
        let markers = MarkerReader::open_sealed(&sidecar(&run)).unwrap();
        Recorded { report, markers, entries, folder: self.folder, run }
    }
}

/// A lifecycle with an open run in `folder`.
pub(super) fn open_in(folder: &Path, markers: Option<DataMarkerConfig>) -> EventStoreLifecycle {
    open_with(folder, markers, options())
}

/// The same, with options of its own.
pub(super) fn open_with(
    folder: &Path,
    markers: Option<DataMarkerConfig>,
    options: LifecycleOptions,
) -> EventStoreLifecycle {
    open_configured(config_in(folder, markers), options)
}

pub(super) fn config_in(folder: &Path, markers: Option<DataMarkerConfig>) -> EventStoreConfig {
    let mut config = EventStoreConfig::new(folder);
    // Marks do not wait for room as entries do.
    config.writer.ring_lines = 1 << 18;
    config.data_markers = markers;
    config
}

/// The same, with rings of 64 lines for entries.
pub(super) fn config_of_small_rings(folder: &Path, markers: DataMarkerConfig) -> EventStoreConfig {
    let mut config = config_in(folder, Some(markers));
    config.writer.ring_lines = 64;
    config.writer.record_bytes_max = 1920;
    config
}

/// `options` with a store in memory behind `gate`.
pub(super) fn on_gated_store(options: LifecycleOptions, gate: &Gate) -> LifecycleOptions {
    let gate = gate.clone();
    LifecycleOptions {
        backend_opener: Box::new(move |_, _| Ok(Box::new(FaultyStore::gated(&gate)))),
        ..options
    }
}

pub(super) fn open_configured(
    config: EventStoreConfig,
    options: LifecycleOptions,
) -> EventStoreLifecycle {
    let mut lifecycle = EventStoreLifecycle::new(Some(config), options);
    lifecycle.open(&instance(), RegisteredComponents::default(), &Environment::Live).unwrap();
    lifecycle
}

pub(super) fn with_opener(
    opener: impl Fn(&Path) -> Box<dyn MarkerBackend> + 'static,
) -> LifecycleOptions {
    LifecycleOptions { marker_opener: Box::new(opener), ..options() }
}

/// Ten decisions among data.
pub(super) fn record_ten(lifecycle: &EventStoreLifecycle) {
    let mut adapter = lifecycle.adapter().unwrap().unwrap();
    for n in 1..=10 {
        adapter.capture("data", &Trade { instrument: "ES", ts_init: n, price: 1 }).unwrap();
        adapter.capture("decisions", &Decision(n)).unwrap();
    }
}

/// Asserts that the run is as it would be without a sidecar.
pub(super) fn assert_run_is_whole(report: &CloseReport) {
    assert_eq!((report.watermark, &report.markers), (12, &None));
    assert_eq!(report.manifest.status, RunStatus::Ended);
}

pub(super) fn sidecar(run: &Path) -> PathBuf {
    run.with_extension("markers.redb")
}

/// The number of a decision; `None` for a lifecycle entry.
pub(super) fn decision(entry: &Entry) -> Option<u64> {
    (entry.payload_type == "Decision")
        .then(|| u64::from_le_bytes(entry.payload[..].try_into().unwrap()))
}

impl Recorded {
    /// Asserts that the sidecar is sound, and returns its manifest.
    pub(super) fn verified(&self) -> MarkerManifest {
        assert!(self.folder.path().exists());
        let source = open_sealed_markers(&sidecar(&self.run)).unwrap();
        let manifest = &self.report.manifest;
        let verifier = MarkerVerifier::new(source);
        let report = verifier.beside(manifest.run_id, manifest.high_watermark).run();
        assert_eq!((report.findings, report.findings_omitted), (Vec::new(), 0));
        let sealed = report.manifest.expect("it can be read");
        assert_eq!((Some(sealed.counts), sealed.counts), (self.report.markers, report.counts));
        sealed
    }

    /// How many data of each instrument had been seen when entry `seq` was captured.
    pub(super) fn seen_before(&self, seq: u64) -> Vec<(String, u64, u64)> {
        let fold = self.markers.fold_before(seq).unwrap();
        assert_eq!(fold.missing, 0);
        let streams = self.markers.streams().unwrap();
        let mut seen: Vec<_> = streams
            .into_iter()
            .filter_map(|stream| {
                let cursor = fold.cursors.get(&stream.slot)?;
                Some((stream.identifier, cursor.count, cursor.ts_init_hi.as_u64()))
            })
            .collect();
        seen.sort();
        seen
    }
}
