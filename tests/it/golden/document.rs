//! `docs/format.md` shows the golden files. Its text must match them.

use super::{golden, path};
use crate::support::hex;
use crate::support::raw::RawFrame;

fn document() -> String {
    let path = path("../../docs/format.md");
    std::fs::read_to_string(&path).unwrap()
}

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let document = document();
    let fence = format!("```{language}\n");
    document.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().into()).collect()
}

/// Rows of a dump: offset, two spaces, bytes, two or more spaces, what they mean.
#[test]
fn the_annotated_dump_is_the_golden_frame() {
    let frame = hex::decode(&golden("frame.hex"));
    let dump = blocks("hexdump").concat();
    let mut at = 0;
    for row in dump.lines() {
        let mut columns = row.split("  ");
        let offset = columns.next().unwrap();
        assert_eq!(usize::from_str_radix(offset, 16), Ok(at), "{row}");
        let bytes = hex::decode(columns.next().unwrap());
        assert_eq!(hex::encode(&bytes), hex::encode(&frame[at..at + bytes.len()]), "{row}");
        at += bytes.len();
    }
    assert_eq!(at, frame.len());
}

#[test]
fn documented_hashes_match_the_golden_frame() {
    let frame = RawFrame::decode(&hex::decode(&golden("frame.hex")));
    let text = document();
    for hash in frame.hashes.iter().chain([&frame.root]) {
        assert!(text.contains(&hex::encode(hash)));
    }
}

#[test]
fn documented_json_matches_the_golden_files() {
    let examples: Vec<serde_json::Value> =
        blocks("json").iter().map(|block| serde_json::from_str(block).unwrap()).collect();
    let golden: Vec<serde_json::Value> = ["manifest.json", "anchor.json"]
        .iter()
        .map(|name| serde_json::from_str(&golden(name)).unwrap())
        .collect();
    assert_eq!(examples, golden);
}

#[test]
fn the_documented_key_hash_is_right() {
    let hash = crate::support::raw::key_hash(1, b"O-1");
    assert!(document().contains(&format!("`{hash:016x}`")));
    // The golden run has two frames that mention the key.
    let block = super::run::golden_run().keys.into_values().next().unwrap();
    assert_eq!(block.matches(&hex::encode(&hash.to_le_bytes())).count(), 2);
}
