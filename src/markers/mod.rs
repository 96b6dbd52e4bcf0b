//! The data-marker sidecar: which market data the node had seen when it did what is in the log, without storing it.
//!
//! ```text
//! tap ──mark──▶ producer's ring ──▶ writer ──place in the order──▶ sidecar's thread ──▶ <run_id>.markers.redb
//! ```
//!
//! A tap counts the market data that passes it and says so in its producer's ring, in order with its entries. The writer
//! knows which entry comes before, and sends it on; the sidecar's thread folds it into cursors and writes those down. None
//! of this can make an entry wait: what finds no room is shed, and a gap says so. See `docs/markers.md`.

mod config;
mod cursor_state;
mod error;
mod extractor;
mod extractor_registry;
mod finding;
mod lane;
mod log_cursor;
mod marker_tap;
#[cfg(feature = "internals")]
pub(crate) mod memory;
mod reader;
mod recorder;
mod redb_store;
mod store;
mod verifier;

pub use config::DataMarkerConfig;
pub use error::MarkerStoreError;
pub use extractor::{DataPoint, Extractor};
pub use extractor_registry::ExtractorRegistry;
pub use finding::MarkerFinding;
pub use reader::{MarkerFold, MarkerReader};
pub use redb_store::{RedbMarkerBackend, open_sealed_markers};
pub use store::{MarkerBackend, MarkerBatch, MarkerSource};
pub use verifier::{MarkerVerifier, MarkerVerifyReport};

pub use crate::format::MarkerBlockError;

pub(crate) use lane::MarkerLane;
pub(crate) use marker_tap::{MarkerScope, MarkerTap, Observed};
