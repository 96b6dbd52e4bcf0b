//! The small records of a run file besides its frames: manifest and snapshot anchor. They are JSON,
//! so that a file explains itself to any reader. `docs/dependencies.md` says why there is no binary
//! codec.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{Hash, MarkerManifest, RunManifest, SnapshotAnchor};

/// Version of the run file as a whole, stored beside the manifest.
pub const FORMAT_VERSION: u64 = 3;

/// A manifest or anchor that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[error("the {what} cannot be decoded")]
pub struct ManifestError {
    what: &'static str,
    source: serde_json::Error,
}

/// The manifest as it is stored.
pub fn encode_manifest(manifest: &RunManifest) -> Vec<u8> {
    encode(manifest)
}

/// Reads a stored manifest.
pub fn decode_manifest(bytes: &[u8]) -> Result<RunManifest, ManifestError> {
    decode("manifest", bytes)
}

/// Version of the sidecar's file, stored beside its manifest.
pub const MARKER_FORMAT_VERSION: u64 = 1;

/// The manifest of a sidecar as it is stored.
pub fn encode_marker_manifest(manifest: &MarkerManifest) -> Vec<u8> {
    encode(manifest)
}

/// Reads the stored manifest of a sidecar.
pub fn decode_marker_manifest(bytes: &[u8]) -> Result<MarkerManifest, ManifestError> {
    decode("manifest of the sidecar", bytes)
}

/// The anchor as it is stored.
pub fn encode_anchor(anchor: &SnapshotAnchor) -> Vec<u8> {
    encode(anchor)
}

/// Reads a stored anchor.
pub fn decode_anchor(bytes: &[u8]) -> Result<SnapshotAnchor, ManifestError> {
    decode("snapshot anchor", bytes)
}

/// The root of a sealed run: BLAKE3 over the stored manifest and the stored anchor. The manifest
/// contains the root of the last frame. A run without an anchor adds nothing for it.
pub fn run_root(manifest: &[u8], anchor: &[u8]) -> Hash {
    Hash::of_parts([manifest, anchor])
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data with text keys always encodes")
}

fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, ManifestError> {
    serde_json::from_slice(bytes).map_err(|source| ManifestError { what, source })
}
