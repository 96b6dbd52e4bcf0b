//! A whole run, recorded in inline mode on a simulated clock: the same bytes on every machine.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable};
use serde::{Deserialize, Serialize};
use tapline::engine::{EventStoreWriter, WriterConfig};
use tapline::internals::run_path;
use tapline::store::DiskMode;
use tapline::{
    Clock, ContentHash, HaltSignal, IndexKind, Producer, RunManifest, SimulatedClock, UnixNanos,
};

use super::{assert_golden, golden, hex_rows, put_hex_rows};
use crate::support::tamper::{FRAMES, KEYS, META, NAMES};
use crate::support::{Message, Place, hex, instance, manifest, run_id};

/// All rows of a run file, byte strings as hexadecimal digits.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Export {
    /// The run's root, which is not in the file.
    pub(super) root: String,
    /// Table `meta`: `format` as digits, `manifest` and `anchor` as the JSON they are.
    pub(super) meta: BTreeMap<String, String>,
    pub(super) names: BTreeMap<u32, String>,
    /// Tier and first row of a block, as `tier:row`, the row in 32 hexadecimal digits.
    pub(super) keys: BTreeMap<String, String>,
    pub(super) frames: BTreeMap<u64, String>,
}

fn export(path: &Path, root: &str) -> Export {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_read().unwrap();
    let rows = transaction.open_table(META).unwrap();
    let meta = rows.iter().unwrap().map(|row| {
        let (key, value) = row.unwrap();
        let text = match key.value() {
            "format" => hex::encode(value.value()),
            _ => String::from_utf8(value.value().to_vec()).unwrap(),
        };
        (key.value().to_owned(), text)
    });
    let meta = meta.collect();
    let rows = transaction.open_table(NAMES).unwrap();
    let names = rows.iter().unwrap().map(Result::unwrap);
    let names = names.map(|(id, name)| (id.value(), name.value().to_owned())).collect();
    let rows = transaction.open_table(KEYS).unwrap();
    let keys = rows.iter().unwrap().map(Result::unwrap);
    let keys = keys.map(|(id, block)| {
        let (tier, first) = id.value();
        (format!("{tier}:{first:032x}"), hex::encode(block.value()))
    });
    let keys = keys.collect();
    let frames = hex_rows(&transaction, FRAMES);
    Export { root: root.to_owned(), meta, names, keys, frames }
}

const START: u64 = 1_700_000_000_000_000_042;

fn node_manifest() -> RunManifest {
    let config_hash = "blake3:c0".to_owned();
    let mut manifest = RunManifest { config_hash, ..manifest(42) };
    manifest.feature_flags.push("retention=full".to_owned());
    manifest.index_kinds.register("strategy_id").unwrap();
    manifest
}

fn submit(producer: &mut Producer, message: &Message) {
    message.with_draft(|draft| producer.submit(draft)).unwrap();
}

/// Records the golden run and returns everything stored for it.
fn record() -> Export {
    let place = Place::disk(DiskMode::Direct);
    let mut store = place.backend();
    store.open_run(node_manifest()).unwrap();
    let clock = SimulatedClock::new(UnixNanos::new(START));
    let writer = EventStoreWriter::inline(
        store,
        Clock::Simulated(clock.clone()),
        HaltSignal::default(),
        WriterConfig::default(),
    )
    .unwrap();
    let mut producer = writer.producer().unwrap();
    submit(&mut producer, &Message::new("run.started", "RunStarted", START, b"{}"));
    clock.set(UnixNanos::new(START + 1_000));
    let [order, fill] = super::messages();
    submit(&mut producer, &order.key(IndexKind::from_u16(16), "Cross-1"));
    writer.record_snapshot_anchor("snapshots/2", ContentHash::of(b"the cache at 2")).unwrap();
    clock.set(UnixNanos::new(START + 2_000));
    submit(&mut producer, &fill.order("O-1").order("O-2"));
    let ended = Message::new("run.ended", "RunEnded", START + 2_000, b"{}");
    let report = ended.with_draft(|draft| writer.close(draft)).unwrap();
    assert_eq!(report.watermark, 4);
    drop(producer);

    let path = run_path(place.folder(), &instance(), run_id(42));
    export(&path, &report.root.to_string())
}

pub(super) fn golden_run() -> Export {
    serde_json::from_str(&golden("run.json")).unwrap()
}

#[test]
fn a_run_is_recorded_as_before() {
    let mut text = serde_json::to_string_pretty(&record()).unwrap();
    text.push('\n');
    assert_golden("run.json", &text);
}

/// The golden run, put into a fresh redb file, is a run this program reads and finds in order.
#[test]
fn a_run_of_before_is_read() {
    use tapline::read::{Direction, EventStoreReader, Verifier};
    use tapline::store::open_sealed_file;

    let run = golden_run();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("golden.redb");
    import(&path, &run);
    let source = open_sealed_file(&path).unwrap();
    let report = Verifier::new(source.clone()).expect_root(run.root.parse().unwrap()).run(|_| {});
    assert_eq!(report.findings, []);
    let reader = EventStoreReader::new(source);
    let topics: Vec<String> =
        reader.scan(1, u64::MAX, Direction::Forward).map(|entry| entry.unwrap().topic).collect();
    assert_eq!(topics, ["run.started", "orders", "orders", "run.ended"]);
    assert_eq!(reader.lookup(IndexKind::CLIENT_ORDER_ID, "O-1").unwrap(), Some(2));
    assert_eq!(reader.lookup(IndexKind::from_u16(16), "Cross-1").unwrap(), Some(2));
    assert_eq!(reader.anchor().unwrap().unwrap().blob_ref, "snapshots/2");
}

fn import(path: &Path, run: &Export) {
    let database = Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut meta = transaction.open_table(META).unwrap();
        for (key, text) in &run.meta {
            let bytes = match key.as_str() {
                "format" => hex::decode(text),
                _ => text.clone().into_bytes(),
            };
            meta.insert(key.as_str(), bytes.as_slice()).unwrap();
        }
        let mut names = transaction.open_table(NAMES).unwrap();
        for (id, name) in &run.names {
            names.insert(id, name.as_str()).unwrap();
        }
        let mut keys = transaction.open_table(KEYS).unwrap();
        for (id, block) in &run.keys {
            let (tier, first) = id.split_once(':').unwrap();
            let id = (tier.parse().unwrap(), u128::from_str_radix(first, 16).unwrap());
            keys.insert(id, hex::decode(block).as_slice()).unwrap();
        }
        put_hex_rows(&transaction, FRAMES, &run.frames);
    }
    transaction.commit().unwrap();
}
