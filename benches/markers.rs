//! What the data-marker sidecar costs: a tap, for each piece of market data that passes it, and the
//! entries beside them.
//!
//! Everything is measured in turns, with and without a sidecar, so that what else the machine does
//! falls on both. A figure is the median of many turns, with the least and the most; what counts is
//! the difference of the medians.

use std::collections::VecDeque;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tapline::capture::{BusCaptureAdapter, Encoder, EncoderRegistry};
use tapline::markers::{DataMarkerConfig, DataPoint, Extractor, ExtractorRegistry, MarkerReader};
use tapline::session::{
    Environment, EventStoreConfig, EventStoreLifecycle, KernelEventStore, LifecycleOptions,
};
use tapline::{Captured, DataMarkerClass, RegisteredComponents, Ticket, UnixNanos};

struct Trade {
    instrument: &'static str,
    ts_init: u64,
    price: u64,
}

impl Trade {
    fn nth(n: u64) -> Self {
        Self { instrument: INSTRUMENTS[(n % 8) as usize], ts_init: n, price: n }
    }
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
const MESSAGES: usize = 64;

struct Node {
    folder: PathBuf,
    lifecycle: EventStoreLifecycle,
    adapter: BusCaptureAdapter,
}

impl Node {
    fn open(folder: &Path, markers: Option<DataMarkerConfig>) -> Self {
        let mut config = EventStoreConfig::new(folder);
        config.data_markers = markers;
        // What is measured is the pace, not when a disk is too slow for a live node.
        config.writer.halt_threshold = Duration::from_secs(10);
        let mut lifecycle = EventStoreLifecycle::new(Some(config), options());
        let instance = "bench".parse().expect("a valid name");
        lifecycle
            .open(&instance, RegisteredComponents::default(), &Environment::Live)
            .expect("a folder of its own");
        let adapter =
            lifecycle.adapter().expect("the run is open").expect("it has a configuration");
        Self { folder: folder.to_owned(), lifecycle, adapter }
    }

    fn data(&mut self, from: u64) -> Duration {
        // What a tap sees has been made before, not the moment before.
        let trades: [Trade; MESSAGES] = std::array::from_fn(|n| Trade::nth(from + n as u64));
        let began = Instant::now();
        for trade in black_box(&trades) {
            let captured = self.adapter.capture("data.trades", trade);
            assert_eq!(captured.expect("the run is open"), Captured::NotListed);
        }
        began.elapsed()
    }

    fn decision(&mut self) -> Ticket {
        let captured = self.adapter.capture("decisions", &Decision([7; 256]));
        captured.expect("the run is open").ticket().expect("it is listed")
    }

