//! Market data in memory, for tests of replay.

use std::collections::BTreeMap;

use tapline::UnixNanos;
use tapline_catalog::{
    CatalogError, Coverage, DataRequest, DataSlice, MarketDataClass, MarketRecord, Quote,
    ReplayCatalog, SliceRecords, TimeRange,
};

/// A request for quotes of `instrument` in a range of time, required.
pub(crate) fn request(instrument: &str, range: TimeRange) -> DataRequest {
    let (class, instrument) = (MarketDataClass::Quote, instrument.to_owned());
    DataRequest { class, instrument, range, required: true }
}

/// The slice with quotes of `instrument` in a range of time.
pub(crate) fn slice(instrument: &str, range: TimeRange) -> DataSlice {
    let slice_ref = format!("{instrument}@{}", range.from);
    DataSlice { class: MarketDataClass::Quote, instrument: instrument.to_owned(), range, slice_ref }
}

/// The quote of a time. Its bid identifies it.
pub(crate) fn quote(ts_init: u64, bid_price: i64) -> MarketRecord {
    MarketRecord::Quote(Quote {
        ts_event: UnixNanos::new(ts_init),
        ts_init: UnixNanos::new(ts_init),
        bid_price,
        ask_price: bid_price + 1,
        bid_size: 1,
        ask_size: 1,
    })
}

/// A catalog of quotes.
#[derive(Debug, Default)]
pub(crate) struct MemoryCatalog {
    pub(crate) slices: Vec<DataSlice>,
    /// By `slice_ref`, as given: neither sorted nor cut. `None` is a record that cannot be read.
    pub(crate) records: BTreeMap<String, Vec<Option<MarketRecord>>>,
    pub(crate) fails_to_plan: bool,
}

impl MemoryCatalog {
    /// With slices, but without records in them.
    pub(crate) fn with(slices: &[(&str, TimeRange)]) -> Self {
        let slices = slices.iter().map(|(instrument, range)| slice(instrument, *range)).collect();
        Self { slices, ..Self::default() }
    }

    /// With one more slice.
    pub(crate) fn and(mut self, added: DataSlice, records: &[Option<MarketRecord>]) -> Self {
        self.records.insert(added.slice_ref.clone(), records.to_vec());
        self.slices.push(added);
        self
    }
}

impl ReplayCatalog for MemoryCatalog {
    fn plan(&self, request: &DataRequest) -> Result<Coverage, CatalogError> {
        if self.fails_to_plan {
            return Err("the index is gone".into());
        }
        let asked_for = |slice: &&DataSlice| {
            (slice.class, &slice.instrument) == (request.class, &request.instrument)
        };
        let slices = self.slices.iter().filter(asked_for).cloned().collect();
        Ok(Coverage::of(request.range, slices))
    }

    fn load(&self, slice: &DataSlice) -> Result<SliceRecords, CatalogError> {
        let records = self.records.get(&slice.slice_ref).ok_or("no such slice")?.clone();
        let record = |record: Option<MarketRecord>| -> Result<_, CatalogError> {
            record.ok_or_else(|| "a bad record".into())
        };
        Ok(Box::new(records.into_iter().map(record)))
    }
}
