use crate::format::FrameError;
use crate::store::ReadFault;

/// Why something could not be read from a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The entry's bytes do not have the hash stored with it.
    #[error("entry {seq} does not match its hash")]
    HashMismatch {
        /// The entry.
        seq: u64,
    },
    /// Entries that should be there are missing: before a frame that is there, or before the end of
    /// a sealed run.
    #[error("entries {from} to {to} are missing")]
    Gap {
        /// The first missing `seq`.
        from: u64,
        /// The last missing `seq`.
        to: u64,
    },
    /// An entry carries another `seq` than its place has.
    #[error("the entry in place {expected} says it is entry {found}")]
    OutOfPlace {
        /// The `seq` of its place.
        expected: u64,
        /// The `seq` it carries.
        found: u64,
    },
    /// A frame, or a record in it, is malformed.
    #[error("the frame at seq {first_seq} is damaged")]
    Frame {
        /// The `seq` the frame is stored under.
        first_seq: u64,
        /// What is wrong.
        source: FrameError,
    },
    /// An entry uses a topic or payload type that the names table does not have.
    #[error("entry {seq} uses name {id}, which the run does not have")]
    UnknownName {
        /// The entry.
        seq: u64,
        /// The number of the name.
        id: u32,
    },
    /// The recorded anchor points past the watermark.
    #[error("the snapshot anchor is at seq {anchor}, past the watermark {watermark}")]
    AnchorPastWatermark {
        /// Where the anchor points.
        anchor: u64,
        /// The durable watermark.
        watermark: u64,
    },
    /// The store could not read.
    #[error(transparent)]
    Store(#[from] ReadFault),
}
