use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Peekable;
use std::slice;

use tapline::read::{Direction, EventStoreReader, ReadError, Scan};
use tapline::{Entry, UnixNanos};

use crate::catalog::{CatalogError, DataSlice, ReplayCatalog, SliceRecords, TimeRange};
use crate::inputs::PlannedInputs;
use crate::market_data::{MarketDataClass, MarketRecord};

/// One step of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayItem<'a> {
    /// An entry of the run.
    Entry(Box<Entry>),
    /// A record of the catalog.
    Market {
        /// The instrument, or the type of bar, as it was asked for.
        instrument: &'a str,
        /// The record.
        record: MarketRecord,
    },
}

/// Why a replay could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// An entry could not be read.
    #[error("cannot read the run (`tapline verify` says what is damaged)")]
    Read(#[from] ReadError),
    /// A slice could not be loaded.
    #[error("cannot load {class} of {instrument} from {slice_ref}")]
    Load {
        /// The class.
        class: MarketDataClass,
        /// The instrument.
        instrument: String,
        /// Where the catalog has the slice.
        slice_ref: String,
        /// The catalog's error.
        source: CatalogError,
    },
    /// A record is before the one ahead of it, or outside its slice: there is no order to replay
    /// in.
    #[error(
        "a {class} of {instrument} in {slice_ref} is at {ts_init}, but only {allowed} can follow \
         there; sort the slice by ts_init and let slices not overlap"
    )]
    OutOfOrder {
        /// The class.
        class: MarketDataClass,
        /// The instrument.
        instrument: String,
        /// Where the catalog has the slice.
        slice_ref: String,
        /// The record's time.
        ts_init: UnixNanos,
        /// From the record before to the end of the slice.
        allowed: TimeRange,
    },
}

/// Entries and market data in one order, which the same run and the same catalog always give:
///
/// - Entries come in the order of their `seq`, whatever their times.
/// - A record comes before the first entry, in that order, whose `ts_init` is not before the
///   record's: at the same time **market data comes before entries**, since an entry may have been
///   caused by it.
/// - Records come in the order of their `ts_init`; at the same time that of the earlier request
///   comes first, and those of one request come as the catalog has them.
///
/// Ends with the first error. In memory are one frame of the run, and of each request one slice as
/// the catalog reads it.
pub struct JoinedReplay<'a> {
    catalog: &'a dyn ReplayCatalog,
    entries: Peekable<Scan>,
    streams: Vec<Stream<'a>>,
    /// The next record's time of each stream that has one, and which it is.
    heads: BinaryHeap<Reverse<(UnixNanos, usize)>>,
    /// The streams whose next record is not known yet.
    to_fetch: Vec<usize>,
    ended: bool,
}

impl PlannedInputs {
    /// Hands out the entries of the run and the records of the catalog in one order.
    pub fn replay<'a>(
        &'a self,
        reader: &EventStoreReader,
        catalog: &'a dyn ReplayCatalog,
    ) -> JoinedReplay<'a> {
        JoinedReplay::new(self, reader, catalog)
    }
}

impl<'a> JoinedReplay<'a> {
    fn new(
        planned: &'a PlannedInputs,
        reader: &EventStoreReader,
        catalog: &'a dyn ReplayCatalog,
    ) -> Self {
        let inputs = planned.inputs();
        let scan = reader.scan(inputs.from_seq, inputs.to_seq, Direction::Forward);
        let streams: Vec<_> =
            planned.coverage().iter().map(|coverage| Stream::new(&coverage.slices)).collect();
        Self {
            catalog,
            entries: scan.peekable(),
            to_fetch: (0..streams.len()).collect(),
            streams,
            heads: BinaryHeap::new(),
            ended: false,
        }
    }

    fn step(&mut self) -> Result<Option<ReplayItem<'a>>, JoinError> {
        while let Some(stream) = self.to_fetch.pop() {
            if let Some(time) = self.streams[stream].advance(self.catalog)? {
                self.heads.push(Reverse((time, stream)));
            }
        }
        let due = match (self.heads.peek(), self.entries.peek()) {
            (Some(Reverse((time, stream))), Some(Ok(entry))) if *time <= entry.ts_init => *stream,
            (Some(Reverse((_, stream))), None) => *stream,
            _ => {
                let entry = self.entries.next().transpose()?;
                return Ok(entry.map(|entry| ReplayItem::Entry(Box::new(entry))));
            }
        };
        self.heads.pop();
        // The record behind it is fetched with the next step, so that an error comes in its place.
        self.to_fetch.push(due);
        Ok(self.streams[due].take())
    }
}

impl<'a> Iterator for JoinedReplay<'a> {
    type Item = Result<ReplayItem<'a>, JoinError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.step().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}

/// The slices of one request, one after the other.
struct Stream<'a> {
    slices: slice::Iter<'a, DataSlice>,
    open: Option<(&'a DataSlice, SliceRecords)>,
    next: Option<(&'a DataSlice, MarketRecord)>,
    /// The time of the last record.
    last: UnixNanos,
}

impl<'a> Stream<'a> {
    fn new(slices: &'a [DataSlice]) -> Self {
        Self { slices: slices.iter(), open: None, next: None, last: UnixNanos::default() }
    }

    fn take(&mut self) -> Option<ReplayItem<'a>> {
        let (slice, record) = self.next.take()?;
        Some(ReplayItem::Market { instrument: &slice.instrument, record })
    }

    /// Fetches the next record and returns its time; `None` behind the last slice.
    fn advance(&mut self, catalog: &dyn ReplayCatalog) -> Result<Option<UnixNanos>, JoinError> {
        loop {
            let Some((slice, records)) = &mut self.open else {
                let Some(slice) = self.slices.next() else { return Ok(None) };
                let records = catalog.load(slice).map_err(|source| load_error(slice, source))?;
                self.open = Some((slice, records));
                continue;
            };
            let slice = *slice;
            let Some(record) = records.next() else {
                self.open = None;
                continue;
            };
            let record = record.map_err(|source| load_error(slice, source))?;
            let ts_init = record.ts_init();
            let allowed = TimeRange { from: self.last.max(slice.range.from), to: slice.range.to };
            if !allowed.contains(ts_init) {
                return Err(out_of_order(slice, ts_init, allowed));
            }
            self.last = ts_init;
            self.next = Some((slice, record));
            return Ok(Some(ts_init));
        }
    }
}

fn load_error(slice: &DataSlice, source: CatalogError) -> JoinError {
    let DataSlice { class, instrument, slice_ref, .. } = slice.clone();
    JoinError::Load { class, instrument, slice_ref, source }
}

fn out_of_order(slice: &DataSlice, ts_init: UnixNanos, allowed: TimeRange) -> JoinError {
    let DataSlice { class, instrument, slice_ref, .. } = slice.clone();
    JoinError::OutOfOrder { class, instrument, slice_ref, ts_init, allowed }
}
