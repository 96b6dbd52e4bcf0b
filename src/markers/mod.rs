//! The data-marker sidecar. It says which market data the node had seen at each entry of the log,
//! without storing the data.
//!
//! ```text
//! tap ─mark─▶ producer's ring ─▶ writer ─▶ sidecar's thread ─▶ <run_id>.markers.redb
//! ```
//!
//! A tap counts the market data that passes it and puts a mark into its producer's ring, in order
//! with its entries. The writer knows which entry comes before the mark, and sends both on. The
//! sidecar's thread adds marks up to cursors and writes those down. None of this can make an entry
//! wait: a mark that finds no room is shed, and a gap says so. See `docs/markers.md`.

mod config;
mod cursor_state;
mod error;
mod extractor;
mod extractor_registry;
mod finding;
mod log_cursor;
mod marker_tap;
#[cfg(feature = "internals")]
pub(crate) mod memory;
mod reader;
mod recorder;
mod redb_store;
mod sidecar_thread;
mod store;
mod verifier;

pub use config::DataMarkerConfig;
pub use extractor::{DataPoint, Extractor};
pub use extractor_registry::ExtractorRegistry;
// `tapline-catalog` exports what reads sidecars.
internal!(error::MarkerStoreError);
internal!(finding::MarkerFinding);
internal!(reader::{MarkerFold, MarkerReader});
internal!(verifier::{MarkerVerifier, MarkerVerifyReport});
internal!(redb_store::{RedbMarkerBackend, open_markers, open_sealed_markers});
internal!(store::{MarkerBackend, MarkerBatch, MarkerSource});

internal!(crate::format::MarkerBlockError);

pub(crate) use marker_tap::{MarkerScope, MarkerTap, Observed};
pub(crate) use sidecar_thread::SidecarThread;
