//! A sidecar: its bytes are read by the engine, and by a reader that was written from
//! `docs/format.md` alone.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{Database, ReadableDatabase};
use serde::{Deserialize, Serialize};
use tapline::markers::{
    MarkerBackend, MarkerBatch, MarkerReader, MarkerVerifier, RedbMarkerBackend,
    open_sealed_markers,
};
use tapline::{
    DataCursorSnapshot, DataMarkerClass, Hash, HiFiMarker, Marker, MarkerCounts, MarkerGap,
    MarkerGapReason, MarkerManifest, RunStatus, StreamCursor, StreamDictEntry,
};

use super::{assert_golden, golden, hex_rows, put_hex_rows};
use crate::support::raw::Bytes;
use crate::support::tamper::{MARKER_BLOCKS, META, STREAMS};
use crate::support::{hex, run_id};

/// All rows of a sidecar, byte strings as hexadecimal digits.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Export {
    format: String,
    /// The JSON it is.
    manifest: String,
    streams: BTreeMap<u32, String>,
    blocks: BTreeMap<u64, String>,
}

const TS: u64 = 1_700_000_000_000_000_000;

fn streams() -> [StreamDictEntry; 2] {
    let stream = |slot, data_cls, identifier: &str| StreamDictEntry {
        slot,
        data_cls,
        identifier: identifier.to_owned(),
    };
    [stream(0, DataMarkerClass::Quote, "ESH4.CME"), stream(1, DataMarkerClass::Trade, "ESH4.CME")]
}

/// A marker of each kind.
fn markers() -> [Marker; 4] {
    let cursor = |slot, count: u64| StreamCursor { slot, ts_init_hi: (TS + count).into(), count };
    let snapshot = |marker_seq: u64, event_seq_before, advanced| {
        let ts_init = (TS + 100 + marker_seq).into();
        Marker::Cursor(DataCursorSnapshot { marker_seq, event_seq_before, ts_init, advanced })
    };
    [
        snapshot(1, 0, vec![cursor(0, 2), cursor(1, 1)]),
        Marker::HiFi(HiFiMarker {
            marker_seq: 2,
            event_seq_before: 7,
            slot: 1,
            ts_event: (TS + 1).into(),
            ts_init: (TS + 2).into(),
            same_ts_ordinal: 3,
            record_fingerprint: Hash::of(b"a trade"),
        }),
        Marker::Gap(MarkerGap { from: 3, to: 9, reason: MarkerGapReason::Overflow }),
        snapshot(10, 8, vec![cursor(1, 9)]),
    ]
}

fn manifest() -> MarkerManifest {
    MarkerManifest {
        run_id: run_id(42),
        enabled_classes: vec![DataMarkerClass::Quote, DataMarkerClass::Trade],
        high_fidelity: vec!["ESH4.CME".to_owned()],
        counts: MarkerCounts::default(),
        status: RunStatus::Running,
    }
}

/// Writes the golden sidecar and returns all that is stored of it.
fn record() -> Export {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("golden.markers.redb");
    let mut backend = RedbMarkerBackend::new(&path);
    backend.open(manifest()).unwrap();
    let [first, second, third, last] = markers();
    let batch = MarkerBatch { streams: streams().to_vec(), markers: vec![first, second, third] };
    backend.append(&batch).unwrap();
    backend.append(&MarkerBatch { streams: vec![], markers: vec![last] }).unwrap();
    backend.seal(RunStatus::Ended).unwrap();
    drop(backend);
    export(&path)
}

fn export(path: &Path) -> Export {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_read().unwrap();
    let meta = transaction.open_table(META).unwrap();
    let row = |name: &str| meta.get(name).unwrap().unwrap().value().to_vec();
    let streams = hex_rows(&transaction, STREAMS);
    let blocks = hex_rows(&transaction, MARKER_BLOCKS);
    let manifest = String::from_utf8(row("manifest")).unwrap();
    Export { format: hex::encode(&row("format")), manifest, streams, blocks }
}

fn import(path: &Path, sidecar: &Export) {
    let database = Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert("format", hex::decode(&sidecar.format).as_slice()).unwrap();
        meta.insert("manifest", sidecar.manifest.as_bytes()).unwrap();
    }
    put_hex_rows(&transaction, STREAMS, &sidecar.streams);
    put_hex_rows(&transaction, MARKER_BLOCKS, &sidecar.blocks);
    transaction.commit().unwrap();
}

