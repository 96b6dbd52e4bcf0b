use std::collections::{BTreeMap, HashMap};

use tapline::markers::{MarkerReader, MarkerStoreError};
use tapline::{HiFiMarker, StreamCursor, StreamDictEntry, UnixNanos};

use crate::catalog::{CatalogError, DataRequest, ReplayCatalog, TimeRange};
use crate::market_data::{MarketDataClass, MarketRecord};

/// A stream as the node knew it when it captured an entry, and the catalog's records of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAtEntry {
    /// The stream.
    pub stream: StreamDictEntry,
    /// How far it had come.
    pub cursor: StreamCursor,
    /// The catalog's last records up to the cursor's `ts_init_hi`, in order.
    pub records: Vec<MarketRecord>,
    /// The parts of that time that the catalog does not have.
    pub missing: Vec<TimeRange>,
    /// How many of the last records share the time `ts_init_hi` and may have come after the entry.
    /// 0 if the number of records seen is known: either there is only one such record, or
    /// high-fidelity markers tell. Records that were not seen are then left out.
    pub uncertain: usize,
}

/// Why a sidecar could not be joined with a catalog.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MarkerJoinError {
    /// The sidecar could not be read.
    #[error(transparent)]
    Markers(#[from] MarkerStoreError),
    /// The catalog failed.
    #[error("cannot read {class} of {identifier} from the catalog")]
    Catalog {
        /// The class.
        class: MarketDataClass,
        /// The instrument.
        identifier: String,
        /// The catalog's error.
        source: CatalogError,
    },
}

/// What the node had seen of each stream when it captured entry `seq`: its cursors, and the
/// catalog's records. The records begin `lookback_ns` nanoseconds before each cursor's `ts_init_hi`
/// and end with it.
///
/// This assumes that the catalog has every record that passed a tap, under the same `ts_init`, and
/// does not check it. To check it, compare with the cursor's `count` and the fingerprints of
/// high-fidelity markers.
pub fn join_at_entry(
    markers: &MarkerReader,
    catalog: &dyn ReplayCatalog,
    seq: u64,
    lookback_ns: u64,
) -> Result<Vec<StreamAtEntry>, MarkerJoinError> {
    let fold = markers.fold_before(seq)?;
    // If markers are missing, the others do not tell how many records were seen.
    let seen = match fold.missing {
        0 => seen_at_hi(markers, &fold.cursors, seq)?,
        _ => HashMap::new(),
    };
    let streams = markers.streams()?;
    let known = streams.into_iter().filter_map(|stream| {
        let cursor = *fold.cursors.get(&stream.slot)?;
        Some((stream, cursor))
    });
    known
        .map(|(stream, cursor)| {
            let mut at_entry = StreamAtEntry {
                stream,
                cursor,
                records: Vec::new(),
                missing: Vec::new(),
                uncertain: 0,
            };
            at_entry.load(catalog, lookback_ns)?;
            at_entry.cut(seen.get(&cursor.slot).copied());
            Ok(at_entry)
        })
        .collect()
}

/// By slot: how many records with the time of the cursor were seen before the entry, if
/// high-fidelity markers tell. They do not tell if these records were counted from the first one
/// more than once, by two taps or because times fell back. Nor do they if some records of the
/// stream have no marker of their own.
fn seen_at_hi(
    markers: &MarkerReader,
    cursors: &BTreeMap<u32, StreamCursor>,
    seq: u64,
) -> Result<HashMap<u32, usize>, MarkerStoreError> {
    let mut told = HashMap::<u32, Told>::new();
    let Some(last) = seq.checked_sub(1) else { return Ok(HashMap::new()) };
    for marker in markers.hifi(0..=last) {
        let HiFiMarker { slot, ts_init, same_ts_ordinal, .. } = marker?;
        let told = told.entry(slot).or_default();
        told.markers += 1;
        if cursors.get(&slot).is_some_and(|cursor| cursor.ts_init_hi == ts_init) {
            told.starts_again |= same_ts_ordinal as usize != told.at_hi;
            told.at_hi += 1;
        }
    }
    let seen = told.into_iter().filter_map(|(slot, told)| {
        let has_all = cursors.get(&slot).is_some_and(|cursor| cursor.count == told.markers);
        (has_all && told.at_hi > 0 && !told.starts_again).then_some((slot, told.at_hi))
    });
    Ok(seen.collect())
}

/// What the high-fidelity markers of a stream say.
#[derive(Default)]
struct Told {
    markers: u64,
    /// How many have the time of the stream's cursor.
    at_hi: usize,
    /// True if the ordinals of these do not count up from the first record.
    starts_again: bool,
}

impl StreamAtEntry {
    fn load(
        &mut self,
        catalog: &dyn ReplayCatalog,
        lookback_ns: u64,
    ) -> Result<(), MarkerJoinError> {
        let class = MarketDataClass::from(self.stream.data_cls);
        let to = self.cursor.ts_init_hi;
        let from = UnixNanos::new(to.as_u64().saturating_sub(lookback_ns));
        let instrument = self.stream.identifier.clone();
        let failed = |source| {
            let identifier = self.stream.identifier.clone();
            MarkerJoinError::Catalog { class, identifier, source }
        };
        let range = TimeRange { from, to };
        let request = DataRequest { class, instrument, range, required: false };
        let coverage = catalog.plan(&request).map_err(failed)?;
        for slice in &coverage.slices {
            for record in catalog.load(slice).map_err(failed)? {
                let record = record.map_err(failed)?;
                if slice.range.contains(record.ts_init()) {
                    self.records.push(record);
                }
            }
        }
        self.missing = coverage.missing;
        Ok(())
    }

    /// Drops the records of the last time that were not seen, if their number is known.
    fn cut(&mut self, seen_at_hi: Option<usize>) {
        let hi = self.cursor.ts_init_hi;
        let at_hi = self.records.iter().rev().take_while(|record| record.ts_init() == hi).count();
        match seen_at_hi {
            Some(seen) => {
                let before = self.records.len() - at_hi;
                self.records.truncate(before + seen.min(at_hi));
            }
            None if at_hi > 1 => self.uncertain = at_hi,
            None => {}
        }
    }
}
