//! A run joined with market data, and catalogs.

mod at_entry;
mod cut_short;
mod inputs;
mod join;
mod market;
#[cfg(feature = "parquet")]
mod parquet;
#[path = "../../../../tests/it/support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the library's tests, which use more of it"
)]
mod support;

use tapline::read::EventStoreReader;
use tapline::store::EventStore;

use crate::support::{FrameMaker, Message, Place};

/// A run in memory with each batch as one frame, and its reader.
fn run_of(batches: &[Vec<Message>]) -> (Box<dyn EventStore>, EventStoreReader) {
    let mut store = Place::memory().open(1);
    FrameMaker::new().append_all(&mut *store, batches);
    let reader = EventStoreReader::new(store.reader().expect("a run is open"));
    (store, reader)
}
