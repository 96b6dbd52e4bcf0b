//! What becomes of a run that was left behind: the one place where that is decided.

use crate::model::RunStatus;

/// What is durable of a run that was never sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DurableTail {
    /// No entry.
    Empty,
    /// Every entry is in order, and the last is `RunEnded`: only the seal is missing.
    Ended,
    /// Every entry is in order, and the run goes no further.
    Cut,
    /// A hash that does not match, a gap, or damage to the structure.
    Damaged,
}

impl DurableTail {
    /// Every tail, for tests to walk.
    #[cfg(test)]
    pub(super) const ALL: [Self; 4] = [Self::Empty, Self::Ended, Self::Cut, Self::Damaged];

    /// `has_findings`: whether anything is wrong with what is durable. `watermark`: where it ends.
    /// `ends_with_run_ended`: whether topic and payload type of the last entry are `RunEnded`'s; `None` if
    /// there is no last entry that can be read.
    pub(super) fn classify(
        has_findings: bool,
        watermark: u64,
        ends_with_run_ended: Option<bool>,
    ) -> Self {
        match (has_findings, watermark, ends_with_run_ended) {
            (false, 0, None) => Self::Empty,
            (false, 1.., Some(true)) => Self::Ended,
            (false, 1.., Some(false)) => Self::Cut,
            // The last two: a watermark without an entry, or an entry without a watermark, of a run in which
            // nothing was found. It cannot be, so it is not trusted.
            (true, _, _) | (false, 0, Some(_)) | (false, 1.., None) => Self::Damaged,
        }
    }

    /// The table. Only what is sealed as [`RunStatus::CrashedRecovered`] may be continued from.
    pub(super) fn seal_as(self) -> RunStatus {
        match self {
            Self::Empty | Self::Cut => RunStatus::CrashedRecovered,
            Self::Ended => RunStatus::Ended,
            Self::Damaged => RunStatus::Quarantined,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DurableTail::{Cut, Damaged, Empty, Ended};
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        use RunStatus::{CrashedRecovered, Ended as SealedEnded, Quarantined};
        let rows = DurableTail::ALL.map(|tail| (tail, tail.seal_as()));
        assert_eq!(
            rows,
            [
                (Empty, CrashedRecovered),
                (Ended, SealedEnded),
                (Cut, CrashedRecovered),
                (Damaged, Quarantined),
            ]
        );
    }

    #[test]
    fn every_combination_is_classified_also_the_impossible_ones() {
        let expected = [
            (false, 0, None, Empty),
            (false, 0, Some(false), Damaged), // impossible: an entry without a watermark
            (false, 0, Some(true), Damaged),  // impossible
            (false, 7, None, Damaged),        // impossible: a watermark without an entry
            (false, 7, Some(false), Cut),
            (false, 7, Some(true), Ended),
            (true, 0, None, Damaged),
            (true, 0, Some(false), Damaged),
            (true, 0, Some(true), Damaged),
            (true, 7, None, Damaged),
            (true, 7, Some(false), Damaged),
            (true, 7, Some(true), Damaged),
        ];
        for (findings, watermark, run_ended, tail) in expected {
            let found = DurableTail::classify(findings, watermark, run_ended);
            assert_eq!(found, tail, "{findings} {watermark} {run_ended:?}");
        }
        let largest = DurableTail::classify(false, u64::MAX, Some(false));
        assert_eq!(largest, Cut);
    }
}
