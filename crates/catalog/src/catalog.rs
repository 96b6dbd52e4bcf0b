use std::error::Error;
use std::fmt;

use tapline::UnixNanos;

use crate::market_data::{MarketDataClass, MarketRecord};

/// An error of the catalog's own, which names the place in the catalog.
pub type CatalogError = Box<dyn Error + Send + Sync + 'static>;

/// The records of a slice, in the order of their `ts_init`.
pub type SliceRecords = Box<dyn Iterator<Item = Result<MarketRecord, CatalogError>> + Send>;

/// A stretch of time, in Unix nanoseconds of `ts_init`. Both ends belong to it; one that ends
/// before it begins is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeRange {
    /// Its first instant.
    pub from: UnixNanos,
    /// Its last instant.
    pub to: UnixNanos,
}

impl TimeRange {
    /// From `from` to `to`, in Unix nanoseconds, both included.
    pub const fn new(from: u64, to: u64) -> Self {
        Self { from: UnixNanos::new(from), to: UnixNanos::new(to) }
    }

    /// Whether `time` belongs to it.
    pub fn contains(&self, time: UnixNanos) -> bool {
        (self.from..=self.to).contains(&time)
    }

    /// What belongs to both; `None` where nothing does.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        (from <= to).then_some(Self { from, to })
    }
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

/// Market data asked for: one class of one instrument over a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataRequest {
    /// The class.
    pub class: MarketDataClass,
    /// The instrument, or the type of bar, as the catalog names it.
    pub instrument: String,
    /// The stretch of time.
    pub range: TimeRange,
    /// Whether to refuse a replay where a part of it is missing.
    pub required: bool,
}

/// A part of a request that the catalog has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSlice {
    /// The class.
    pub class: MarketDataClass,
    /// The instrument, or the type of bar.
    pub instrument: String,
    /// The stretch of time; only records within it are loaded.
    pub range: TimeRange,
    /// Where the catalog has it; opaque to the replay.
    pub slice_ref: String,
}

/// What a catalog has of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The slices within the request, in the order of time.
    pub slices: Vec<DataSlice>,
    /// What no slice covers, in the order of time.
    pub missing: Vec<TimeRange>,
}

impl Coverage {
    /// Cuts `slices` to the `range` asked for, drops those outside it, sorts them, and finds what
    /// they leave uncovered.
    pub fn of(range: TimeRange, slices: Vec<DataSlice>) -> Self {
        let cut = |slice: DataSlice| {
            let range = slice.range.intersection(&range)?;
            Some(DataSlice { range, ..slice })
        };
        let mut slices: Vec<_> = slices.into_iter().filter_map(cut).collect();
        slices.sort_by_key(|slice| slice.range);
        let missing = uncovered(range, &slices);
        Self { slices, missing }
    }
}

fn uncovered(range: TimeRange, slices: &[DataSlice]) -> Vec<TimeRange> {
    let (first, last) = (range.from.as_u64(), range.to.as_u64());
    let mut missing = Vec::new();
    // The first instant that is not known to be covered; `None` behind the end of time.
    let mut next = Some(first);
    for slice in slices {
        let Some(from) = next else { break };
        let covered = slice.range.from.as_u64();
        if from < covered {
            missing.push(TimeRange::new(from, covered - 1));
        }
        next = slice.range.to.as_u64().checked_add(1).map(|behind| behind.max(from));
    }
    missing.extend(next.filter(|from| *from <= last).map(|from| TimeRange::new(from, last)));
    missing
}

/// A catalog of market data.
pub trait ReplayCatalog {
    /// Which slices cover a request, and what of it is missing. Slices do not overlap. What this
    /// says should cost no reading of records.
    fn plan(&self, request: &DataRequest) -> Result<Coverage, CatalogError>;

    /// The records of a slice whose `ts_init` is within its range, in that order. Records are read
    /// as they are asked for, in bounded memory.
    fn load(&self, slice: &DataSlice) -> Result<SliceRecords, CatalogError>;
}

/// A catalog with nothing in it, for a replay of entries alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmptyCatalog;

impl ReplayCatalog for EmptyCatalog {
    fn plan(&self, request: &DataRequest) -> Result<Coverage, CatalogError> {
        Ok(Coverage::of(request.range, Vec::new()))
    }

    fn load(&self, _slice: &DataSlice) -> Result<SliceRecords, CatalogError> {
        Ok(Box::new(std::iter::empty()))
    }
}
