//! Rebuilds a node's state from its run, and joins a run's entries with market data.
//!
//! Everything here reads. Nothing has a bus, so a replay cannot publish, query or arm timers.

mod catalog;
mod follower;
mod inputs;
mod join;
mod market_data;
#[cfg(feature = "parquet")]
mod parquet;
mod progress;
mod restore;
mod state_cache;

pub use catalog::{
    CatalogError, Coverage, DataRequest, DataSlice, EmptyCatalog, ReplayCatalog, SliceRecords,
    TimeRange,
};
pub use follower::{CacheFollower, FollowError, SnapshotError};
pub use inputs::{MissingData, PlanError, PlannedInputs, ReplayInputs};
pub use join::{JoinError, JoinedReplay, ReplayItem};
pub use market_data::{Aggressor, Bar, MarketDataClass, MarketRecord, Quote, Trade};
#[cfg(feature = "parquet")]
pub use parquet::{ParquetCatalog, ParquetCatalogError};
pub use progress::ReplayError;
pub use restore::{RestoreError, RestoreReport, restore_snapshot_and_replay_tail};
pub use state_cache::{Applied, CacheError, StateCache};