    /// Seals the run; the markers that were shed.
    fn seal(mut self) -> u64 {
        let run_id = self.lifecycle.run_id().expect("the run is open");
        drop(self.adapter);
        self.lifecycle.seal(UnixNanos::now()).expect("it is sealed");
        let sidecar = self.folder.join(format!("bench/{run_id}.markers.redb"));
        let Ok(markers) = MarkerReader::open_sealed(&sidecar) else { return 0 };
        markers.fold_before(u64::MAX).expect("it was written just now").missing
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
        extractor_registry: Box::new(|_classes| {
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

/// What a piece of market data costs the thread that publishes it.
fn tap_cost(folder: &Path, turns: u64) {
    let cursors = DataMarkerConfig::default();
    let high_fidelity = INSTRUMENTS.map(str::to_owned).to_vec();
    let everything = DataMarkerConfig { high_fidelity, ..DataMarkerConfig::default() };
    let mut nodes = [
        ("off", Node::open(&folder.join("off"), None)),
        ("cursors", Node::open(&folder.join("cursors"), Some(cursors))),
        ("high fidelity", Node::open(&folder.join("hifi"), Some(everything))),
    ];
    let mut ns = [const { Vec::new() }; 3];
    for turn in 0..turns {
        for ((_, node), ns) in nodes.iter_mut().zip(&mut ns) {
            if turn % 16 == 0 {
                node.decision();
            }
            ns.push(node.data(turn * MESSAGES as u64).as_nanos() as f64 / MESSAGES as f64);
        }
        if turn % 128 == 0 {
            // The rings are drained before they shed.
            std::thread::sleep(Duration::from_millis(3));
        }
    }
    println!("a piece of market data, ns:");
    for (ns, (name, node)) in ns.iter_mut().zip(nodes) {
        let [p10, p50, p90] = [10, 50, 90].map(|percent| percentile(ns, percent));
        let shed = node.seal();
        println!("  {name:14} p50 {p50:.1}, p10 {p10:.1}, p90 {p90:.1}; {shed} markers shed");
    }
}

/// Entries a second with one piece of market data before each, as fast as they are taken; and the
/// time that ten pieces and an entry behind them take until it is durable.
fn beside_entries(folder: &Path, rounds: usize, entries: u64) {
    let mut per_s = [const { Vec::new() }; 2];
    let mut ack_us = [const { Vec::new() }; 2];
    let shed = in_turns(folder, rounds, |mode, node| {
        per_s[mode].push(node.saturate(entries));
        node.acknowledge(entries / 500, &mut ack_us[mode]);
    });
    println!("entries beside as much market data, and acknowledgement:");
    let ratios = ratios(&per_s);
    for (name, (per_s, ack_us)) in MODES.iter().zip(per_s.iter_mut().zip(&mut ack_us)) {
        let [least, median, most] = spread(per_s);
        let [p50, p99] = [50, 99].map(|percent| percentile(ack_us, percent));
        println!(
            "  {name:3} {median:.0} entries/s ({least:.0} to {most:.0}); ack p50 {p50:.1} us, p99 {p99:.1} us"
        );
    }
    print_ratios(ratios, shed);
}

/// Entries at a fixed rate, each behind ten pieces of market data: the time from when an entry is
/// due to its durability. Many short rounds: what a shared machine does to one of them does less to
/// the median of their ratios.
fn at_a_rate(folder: &Path, rounds: usize, entries: u64) {
    let mut p50_us = [const { Vec::new() }; 2];
    let mut p99_us = [const { Vec::new() }; 2];
    let shed = in_turns(folder, rounds, |mode, node| {
        let mut us = node.pace(entries);
        p50_us[mode].push(percentile(&mut us, 50));
        p99_us[mode].push(percentile(&mut us, 99));
    });
    let per_s = Duration::from_secs(1).as_nanos() / PACE.as_nanos();
    println!("{per_s} entries/s, {} pieces of market data/s, acknowledgement in us:", 10 * per_s);
    let ratios = ratios(&p50_us);
    for (name, (p50, p99)) in MODES.iter().zip(p50_us.iter_mut().zip(&mut p99_us)) {
        let [least, median, most] = spread(p50);
        let p99 = percentile(p99, 50);
        println!("  {name:3} p50 {median:.1} ({least:.1} to {most:.1}), p99 {p99:.1}");
    }
    print_ratios(ratios, shed);
}

const MODES: [&str; 2] = ["off", "on"];

/// Measures a node without a sidecar and one with it, in each round, and which comes first changes;
/// the markers that were shed.
fn in_turns(folder: &Path, rounds: usize, mut measure: impl FnMut(usize, &mut Node)) -> u64 {
    let mut shed = 0;
    for round in 0..rounds {
        for mode in [round % 2, 1 - round % 2] {
            let markers = (mode == 1).then(DataMarkerConfig::default);
            let mut node = Node::open(&folder.join(format!("{round}-{mode}")), markers);
            measure(mode, &mut node);
            shed += node.seal();
        }
    }
    shed
}

/// By rounds, while the figures are still in their order.
fn ratios([off, on]: &[Vec<f64>; 2]) -> Vec<f64> {
    on.iter().zip(off).map(|(on, off)| on / off).collect()
}

fn print_ratios(mut ratios: Vec<f64>, shed: u64) {
    let [least, p25, median, p75, most] = [0, 25, 50, 75, 100].map(|p| percentile(&mut ratios, p));
    println!(
        "  on/off, by {} rounds: {median:.3} (half of them {p25:.3} to {p75:.3}, all {least:.3} to {most:.3}); {shed} markers shed",
        ratios.len()
    );
}

/// From one entry to the next, where they come at a fixed rate.
const PACE: Duration = Duration::from_micros(50);

impl Node {
    /// Microseconds from when each entry is due until it is durable.
    fn pace(&mut self, entries: u64) -> Vec<f64> {
        let durability = self.adapter.durability();
        let (mut us, mut pending) = (Vec::new(), VecDeque::new());
        let mut due = Instant::now();
        let mut captured = 0;
        while (us.len() as u64) < entries {
            while let Some((ticket, due)) = pending.front()
                && durability.is_durable(*ticket)
            {
                let due: &Instant = due;
                us.push(due.elapsed().as_nanos() as f64 / 1000.0);
                pending.pop_front();
            }
            if captured < entries && Instant::now() >= due {
                let ticket = self.data_and_decision(captured);
                pending.push_back((ticket, due));
                due += PACE;
                captured += 1;
            }
        }
        us
    }

    fn data_and_decision(&mut self, n: u64) -> Ticket {
        for data in 0..10 {
            let trade = Trade::nth(10 * n + data);
            self.adapter.capture("data.trades", &trade).expect("the run is open");
        }
        self.decision()
    }

    /// Entries a second until all are durable.
    fn saturate(&mut self, entries: u64) -> f64 {
        let began = Instant::now();
        let mut last = None;
        for n in 0..entries {
            self.adapter.capture("data.trades", &Trade::nth(n)).expect("the run is open");
            last = Some(self.decision());
        }
        if let Some(last) = last {
            self.wait_until_durable(last);
        }
        entries as f64 / began.elapsed().as_secs_f64()
    }

    fn acknowledge(&mut self, entries: u64, us: &mut Vec<f64>) {
        for n in 0..entries {
            let began = Instant::now();
            let last = self.data_and_decision(n);
            self.wait_until_durable(last);
            us.push(began.elapsed().as_nanos() as f64 / 1000.0);
        }
    }

    fn wait_until_durable(&self, last: Ticket) {
        self.adapter.durability().wait(last, Duration::from_secs(60)).expect("it becomes durable");
    }
}

/// Least, median and most.
fn spread(values: &mut [f64]) -> [f64; 3] {
    [0, 50, 100].map(|percent| percentile(values, percent))
}

fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let is_test = args.iter().any(|arg| arg == "--test");
    let parts: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let is_asked = |part: &str| parts.is_empty() || parts.iter().any(|asked| *asked == part);
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let (turns, rounds, entries) = if is_test { (20, 1, 2000) } else { (20_000, 11, 500_000) };
    if is_asked("tap") {
        tap_cost(&folder.path().join("tap"), turns);
    }
    if is_asked("entries") {
        beside_entries(&folder.path().join("entries"), rounds, entries);
    }
    if is_asked("rate") {
        at_a_rate(&folder.path().join("rate"), 6 * rounds, entries / 50);
    }
}
