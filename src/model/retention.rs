use serde::{Deserialize, Serialize};

use super::settings::checked_settings;

/// What is kept of older runs. Runs are only removed by an explicit call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", remote = "Self")]
pub enum RetentionMode {
    /// Everything.
    #[default]
    Full,
    /// The newest runs.
    Bounded {
        /// How many. 1 to 1 000 000.
        keep_last: u32,
    },
    /// What is needed to restore from the newest known-good snapshot.
    SnapshotAnchored,
    /// The runs that ended not long ago. Also removes runs of an instance without any snapshot.
    ///
    /// A run ends when its last entry is published, by its node's clock, but not before it starts.
    /// So runs of a backtest are as old as the time that they simulate, and runs that a clock which
    /// ran ahead has dated into the future stay.
    MaxAge {
        /// For how long, in seconds. 1 to 3 153 600 000 (a hundred years).
        keep_for_s: u64,
    },
    /// The newest runs, as many as fit. Also removes runs of an instance without any snapshot. What
    /// has to stay may take more: see [`kept_bytes`](crate::runs::RetentionPlan::kept_bytes).
    MaxBytes {
        /// How many bytes run files, sidecars and logs may take. Any number.
        keep_bytes: u64,
    },
}

checked_settings!(RetentionMode, &[&["mode", "keep_last", "keep_for_s", "keep_bytes"]]);

impl RetentionMode {
    /// The feature flag that stands for this mode in a run's manifest.
    pub const fn feature_flag(self) -> &'static str {
        match self {
            Self::Full => "retention=full",
            Self::Bounded { .. } => "retention=bounded",
            Self::SnapshotAnchored => "retention=snapshot",
            Self::MaxAge { .. } => "retention=age",
            Self::MaxBytes { .. } => "retention=bytes",
        }
    }
}