fn golden_sidecar() -> Export {
    serde_json::from_str(&golden("sidecar.json")).unwrap()
}

#[test]
fn a_sidecar_is_written_as_before() {
    let mut text = serde_json::to_string_pretty(&record()).unwrap();
    text.push('\n');
    assert_golden("sidecar.json", &text);
}

/// The golden sidecar, put into a new redb file, can be read and is sound.
#[test]
fn a_sidecar_of_before_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("golden.markers.redb");
    import(&path, &golden_sidecar());
    let source = open_sealed_markers(&path).unwrap();
    let report = MarkerVerifier::new(source.clone()).beside(run_id(42), 8).run();
    assert_eq!(report.findings, []);
    let reader = MarkerReader::new(source);
    let counts = MarkerCounts { snapshots: 2, hifi: 1, gaps: 1, dict: 2 };
    let sealed = MarkerManifest { counts, status: RunStatus::Ended, ..manifest() };
    assert_eq!(reader.manifest().unwrap(), sealed);
    assert_eq!(reader.streams().unwrap(), streams());
    let read: Vec<Marker> = reader.scan().map(|stored| stored.unwrap().marker).collect();
    assert_eq!(read, markers());
}

/// Takes off the hash after `body` and checks it.
fn check_hash(fields: &mut Bytes<'_>, body: &[u8], what: &str) {
    let key = blake3::hash(format!("tapline data marker: {what}").as_bytes());
    let expected = blake3::keyed_hash(key.as_bytes(), body);
    assert_eq!(hex::encode(fields.take(32)), expected.to_hex().as_str(), "{what}");
}

/// Reads one marker as text, by `docs/format.md` alone.
fn read_marker(fields: &mut Bytes<'_>) -> String {
    let kind = fields.number(1);
    let body = fields.0;
    let (text, what) = match kind {
        1 => {
            let snapshot = [8, 8, 8].map(|bytes| fields.number(bytes));
            let cursors: Vec<_> = (0..fields.number(4))
                .map(|_| [4, 8, 8].map(|bytes| fields.number(bytes)))
                .collect();
            (format!("cursors {snapshot:?} {cursors:?}"), "cursor snapshot")
        }
        2 => {
            let numbers = [8, 8, 4, 8, 8, 4].map(|bytes| fields.number(bytes));
            (format!("record {numbers:?} {}", hex::encode(fields.take(32))), "high fidelity")
        }
        3 => (format!("gap {:?}", [8, 8, 1].map(|bytes| fields.number(bytes))), "gap"),
        other => panic!("{other} is no kind"),
    };
    let body = &body[..body.len() - fields.0.len()];
    check_hash(fields, body, what);
    text
}

#[test]
fn a_sidecar_has_the_documented_layout() {
    let sidecar = golden_sidecar();
    assert_eq!(sidecar.format, "0100000000000000");
    let mut read = Vec::new();
    for block in sidecar.blocks.values() {
        let block = hex::decode(block);
        let mut fields = Bytes(&block);
        while !fields.0.is_empty() {
            read.push(read_marker(&mut fields));
        }
    }
    let fingerprint = blake3::hash(b"a trade").to_hex();
    let expected = [
        format!("cursors [1, 0, {}] [[0, {}, 2], [1, {}, 1]]", TS + 101, TS + 2, TS + 1),
        format!("record [2, 7, 1, {}, {}, 3] {fingerprint}", TS + 1, TS + 2),
        "gap [3, 9, 1]".to_owned(),
        format!("cursors [10, 8, {}] [[1, {}, 9]]", TS + 110, TS + 9),
    ];
    assert_eq!(read, expected);
    assert_eq!(sidecar.blocks.keys().collect::<Vec<_>>(), [&1, &10]);

    for (slot, class) in [(0, 2), (1, 3)] {
        let row = hex::decode(&sidecar.streams[&slot]);
        let mut fields = Bytes(&row);
        assert_eq!((fields.number(4), fields.number(1)), (u64::from(slot), class));
        assert_eq!(fields.take(8), b"ESH4.CME");
        let body = &row[..13];
        check_hash(&mut fields, body, "stream");
        assert!(fields.0.is_empty());
    }
}
