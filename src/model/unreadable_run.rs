use serde::{Deserialize, Serialize};

/// What a start does if it cannot continue the run that may hold what happened last: its file
/// cannot be read just now, or is damaged, or the run is quarantined.
///
/// In no case does a start pass over a run in another version of the format: the program that wrote
/// it can read it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnreadableRun {
    /// It refuses. The reason may pass (a process holds the file, a permission is missing), and a
    /// run that opens in its place would take its place for good.
    #[default]
    Stop,
    /// It continues an older run, and notes in the new run's manifest which one it passed over.
    PassOver,
}
