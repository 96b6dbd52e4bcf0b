//! The runs of a node joined with market data: what it recorded, and what it had seen.
//!
//! - [`ReplayInputs`]: entries of a run and records of a catalog in one order.
//! - [`join_at_entry`]: what of each stream the node had seen when it captured an entry.
//! - [`sidecar`]: the data markers beside a run, read and verified.
//!
//! A [`ReplayCatalog`] says which market data there is, and loads it. With the feature `parquet`
//! (on by default), `ParquetCatalog` is one over a folder of Parquet files.
//!
//! Everything here reads. Nothing has a bus, so a replay cannot publish, query or arm timers.

mod at_entry;
mod catalog;
mod inputs;
mod join;
mod market_data;
#[cfg(feature = "parquet")]
mod parquet;
pub mod sidecar;

pub use at_entry::{MarkerJoinError, StreamAtEntry, join_at_entry};
pub use catalog::{
    CatalogError, Coverage, DataRequest, DataSlice, EmptyCatalog, ReplayCatalog, SliceRecords,
    TimeRange,
};
pub use inputs::{MissingData, PlanError, PlannedInputs, ReplayInputs};
pub use join::{JoinError, JoinedReplay, ReplayItem};
pub use market_data::{
    Aggressor, Bar, BookAction, BookDelta, BookDeltas, BookDepth10, BookLevel, BookSide,
    MarketDataClass, MarketRecord, Quote, Trade,
};
#[cfg(feature = "parquet")]
pub use parquet::{CatalogFileWriter, ParquetCatalog, ParquetCatalogError};
