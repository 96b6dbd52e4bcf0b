use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;

use super::{MarkerSource, MarkerStoreError};
use crate::format::{MarkerCodec, StoredMarker};
use crate::model::{HiFiMarker, Marker, MarkerManifest, StreamCursor, StreamDictEntry};

/// Reads a sidecar. [`scan`](Self::scan) returns hashes too; the [verifier](super::MarkerVerifier)
/// checks them.
pub struct MarkerReader {
    source: Arc<dyn MarkerSource>,
    codec: MarkerCodec,
}

/// How far all streams had come at a place in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkerFold {
    /// The streams that have data before that place, by slot.
    pub cursors: BTreeMap<u32, StreamCursor>,
    /// How many markers are missing before that place. If any are, some data may be counted later
    /// than it was seen, and data at the very end of its stream may not be counted at all.
    pub missing: u64,
}

impl MarkerReader {
    /// A reader of the sidecar behind `source`.
    pub fn new(source: Arc<dyn MarkerSource>) -> Self {
        Self { source, codec: MarkerCodec::default() }
    }

    /// The manifest.
    pub fn manifest(&self) -> Result<MarkerManifest, MarkerStoreError> {
        self.source.manifest()
    }

    /// The streams, by slot.
    pub fn streams(&self) -> Result<Vec<StreamDictEntry>, MarkerStoreError> {
        let row = |(_, row): (u32, Bytes)| {
            let stored = self.codec.decode_stream(&row).map_err(MarkerStoreError::Dict)?;
            Ok(stored.stream)
        };
        self.source.streams()?.into_iter().map(row).collect()
    }

    /// All markers in order, with their stored hashes.
    pub fn scan(&self) -> impl Iterator<Item = Result<StoredMarker, MarkerStoreError>> {
        MarkerScan {
            reader: self,
            block: Bytes::new(),
            first: 0,
            at: 0,
            next: Some(0),
            ended: false,
        }
    }

    /// How far the streams had come when entry `seq` was captured: all data that passed a tap
    /// before it. Reads the sidecar from its beginning to that place.
    pub fn fold_before(&self, seq: u64) -> Result<MarkerFold, MarkerStoreError> {
        let mut fold = MarkerFold::default();
        for stored in self.scan() {
            let marker = stored?.marker;
            match &marker {
                // A gap that was tampered with may say anything.
                Marker::Gap(gap) => {
                    let markers = gap.to.saturating_sub(gap.from).saturating_add(1);
                    fold.missing = fold.missing.saturating_add(markers);
                }
                marker if marker.event_seq_before().is_some_and(|before| before >= seq) => break,
                Marker::Cursor(snapshot) => {
                    let cursors = snapshot.advanced.iter();
                    fold.cursors.extend(cursors.map(|cursor| (cursor.slot, *cursor)));
                }
                Marker::HiFi(_) => {}
            }
        }
        Ok(fold)
    }

    /// The high-fidelity markers of data that came after one of the entries `behind`, in order.
    pub fn hifi(
        &self,
        behind: RangeInclusive<u64>,
    ) -> impl Iterator<Item = Result<HiFiMarker, MarkerStoreError>> + '_ {
        let end = *behind.end();
        let is_over = move |marker: &Marker| marker.event_seq_before().is_some_and(|at| at > end);
        self.scan()
            .take_while(move |stored| !stored.as_ref().is_ok_and(|stored| is_over(&stored.marker)))
            .filter_map(move |stored| match stored.map(|stored| stored.marker) {
                Ok(Marker::HiFi(marker)) if behind.contains(&marker.event_seq_before) => {
                    Some(Ok(marker))
                }
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            })
    }

    pub(super) fn source(&self) -> &dyn MarkerSource {
        &*self.source
    }

    pub(super) fn codec(&self) -> &MarkerCodec {
        &self.codec
    }
}

/// Walks the markers of a sidecar. Holds one block in memory. Ends after the first error.
struct MarkerScan<'a> {
    reader: &'a MarkerReader,
    block: Bytes,
    /// The number that the block is stored under.
    first: u64,
    /// Where in the block the next marker begins.
    at: usize,
    /// The number from which to look for the next block; `None` if no number is left.
    next: Option<u64>,
    ended: bool,
}

impl MarkerScan<'_> {
    fn step(&mut self) -> Result<Option<StoredMarker>, MarkerStoreError> {
        loop {
            let rest = &self.block[self.at..];
            let first = self.first;
            let at = |source| MarkerStoreError::Block { first, source };
            if let Some((stored, behind)) = self.reader.codec.decode(rest).map_err(at)? {
                self.at = self.block.len() - behind.len();
                return Ok(Some(stored));
            }
            let Some(from) = self.next else { return Ok(None) };
            let Some((first, block)) = self.reader.source.block_at_or_after(from)? else {
                return Ok(None);
            };
            (self.first, self.block, self.at) = (first, block, 0);
            self.next = first.checked_add(1);
        }
    }
}

impl Iterator for MarkerScan<'_> {
    type Item = Result<StoredMarker, MarkerStoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.step().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}
