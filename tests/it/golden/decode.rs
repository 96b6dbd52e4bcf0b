//! Decodes the golden files by a reader that was written from `docs/format.md` alone
//! (`support/raw.rs`). Every hash is computed by stock BLAKE3.

use super::golden;
use super::run::golden_run;
use crate::support::hex;
use crate::support::raw::{RawFrame, RawRecord, frames_of_row, key_block, rows_of_frame};

fn frame() -> RawFrame {
    RawFrame::decode(&hex::decode(&golden("frame.hex")))
}

#[test]
fn the_frame_has_the_documented_layout() {
    let frame = frame();
    assert_eq!(frame.magic, *b"TLF1");
    assert_eq!((frame.version, frame.reserved), (1, 0));
    assert_eq!(frame.first_seq, 1);
    assert_eq!(frame.previous_root, [0; 32]);
    assert_eq!(frame.offsets, [0, 3]);
    assert_eq!(frame.names, ["orders", "Submit", "Fill"]);
    assert_eq!(frame.records.len(), 2);
    assert_eq!(hex::encode_lines(&frame.records[0]), golden("record.hex"));
}

#[test]
fn the_records_have_the_documented_layout() {
    let records = frame().records;
    let id = |id: u128| id.to_be_bytes();
    assert_eq!(
        RawRecord::decode(&records[0]),
        RawRecord {
            seq: 1,
            ts_init: 1_700_000_000_000_000_000,
            ts_publish: 1_700_000_000_000_000_001,
            topic_id: 0,
            type_id: 1,
            lines: 3,
            flags: 0b111,
            payload: b"{\"qty\":5}".to_vec(),
            keys: vec![(1, b"O-1".to_vec()), (2, b"V-9".to_vec())],
            ids: vec![id(0xc0c0_c0c0), id(0xcaca_caca), id(0x1d1d_1d1d)],
            padding: vec![0; 57],
        }
    );
    assert_eq!(
        RawRecord::decode(&records[1]),
        RawRecord {
            seq: 2,
            ts_init: 1_700_000_000_000_000_002,
            ts_publish: 1_700_000_000_000_000_001,
            topic_id: 0,
            type_id: 2,
            lines: 1,
            flags: 0,
            payload: vec![],
            keys: vec![],
            ids: vec![],
            padding: vec![],
        }
    );
}

#[test]
fn hashes_are_stock_blake3_as_documented() {
    let frame = frame();
    for (record, hash) in frame.records.iter().zip(&frame.hashes) {
        assert_eq!(blake3::hash(record).as_bytes(), hash);
    }
    assert_eq!(frame.computed_root(), frame.root);
}

/// Does a verifier's checks with nothing but the rows of the golden run.
#[test]
fn the_run_verifies_by_the_documented_rules() {
    let run = golden_run();
    assert_eq!(run.meta["format"], "0300000000000000");
    let (mut root, mut next_seq) = ([0; 32], 1);
    let (mut names, mut keys) = (Vec::new(), Vec::new());
    let (mut end, mut records) = (0, Vec::new());
    let rows: Vec<(u64, Vec<u8>)> =
        run.frames.iter().map(|(first_seq, row)| (*first_seq, hex::decode(row))).collect();
    assert_eq!(rows.len(), 1, "so few frames fit into one row");
    let frames = rows.iter().flat_map(|(first_seq, row)| {
        let frames = frames_of_row(row).unwrap();
        assert_eq!(RawFrame::decode(frames[0]).first_seq, *first_seq);
        frames
    });
    for frame in frames.map(RawFrame::decode) {
        assert_eq!(frame.first_seq, next_seq);
        assert_eq!(frame.previous_root, root);
        assert_eq!(frame.computed_root(), frame.root);
        names.extend(frame.names.clone());
        let mut mentions = Vec::new();
        for (bytes, hash) in frame.records.iter().zip(&frame.hashes) {
            assert_eq!(blake3::hash(bytes).as_bytes(), hash);
            let record = RawRecord::decode(bytes);
            assert_eq!(record.seq, next_seq);
            assert!(record.topic_id.max(record.type_id) < u32::try_from(names.len()).unwrap());
            for (kind, key) in &record.keys {
                mentions.push((next_seq, *kind, key.clone()));
            }
            end = end.max(record.ts_init);
            next_seq += 1;
            records.push(record);
        }
        keys.extend(rows_of_frame(mentions.iter().map(|(seq, kind, key)| (*seq, *kind, &**key))));
        root = frame.root;
    }
    // So few rows make one block.
    keys.sort_unstable();
    let block = [(format!("255:{:032x}", keys[0].number()), hex::encode(&key_block(&keys)))];
    assert_eq!(run.keys, block.into());
    assert_eq!(run.names, (0..).zip(names).collect());
    let published: Vec<u64> = records.iter().map(|record| record.ts_publish % 10_000).collect();
    assert_eq!(published, [42, 1_042, 2_042, 2_042]);

    let manifest: serde_json::Value = serde_json::from_str(&run.meta["manifest"]).unwrap();
    assert_eq!(manifest["high_watermark"], next_seq - 1);
    assert_eq!(manifest["end_ts_init"], end);
    assert_eq!(manifest["frames_root"], hex::encode(&root));
    assert_eq!(manifest["status"], "Ended");
    let anchor: serde_json::Value = serde_json::from_str(&run.meta["anchor"]).unwrap();
    assert_eq!(anchor["high_watermark"], 2);
    let content_hash = format!("blake3:{}", blake3::hash(b"the cache at 2"));
    assert_eq!(anchor["content_hash"], content_hash);

    let covered = [run.meta["manifest"].as_bytes(), run.meta["anchor"].as_bytes()].concat();
    assert_eq!(run.root, blake3::hash(&covered).to_string());
}
