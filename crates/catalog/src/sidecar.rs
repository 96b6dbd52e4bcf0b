//! The data markers beside a run: which market data the node had seen, and when.
//!
//! The engine writes them while it records. [`MarkerReader::open_sealed`] reads those of a sealed
//! run.

pub use tapline::markers::{
    MarkerFinding, MarkerFold, MarkerReader, MarkerSource, MarkerStoreError, MarkerVerifier,
    MarkerVerifyReport, open_markers, open_sealed_markers,
};
pub use tapline::{
    DataCursorSnapshot, HiFiMarker, Marker, MarkerCounts, MarkerGap, MarkerGapReason,
    MarkerManifest, StreamCursor, StreamDictEntry,
};
