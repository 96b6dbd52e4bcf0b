//! Any bytes, read as a manifest and as an anchor: no panic, and no more memory than the bytes are
//! worth. What can be read is written so that it reads back the same.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use tapline::internals::format::{
    ManifestError, decode_anchor, decode_manifest, encode_anchor, encode_manifest,
};
use tapline_fuzz::allocated;

fuzz_target!(|data: &[u8]| {
    check(data, decode_manifest, encode_manifest);
    check(data, decode_anchor, encode_anchor);
});

fn check<T: PartialEq + Debug>(
    data: &[u8],
    decode: fn(&[u8]) -> Result<T, ManifestError>,
    encode: fn(&T) -> Vec<u8>,
) {
    let (decoded, bytes) = allocated(|| decode(data));
    // A map of two short texts takes a node for eleven; a list grows by doubling.
    assert!(bytes <= 4096 + 128 * data.len(), "{bytes} bytes for {}", data.len());
    let Ok(decoded) = decoded else {
        return;
    };
    let encoded = encode(&decoded);
    let again = decode(&encoded).expect("what was written can be read");
    assert_eq!(again, decoded);
    assert_eq!(encode(&again), encoded);
}
