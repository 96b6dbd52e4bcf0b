use super::{Applied, CacheError, StateCache};
use crate::read::{Direction, EventStoreReader, ReadError};

/// Why a run's entries could not all be applied to a cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The run could not be read. The cache holds the state at `applied_seq`.
    #[error(
        "cannot read the run behind entry {applied_seq} (`tapline verify` says what is damaged)"
    )]
    Read {
        /// The last entry that was applied; 0 for none.
        applied_seq: u64,
        /// What is wrong.
        source: ReadError,
    },
    /// The cache failed to apply an entry. It was given no later one, and its state must not be
    /// used.
    #[error(
        "the cache cannot apply entry {seq}, a {payload_type} on {topic:?} (its state is wrong now: \
         discard it and replay with a program that knows this message)"
    )]
    Apply {
        /// The entry.
        seq: u64,
        /// Its topic.
        topic: String,
        /// Its payload type.
        payload_type: String,
        /// The cache's error.
        source: CacheError,
    },
}

/// How far a cache has come in a run, and how many entries it has applied or ignored.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// The last entry that the cache was given.
    pub(super) seq: u64,
    pub(super) applied: u64,
    pub(super) ignored: u64,
}

impl Progress {
    /// For a cache that has the state at entry `seq`.
    pub(super) fn at(seq: u64) -> Self {
        Self { seq, ..Self::default() }
    }

    /// Gives the cache every entry up to `to_seq`, in order. Stops at the first error, before that
    /// entry.
    pub(super) fn advance<C: StateCache + ?Sized>(
        &mut self,
        cache: &mut C,
        reader: &EventStoreReader,
        to_seq: u64,
    ) -> Result<(), ReplayError> {
        // No entry comes after the largest number. Then the range is empty.
        let mut scan = reader.scan(self.seq.saturating_add(1), to_seq, Direction::Forward);
        while self.seq < to_seq {
            // A durable entry that the scan does not return is missing.
            let missing = ReadError::Gap { from: self.seq + 1, to: to_seq };
            let entry = scan
                .next_ref()
                .unwrap_or(Err(missing))
                .map_err(|source| ReplayError::Read { applied_seq: self.seq, source })?;
            match cache.apply(&entry) {
                Ok(Applied::Applied) => self.applied += 1,
                Ok(Applied::Ignored) => self.ignored += 1,
                Err(source) => {
                    return Err(ReplayError::Apply {
                        seq: entry.seq(),
                        topic: entry.topic().to_owned(),
                        payload_type: entry.payload_type().to_owned(),
                        source,
                    });
                }
            }
            self.seq = entry.seq();
        }
        Ok(())
    }
}
