//! Record, frame, manifest and anchor, as they are written now.

use tapline::internals::format::{decode_anchor, decode_manifest, encode_anchor, encode_manifest};
use tapline::{
    ContentHash, Hash, RegisteredComponents, RunIdentity, RunManifest, RunStatus, SnapshotAnchor,
    UnixNanos,
};

use super::{assert_golden, golden, messages};
use crate::support::{FrameMaker, hex, manifest, run_id};

#[test]
fn a_record_is_written_as_before() {
    let mut maker = FrameMaker::new();
    let frame = maker.frame(&messages());
    let record = frame.view().record(0).unwrap().bytes();
    assert_golden("record.hex", &hex::encode_lines(record));
}

#[test]
fn a_frame_is_written_as_before() {
    let mut maker = FrameMaker::new();
    assert_golden("frame.hex", &hex::encode_lines(maker.frame(&messages()).bytes()));
}

/// A manifest with a value in every field.
pub(super) fn full_manifest() -> RunManifest {
    let text = |texts: &[(&str, &str)]| {
        texts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let mut full = manifest(42).with_identity(RunIdentity {
        binary_hash: "blake3:b1".to_owned(),
        schema_version: 3,
        crate_versions: text(&[("node", "1.2.3")]),
        feature_flags: vec!["simd".to_owned(), "retention=full".to_owned()],
        adapter_versions: text(&[("BINANCE", "0.9.0")]),
        config_hash: "blake3:c0".to_owned(),
        seed: Some(u64::MAX),
    });
    full.parent_run_id = Some(run_id(41));
    full.registered_components = RegisteredComponents {
        actors: [("Risk-1", "a1")].into(),
        strategies: [("Cross-1", "a2")].into(),
        algorithms: [("Twap-1", "a3")].into(),
        subscriptions: vec!["orders*".to_owned()],
        endpoints: vec!["ExecEngine.execute".to_owned()],
    };
    full.index_kinds.register("strategy_id").unwrap();
    full.end_ts_init = Some(UnixNanos::new(1_700_000_000_000_000_099));
    full.high_watermark = 7;
    full.status = RunStatus::Ended;
    full.frames_root = Some(Hash::from_bytes([0xab; 32]));
    full
}

#[test]
fn a_manifest_is_written_and_read_as_before() {
    let manifest = full_manifest();
    assert_golden("manifest.json", &String::from_utf8(encode_manifest(&manifest)).unwrap());
    assert_eq!(decode_manifest(golden("manifest.json").as_bytes()).unwrap(), manifest);
}

#[test]
fn an_anchor_is_written_and_read_as_before() {
    let anchor = SnapshotAnchor {
        high_watermark: 7,
        blob_ref: "snapshots/7".to_owned(),
        content_hash: ContentHash::of(b"the cache at 7"),
    };
    assert_golden("anchor.json", &String::from_utf8(encode_anchor(&anchor)).unwrap());
    assert_eq!(decode_anchor(golden("anchor.json").as_bytes()).unwrap(), anchor);
}

#[test]
fn unknown_manifest_fields_are_ignored() {
    let added = golden("manifest.json").replacen('{', "{\"added\":[1,{}],", 1);
    assert_eq!(decode_manifest(added.as_bytes()).unwrap(), full_manifest());
}
