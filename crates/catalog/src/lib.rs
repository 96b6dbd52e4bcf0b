//! A run joined with market data: what the node had recorded, and what its market data was, in one
//! order by time.
//!
//! A [`ReplayCatalog`] has the market data. [`ReplayInputs`] say which entries and which data to
//! replay; a plan says what is missing before anything is read; [`JoinedReplay`] hands entries and
//! records out in one order. [`ParquetCatalog`] is a catalog in Parquet files (feature `parquet`, on
//! by default; the layout stands in `docs/replay.md`). [`join_at_entry`] says what market data a node
//! had seen at one of its entries, by the markers of the run.
//!
//! Everything here reads.

mod at_entry;
mod catalog;
mod inputs;
mod join;
mod market_data;
#[cfg(feature = "parquet")]
mod parquet;

pub use at_entry::{MarkerJoinError, StreamAtEntry, join_at_entry};
pub use catalog::{
    CatalogError, Coverage, DataRequest, DataSlice, EmptyCatalog, ReplayCatalog, SliceRecords,
    TimeRange,
};
pub use inputs::{MissingData, PlanError, PlannedInputs, ReplayInputs};
pub use join::{JoinError, JoinedReplay, ReplayItem};
pub use market_data::{Aggressor, Bar, MarketDataClass, MarketRecord, Quote, Trade};
#[cfg(feature = "parquet")]
pub use parquet::{ParquetCatalog, ParquetCatalogError};
