use serde::Serialize;

use crate::model::{DataMarkerClass, RunId};

/// One thing that is wrong with a sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum MarkerFinding {
    /// A marker's bytes do not have the hash stored with it.
    #[error("marker {marker_seq} does not match its hash")]
    MarkerHashMismatch {
        /// The marker.
        marker_seq: u64,
    },
    /// A row of the dictionary does not have the hash stored with it.
    #[error("stream {slot} does not match its hash")]
    StreamHashMismatch {
        /// The stream.
        slot: u32,
    },
    /// Markers are missing, and no gap says so.
    #[error("markers {from} to {to} are missing")]
    MarkersMissing {
        /// The first that is missing.
        from: u64,
        /// The last.
        to: u64,
    },
    /// A marker has a number that another one had, or that belongs before it.
    #[error("marker {marker_seq} stands behind marker {behind}")]
    MarkerOverlap {
        /// The marker.
        marker_seq: u64,
        /// The last number before it.
        behind: u64,
    },
    /// A block is stored under another number than that of its first marker.
    #[error("the block stored as {stored_as} begins with marker {says}")]
    BlockMismatch {
        /// The place.
        stored_as: u64,
        /// What it begins with.
        says: u64,
    },
    /// A marker's place in the log is before that of an earlier one.
    #[error(
        "marker {marker_seq} is at entry {event_seq_before}, before an earlier one at {behind}"
    )]
    EventSeqRegressed {
        /// The marker.
        marker_seq: u64,
        /// Its place.
        event_seq_before: u64,
        /// The place of an earlier one.
        behind: u64,
    },
    /// A marker's place in the log is behind its end.
    #[error("marker {marker_seq} is at entry {event_seq_before}, but the run ends at {watermark}")]
    PastWatermark {
        /// The marker.
        marker_seq: u64,
        /// Its place.
        event_seq_before: u64,
        /// The run's last entry.
        watermark: u64,
    },
    /// A stream has less data than before, or no more though it is said to have moved.
    #[error("marker {marker_seq} counts {count} of stream {slot}, and an earlier one {before}")]
    CountRegressed {
        /// The marker.
        marker_seq: u64,
        /// The stream.
        slot: u32,
        /// Its count.
        count: u64,
        /// Its count before.
        before: u64,
    },
    /// A time that can only rise has fallen: of a stream, or, without a slot, of the snapshot.
    #[error("marker {marker_seq} has a time before that of an earlier one")]
    TimeRegressed {
        /// The marker.
        marker_seq: u64,
        /// The stream.
        slot: Option<u32>,
    },
    /// A marker is of a stream that the dictionary does not have.
    #[error("marker {marker_seq} is of stream {slot}, which is not in the dictionary")]
    UnknownStream {
        /// The marker.
        marker_seq: u64,
        /// The stream.
        slot: u32,
    },
    /// A stream is of a class that was not to be marked.
    #[error("stream {slot} is {data_cls}, which the manifest does not say was marked")]
    ClassNotEnabled {
        /// The stream.
        slot: u32,
        /// Its class.
        data_cls: DataMarkerClass,
    },
    /// A stream has high-fidelity markers, and was not to have any.
    #[error(
        "stream {slot} has high-fidelity markers, which the manifest does not say of {identifier}"
    )]
    NotHighFidelity {
        /// The stream.
        slot: u32,
        /// The instrument.
        identifier: String,
    },
    /// A block cannot be decoded.
    #[error("the block at marker {first} is damaged: {error}")]
    BlockDamaged {
        /// What it is stored under.
        first: u64,
        /// What is wrong.
        error: String,
    },
    /// A row of the dictionary cannot be decoded, or is stored under another slot than its own.
    #[error("stream {slot} is damaged: {error}")]
    StreamDamaged {
        /// What it is stored under.
        slot: u32,
        /// What is wrong.
        error: String,
    },
    /// Two slots stand for the same stream.
    #[error("stream {slot} is {data_cls} of {identifier}, and so is another")]
    StreamTwice {
        /// The second of them.
        slot: u32,
        /// The class.
        data_cls: DataMarkerClass,
        /// The instrument.
        identifier: String,
    },
    /// The manifest counts otherwise.
    #[error("the manifest counts {manifest} {what}, but there are {found}")]
    CountMismatch {
        /// What is counted.
        what: &'static str,
        /// The manifest's count.
        manifest: u64,
        /// What there is.
        found: u64,
    },
    /// The sidecar belongs to another run.
    #[error("it belongs to run {found}, not to {expected}")]
    WrongRun {
        /// The run it stands beside.
        expected: RunId,
        /// The run its manifest names.
        found: RunId,
    },
    /// A part of the sidecar cannot be read.
    #[error("{what} cannot be read: {error}")]
    MarkersUnreadable {
        /// The part.
        what: &'static str,
        /// What is wrong.
        error: String,
    },
}
