//! A sidecar of any rows, in a store that gives them back as they are: scan, fold and verifier
//! never panic and always end, and what verifies says the same when it is written anew.

#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tapline::internals::format::{MarkerCodec, decode_marker_manifest};
use tapline::markers::{MarkerReader, MarkerSource, MarkerStoreError, MarkerVerifier};
use tapline::{Marker, MarkerManifest, RunId};

/// The rows, as they are. Where `honest`, blocks get hashes that fit what is in them, as far as
/// they can be decoded.
#[derive(Debug, Arbitrary)]
struct Rows {
    honest: bool,
    manifest: Vec<u8>,
    streams: BTreeMap<u32, Vec<u8>>,
    blocks: BTreeMap<u64, Vec<u8>>,
    before: u64,
    watermark: u64,
}

impl MarkerSource for Rows {
    fn manifest(&self) -> Result<MarkerManifest, MarkerStoreError> {
        Ok(decode_marker_manifest(&self.manifest)?)
    }

    fn streams(&self) -> Result<Vec<(u32, Bytes)>, MarkerStoreError> {
        let row = |(slot, row): (&u32, &Vec<u8>)| (*slot, Bytes::copy_from_slice(row));
        Ok(self.streams.iter().map(row).collect())
    }

    fn block_at_or_after(&self, from: u64) -> Result<Option<(u64, Bytes)>, MarkerStoreError> {
        let block = self.blocks.range(from..).next();
        Ok(block.map(|(first, block)| (*first, Bytes::copy_from_slice(block))))
    }
}

/// The markers at the beginning of a block, with hashes or without.
fn markers(codec: &MarkerCodec, block: &[u8]) -> Vec<Marker> {
    let (mut markers, mut rest) = (Vec::new(), block);
    while let Ok(Some((stored, behind))) = codec.decode(rest) {
        markers.push(stored.marker);
        rest = behind;
    }
    markers
}

fuzz_target!(|rows: Rows| {
    let codec = MarkerCodec::default();
    let mut rows = rows;
    if rows.honest {
        for block in rows.blocks.values_mut() {
            *block = codec.encode_block(&markers(&codec, block));
        }
    }
    let (before, watermark) = (rows.before, rows.watermark);
    let blocks = rows.blocks.clone();
    let source = Arc::new(rows);
    let reader = MarkerReader::new(source.clone());
    let scanned = reader.scan().count();
    let _ = reader.fold_before(before);
    let _ = reader.streams();
    let hifi = reader.hifi(0..=before).count();
    assert!(hifi <= scanned);
    let run_id: RunId = "1-00000000".parse().expect("a run id");
    let report = MarkerVerifier::new(source).beside(run_id, watermark).run();
    let found = report.counts.snapshots + report.counts.hifi + report.counts.gaps;
    assert!(found as usize <= blocks.values().map(Vec::len).sum());
    if report.is_clean() && report.findings_omitted == 0 {
        for block in blocks.values() {
            assert_eq!(codec.encode_block(&markers(&codec, block)), *block);
        }
        let fold = reader.fold_before(u64::MAX).expect("what verifies can be read");
        assert!(fold.cursors.len() <= report.counts.dict as usize);
    }
});
