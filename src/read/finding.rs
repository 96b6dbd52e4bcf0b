use serde::Serialize;

use crate::model::{Hash, RunId, RunStatus, UnixNanos, error_chain};
use crate::store::ReadFault;

/// One thing that is wrong with a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// An entry's bytes do not have the hash stored with it.
    #[error("entry {seq} does not match its hash")]
    HashMismatch {
        /// The entry.
        seq: u64,
    },
    /// Entries are missing.
    #[error("entries {from} to {to} are missing")]
    Gap {
        /// The first missing `seq`.
        from: u64,
        /// The last missing `seq`.
        to: u64,
    },
    /// An entry, or a frame, carries another `seq` than the place it is stored in.
    #[error("what is stored as seq {stored_as} says it is seq {says}")]
    SeqMismatch {
        /// The place.
        stored_as: u64,
        /// What it says.
        says: u64,
    },
    /// A frame cannot be decoded.
    #[error("the frame at seq {first_seq} is damaged: {error}")]
    FrameDamaged {
        /// The `seq` the frame is stored under.
        first_seq: u64,
        /// What is wrong.
        error: String,
    },
    /// A frame does not follow from its predecessor, or not from its own content.
    #[error("the chain breaks at the frame at seq {first_seq}: {error}")]
    ChainBreak {
        /// The `seq` the frame is stored under.
        first_seq: u64,
        /// What does not match.
        error: String,
    },
    /// A row of the index points to an entry that is missing, damaged, or not the first of its
    /// frame to mention a key with the row's hash; or the row is there twice.
    #[error(
        "the index points to entry {seq} for keys with hash {hash}, which does not bear it out"
    )]
    IndexDangling {
        /// The hash of a key, 16 hexadecimal digits.
        hash: String,
        /// Where it points.
        seq: u64,
    },
    /// An entry is the first of its frame to mention a key, and the index does not have it.
    #[error("index key {index_kind}:{key}, which entry {seq} mentions, is not in the index for it")]
    IndexMissing {
        /// Kind of the key.
        index_kind: String,
        /// The key.
        key: String,
        /// The entry that mentions it.
        seq: u64,
    },
    /// The index does not have an entry that mentions a key, and leads to a later one instead.
    #[error(
        "index key {index_kind}:{key} points to entry {indexed}, but entry {seq} mentions it first"
    )]
    IndexWrongSeq {
        /// Kind of the key.
        index_kind: String,
        /// The key.
        key: String,
        /// Where it points.
        indexed: u64,
        /// An earlier entry that mentions it.
        seq: u64,
    },
    /// A block of the index is malformed, or not stored where it belongs.
    #[error("the index block of tier {tier} at hash {hash}, entry {seq}, is damaged: {error}")]
    IndexDamaged {
        /// The tier it is stored in.
        tier: u16,
        /// The hash it is stored under, 16 hexadecimal digits.
        hash: String,
        /// The `seq` it is stored under.
        seq: u64,
        /// What is wrong.
        error: String,
    },
    /// The names table does not agree with the names in the frames.
    #[error("name {id} is {table:?} in the names table, but {frames:?} in the frames")]
    NameMismatch {
        /// Number of the name.
        id: u32,
        /// The name in the table.
        table: Option<String>,
        /// The name in the frames.
        frames: Option<String>,
    },
    /// An entry uses a name the run does not have.
    #[error("entry {seq} uses name {id}, which the run does not have")]
    UnknownName {
        /// The entry.
        seq: u64,
        /// The number of the name.
        id: u32,
    },
    /// The manifest does not agree with the entries.
    #[error("the manifest's {field} is {manifest}, but the run's is {run}")]
    ManifestMismatch {
        /// The field.
        field: &'static str,
        /// What the manifest says.
        manifest: String,
        /// What follows from the entries.
        run: String,
    },
    /// The anchor cannot be decoded.
    #[error("the snapshot anchor cannot be read: {error}")]
    AnchorUnreadable {
        /// What is wrong.
        error: String,
    },
    /// The anchor points past the watermark.
    #[error("the snapshot anchor is at seq {anchor}, past the watermark {watermark}")]
    AnchorPastWatermark {
        /// Where the anchor points.
        anchor: u64,
        /// The watermark.
        watermark: u64,
    },
    /// The run's root is not the one it should have.
    #[error("the run's root is {found}, expected was {expected}")]
    RootMismatch {
        /// The root given to compare with.
        expected: String,
        /// The root the run has; "none" for a run that is not sealed.
        found: String,
    },
    /// A part of the run cannot be read at all.
    #[error("the {what} cannot be read: {error}")]
    Unreadable {
        /// The part.
        what: &'static str,
        /// What is wrong.
        error: String,
    },
}

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The run, if its manifest can be read.
    pub run_id: Option<RunId>,
    /// Its status, if its manifest can be read.
    pub status: Option<RunStatus>,
    /// Entries whose place and bytes were checked.
    pub entries_scanned: u64,
    /// The largest `ts_init` of these entries; `None` if there are none.
    pub end_ts_init: Option<UnixNanos>,
    /// The run's root; `None` if it is not sealed or the manifest cannot be read.
    pub root: Option<Hash>,
    /// Everything that is wrong; empty for a clean run. At most [`Self::FINDINGS_MAX`] are kept.
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub findings_omitted: u64,
}

impl VerifyReport {
    /// The most findings in a report. Enough to see a pattern, and a limit for a file that is
    /// damaged throughout.
    pub const FINDINGS_MAX: usize = 1000;

    /// True if nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Findings, the first of them in full.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) kept: Vec<Finding>,
    pub(super) omitted: u64,
}

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        if self.kept.len() < VerifyReport::FINDINGS_MAX {
            self.kept.push(finding);
        } else {
            self.omitted += 1;
        }
    }

    pub(super) fn unreadable(&mut self, what: &'static str, error: &ReadFault) {
        self.push(Finding::Unreadable { what, error: error_chain(error) });
    }

    /// Like [`push`](Self::push), for a finding that is costly to make. Makes it only if it is
    /// kept.
    pub(super) fn push_with<E>(
        &mut self,
        finding: impl FnOnce() -> Result<Finding, E>,
    ) -> Result<(), E> {
        if self.kept.len() < VerifyReport::FINDINGS_MAX {
            self.kept.push(finding()?);
        } else {
            self.omitted += 1;
        }
        Ok(())
    }
}
