use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Hash, RunId, RunStatus, UnixNanos};

/// A class of market data that can be marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DataMarkerClass {
    /// Changes to an order book.
    BookDeltas,
    /// The first ten levels of an order book.
    BookDepth10,
    /// Best bid and offer.
    Quote,
    /// Trades.
    Trade,
    /// Bars.
    Bar,
}

impl DataMarkerClass {
    /// All classes.
    pub const ALL: [Self; 5] =
        [Self::BookDeltas, Self::BookDepth10, Self::Quote, Self::Trade, Self::Bar];

    /// The class's place in [`ALL`](Self::ALL), which is also its number in a sidecar.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The class's name, as it is serialized.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BookDeltas => "BookDeltas",
            Self::BookDepth10 => "BookDepth10",
            Self::Quote => "Quote",
            Self::Trade => "Trade",
            Self::Bar => "Bar",
        }
    }
}

impl fmt::Display for DataMarkerClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A stream of market data: one class of one instrument. Written once for each slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamDictEntry {
    /// The stream's number in this sidecar, from 0.
    pub slot: u32,
    /// The class of its data.
    pub data_cls: DataMarkerClass,
    /// The instrument, or the type of bar.
    pub identifier: String,
}

/// How far a stream had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamCursor {
    /// The stream.
    pub slot: u32,
    /// The largest `ts_init` of its data so far.
    pub ts_init_hi: UnixNanos,
    /// How many of its data had passed the taps since the run began.
    pub count: u64,
}

/// How far streams had come at one place in the order of the entries. Contains the streams that
/// have moved since the snapshot before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataCursorSnapshot {
    /// The marker's number, from 1.
    pub marker_seq: u64,
    /// The `seq` of the last entry before all this data was seen; 0 if there was none.
    pub event_seq_before: u64,
    /// The largest `ts_init` of any data so far.
    pub ts_init: UnixNanos,
    /// The streams that have moved, by slot.
    pub advanced: Vec<StreamCursor>,
}

/// One piece of data of an instrument that is marked with high fidelity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiFiMarker {
    /// The marker's number, from 1.
    pub marker_seq: u64,
    /// The `seq` of the last entry before the data was seen; 0 if there was none.
    pub event_seq_before: u64,
    /// The stream.
    pub slot: u32,
    /// When the data happened at its venue.
    pub ts_event: UnixNanos,
    /// When the record was created.
    pub ts_init: UnixNanos,
    /// How many records of the same `ts_init` its thread had seen right before it in this stream.
    pub same_ts_ordinal: u32,
    /// BLAKE3 of the bytes that the extractor writes for the record.
    pub record_fingerprint: Hash,
}

/// Markers that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkerGap {
    /// The number of the first that is missing.
    pub from: u64,
    /// The number of the last.
    pub to: u64,
    /// Why they are missing.
    pub reason: MarkerGapReason,
}

/// Why markers are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MarkerGapReason {
    /// They came faster than they could be written, or there were more streams than allowed.
    Overflow,
    /// Their entries never became durable. Or they are at the end of a sidecar that a crash has
    /// left: nobody knows how many more there were.
    WriterClosed,
}

impl fmt::Display for MarkerGapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Overflow => "Overflow",
            Self::WriterClosed => "WriterClosed",
        })
    }
}

/// A record of a sidecar. Markers have an order among themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// How far streams had come.
    Cursor(DataCursorSnapshot),
    /// One piece of data.
    HiFi(HiFiMarker),
    /// Markers that are missing.
    Gap(MarkerGap),
}

impl Marker {
    /// The first and the last number that it stands for.
    pub fn marker_seqs(&self) -> (u64, u64) {
        match self {
            Self::Cursor(DataCursorSnapshot { marker_seq, .. })
            | Self::HiFi(HiFiMarker { marker_seq, .. }) => (*marker_seq, *marker_seq),
            Self::Gap(gap) => (gap.from, gap.to),
        }
    }

    /// Its place among the entries; `None` for a gap.
    pub fn event_seq_before(&self) -> Option<u64> {
        match self {
            Self::Cursor(snapshot) => Some(snapshot.event_seq_before),
            Self::HiFi(marker) => Some(marker.event_seq_before),
            Self::Gap(_) => None,
        }
    }
}

/// How many records of each kind a sidecar has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkerCounts {
    /// Cursor snapshots.
    pub snapshots: u64,
    /// High-fidelity markers.
    pub hifi: u64,
    /// Gaps.
    pub gaps: u64,
    /// Streams in the dictionary.
    pub dict: u64,
}

impl MarkerCounts {
    /// Counts one more.
    pub fn add(&mut self, marker: &Marker) {
        match marker {
            Marker::Cursor(_) => self.snapshots += 1,
            Marker::HiFi(_) => self.hifi += 1,
            Marker::Gap(_) => self.gaps += 1,
        }
    }
}

/// What is known about a sidecar besides its records. Written when it is made, with each batch of
/// markers, and when it is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkerManifest {
    /// The run it belongs to.
    pub run_id: RunId,
    /// The classes that were marked.
    pub enabled_classes: Vec<DataMarkerClass>,
    /// The instruments whose every record was marked.
    pub high_fidelity: Vec<String>,
    /// How many records it has.
    pub counts: MarkerCounts,
    /// `Running`, or how it was sealed.
    pub status: RunStatus,
}
