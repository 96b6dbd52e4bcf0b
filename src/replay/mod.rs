//! Rebuilds a node's state from its run, keeps it up with a run, and takes snapshots of it.
//!
//! Everything here reads. Nothing has a bus, so a replay cannot publish, query or arm timers.

mod follower;
mod progress;
mod restore;
mod state_cache;

pub use follower::{CacheFollower, FollowError};
pub use progress::ReplayError;
pub use restore::{RestoreError, RestoreReport, restore_snapshot_and_replay_tail};
pub use state_cache::{Applied, CacheError, StateCache};
