//! What the data-marker sidecar costs: a tap, for each piece of market data that passes it, and the entries beside them.
//!
//! Everything is measured in turns, with and without a sidecar, so that what else the machine does falls on both. A figure
//! is the median of many turns, with the least and the most; what counts is the difference of the medians.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use tapline::capture::{BusCaptureAdapter, Encoder, EncoderRegistry};
use tapline::lifecycle::{
    DataMarkerConfig, Environment, EventStoreConfig, EventStoreLifecycle, KernelEventStore,
    LifecycleOptions,
};
use tapline::markers::{DataPoint, Extractor, ExtractorRegistry};
use tapline::{DataMarkerClass, RegisteredComponents, UnixNanos};

struct Trade {
    instrument: &'static str,
    ts_init: u64,
    price: u64,
}

struct Decision([u8; 256]);

const INSTRUMENTS: [&str; 8] = [
    "ESH4.CME",
    "NQH4.CME",
    "CLG4.NYMEX",
    "GCG4.COMEX",
    "ZNH4.CBOT",
    "6EH4.CME",
    "RTYH4.CME",
    "YMH4.CBOT",
];

/// Messages between two looks at the clock, which takes as long as a message does.
const MESSAGES: u64 = 64;

struct Node {
    lifecycle: EventStoreLifecycle,
    adapter: BusCaptureAdapter,
}

impl Node {
    fn open(folder: &Path, markers: Option<DataMarkerConfig>) -> Self {
        let mut config = EventStoreConfig::new(folder);
        config.data_markers = markers;
        let mut lifecycle = EventStoreLifecycle::new(Some(config), options());
        let instance = "bench".parse().expect("a valid name");
        lifecycle
            .open(&instance, RegisteredComponents::default(), &Environment::Live)
            .expect("a folder of its own");
        let adapter =
            lifecycle.adapter().expect("the run is open").expect("it has a configuration");
        Self { lifecycle, adapter }
    }

    fn data(&mut self, from: u64) -> Duration {
        let began = Instant::now();
        for n in from..from + MESSAGES {
            let instrument = INSTRUMENTS[(n % 8) as usize];
            let trade = Trade { instrument, ts_init: n, price: n };
            let captured = self.adapter.capture("data.trades", black_box(&trade));
            assert!(!captured.expect("the run is open"));
        }
        began.elapsed()
    }

    fn decision(&mut self) {
        self.adapter.capture("decisions", &Decision([7; 256])).expect("the run is open");
    }

    fn seal(mut self) {
        drop(self.adapter);
        let report =
            self.lifecycle.seal(UnixNanos::now()).expect("it is sealed").expect("it is open");
        if let Some(markers) = report.markers {
            println!("  {:?}", markers.counts);
        }
    }
}

fn options() -> LifecycleOptions {
    LifecycleOptions {
        encoder_registry: Box::new(|| {
            let mut registry = EncoderRegistry::new();
            registry.register(Encoder::new("Decision", |decision: &Decision, record| {
                record.write_payload(&decision.0);
                Ok(())
            }))?;
            Ok(registry)
        }),
        extractor_registry: Box::new(|| {
            let mut registry = ExtractorRegistry::new();
            let extractor = Extractor::new(|trade: &Trade| {
                Some(DataPoint {
                    class: DataMarkerClass::Trade,
                    identifier: trade.instrument,
                    ts_event: trade.ts_init.into(),
                    ts_init: trade.ts_init.into(),
                })
            });
            registry.register(extractor.fingerprinted_by(|trade, hasher| {
                hasher.update(&trade.price.to_le_bytes());
            }))?;
            Ok(registry)
        }),
        ..LifecycleOptions::default()
    }
}

fn main() {
    let is_test = std::env::args().any(|arg| arg == "--test");
    let turns = if is_test { 20 } else { 20_000 };
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let cursors = DataMarkerConfig::default();
    let high_fidelity = INSTRUMENTS.map(str::to_owned).to_vec();
    let everything = DataMarkerConfig { high_fidelity, ..DataMarkerConfig::default() };
    let mut nodes = [
        ("off", Node::open(&folder.path().join("off"), None)),
        ("cursors", Node::open(&folder.path().join("cursors"), Some(cursors))),
        ("high fidelity", Node::open(&folder.path().join("hifi"), Some(everything))),
    ];
    let mut ns = [const { Vec::new() }; 3];
    for turn in 0..turns {
        for ((_, node), ns) in nodes.iter_mut().zip(&mut ns) {
            if turn % 16 == 0 {
                node.decision();
            }
            ns.push(node.data(turn * MESSAGES).as_nanos() as f64 / MESSAGES as f64);
        }
        if turn % 128 == 0 {
            // The rings are drained before they shed.
            std::thread::sleep(Duration::from_millis(3));
        }
    }
    for (ns, (name, node)) in ns.iter_mut().zip(nodes) {
        ns.sort_by(f64::total_cmp);
        let at = |percent: usize| ns[(ns.len() - 1) * percent / 100];
        println!("{name:14} {:6.1} ns a message (p10 {:.1}, p90 {:.1})", at(50), at(10), at(90));
        node.seal();
    }
}
