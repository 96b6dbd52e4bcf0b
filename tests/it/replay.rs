//! Replay: a cache restored from a run and kept up with it.

mod cut_short;
mod follower;
mod producers;
mod property;
mod restore;

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
