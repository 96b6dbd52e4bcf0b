//! What retention says of one run, and why.

use serde::Serialize;

use crate::model::RunId;

/// What retention says of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetentionDecision {
    /// It stays.
    Keep(KeepReason),
    /// It may be removed.
    Reclaim(ReclaimReason),
}

/// Why a run stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeepReason {
    /// The mode is [`Full`](crate::RetentionMode::Full).
    #[error("everything is kept")]
    Everything,
    /// It is being recorded, or was left behind by a crash.
    #[error("not sealed: it is being recorded, or is to be recovered")]
    NotSealed,
    /// It cannot be read, so that it cannot be said what would be lost.
    #[error("cannot be read: {error}")]
    Unreadable {
        /// What is wrong.
        error: String,
    },
    /// There is nothing to restore from, so that each run may be the last that tells what happened.
    #[error("no sound run has a snapshot to restore from")]
    NoRestorePoint,
    /// It ended within the time that runs are kept for.
    #[error("ended within the last {}", in_words(*.keep_for_s))]
    Young {
        /// For how long, in seconds.
        keep_for_s: u64,
    },
    /// It fits into the bytes that runs may take.
    #[error("fits into {keep_bytes} bytes")]
    Fits {
        /// How many.
        keep_bytes: u64,
    },
    /// It is the newest known-good restore point.
    #[error("the newest restore point")]
    RestorePoint,
    /// It is one of the newest runs.
    #[error("one of the newest")]
    Newest,
    /// It is newer than the newest known-good restore point.
    #[error("newer than the restore point {restore_point}")]
    AfterRestorePoint {
        /// The restore point.
        restore_point: RunId,
    },
    /// It is the head of the history, as far as can be said: the next run may continue from it. Or
    /// the head is found by it.
    #[error("the next run may continue from it")]
    Continuable,
    /// A kept run without a snapshot of its own continues from it.
    #[error("{run_id} continues from it")]
    NeededBy {
        /// The run that does.
        run_id: RunId,
    },
}

/// Why a run may be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReclaimReason {
    /// There are enough newer ones.
    #[error("not one of the newest {keep_last}")]
    NotNewest {
        /// How many are kept.
        keep_last: u32,
    },
    /// It ended longer ago than runs are kept for.
    #[error("ended more than {} ago", in_words(*.keep_for_s))]
    TooOld {
        /// For how long, in seconds.
        keep_for_s: u64,
    },
    /// With it, the runs that are kept would take too many bytes.
    #[error("does not fit into {keep_bytes} bytes")]
    OverBytes {
        /// How many they may take.
        keep_bytes: u64,
    },
    /// It is older than the newest known-good restore point.
    #[error("older than the restore point {restore_point}")]
    BeforeRestorePoint {
        /// The restore point.
        restore_point: RunId,
    },
}

/// `30 d`, `36 h`, `90 s`: in the largest unit that says it exactly.
fn in_words(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let whole =
        units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, name) = whole.unwrap_or((1, "s"));
    format!("{} {name}", seconds / unit)
}
