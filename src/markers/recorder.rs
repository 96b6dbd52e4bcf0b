use std::collections::VecDeque;

use super::MarkerBatch;
use super::cursor_state::CursorState;
use crate::format::{HiFiLine, Line, MarkHeader, announced_stream};
use crate::model::{
    DataCursorSnapshot, HiFiMarker, Marker, MarkerGap, MarkerGapReason, StreamDictEntry,
};

/// Turns marks into markers, in the order of the log. Does no I/O.
#[derive(Debug)]
pub(super) struct MarkerRecorder {
    cursor: CursorState,
    /// The last entry before the data that has moved cursors since the last snapshot.
    event_seq_before: u64,
    /// Streams and markers that the store does not have yet.
    streams: Vec<StreamDictEntry>,
    pending: VecDeque<Marker>,
    /// The items in all of these. A snapshot has one item for each stream that has moved.
    pending_items: usize,
    /// The number of the next marker.
    next_seq: u64,
    /// How many shed marks the gaps so far tell of.
    shed: u64,
}

impl Default for MarkerRecorder {
    fn default() -> Self {
        Self {
            cursor: CursorState::default(),
            event_seq_before: 0,
            streams: Vec::new(),
            pending: VecDeque::new(),
            pending_items: 0,
            next_seq: 1,
            shed: 0,
        }
    }
}

impl MarkerRecorder {
    /// Adds one mark from the writer.
    pub(super) fn take(&mut self, mark: &[Line]) {
        let header = MarkHeader::of(&mark[0]);
        let (lane, stream) = (header.lane.get(), header.stream.get());
        self.note_shed(header.shed.get());
        if header.is_stream() {
            let (class, identifier) = announced_stream(mark);
            let new = self.cursor.announce(lane, stream, class, identifier);
            self.pending_items += usize::from(new.is_some());
            self.streams.extend(new);
            return;
        }
        let event_seq_before = header.seq.get();
        if event_seq_before != self.event_seq_before {
            // An entry lies between the data so far and this data.
            self.snapshot();
        }
        self.event_seq_before = event_seq_before;
        let ts_init_hi = header.ts_init_hi.get().into();
        let slot = self.cursor.advance(lane, stream, header.count.get(), ts_init_hi);
        if let Some(line) = mark.get(1) {
            let record = HiFiLine::of(line);
            let marker_seq = self.number(1);
            self.push(Marker::HiFi(HiFiMarker {
                marker_seq,
                event_seq_before,
                slot,
                ts_event: header.ts_event.get().into(),
                ts_init: header.ts_init.get().into(),
                same_ts_ordinal: record.same_ts_ordinal,
                record_fingerprint: record.fingerprint,
            }));
        }
    }

    /// Adds a snapshot of the streams that have moved since the last one, if any have.
    pub(super) fn snapshot(&mut self) {
        if !self.cursor.has_advanced() {
            return;
        }
        let snapshot = DataCursorSnapshot {
            marker_seq: self.number(1),
            event_seq_before: self.event_seq_before,
            ts_init: self.cursor.ts_init_max(),
            advanced: self.cursor.take_advanced(),
        };
        self.push(Marker::Cursor(snapshot));
    }

    /// Notes that all producers have shed `shed` marks so far.
    pub(super) fn note_shed(&mut self, shed: u64) {
        let new = shed - self.shed;
        if new > 0 {
            self.shed = shed;
            // The data so far comes before the gap.
            self.snapshot();
            let from = self.number(new);
            let gap = MarkerGap { from, to: from + new - 1, reason: MarkerGapReason::Overflow };
            self.push(Marker::Gap(gap));
        }
    }

    fn push(&mut self, marker: Marker) {
        self.pending_items += items(&marker);
        self.pending.push_back(marker);
    }

    /// The items that the store does not have yet: streams that are new or have moved, pieces of
    /// data and gaps.
    pub(super) fn pending_items(&self) -> usize {
        self.pending_items
    }

    /// The streams and the markers that may become durable. A marker may once its entry is durable,
    /// so that no crash leaves a marker after the log's end.
    pub(super) fn take_batch(&mut self, watermark: u64) -> MarkerBatch {
        let is_ahead =
            |marker: &Marker| marker.event_seq_before().is_some_and(|before| before > watermark);
        let end = self.pending.iter().position(is_ahead).unwrap_or(self.pending.len());
        let streams = std::mem::take(&mut self.streams);
        let markers: Vec<Marker> = self.pending.drain(..end).collect();
        self.pending_items -= streams.len() + markers.iter().map(items).sum::<usize>();
        MarkerBatch { streams, markers }
    }

    /// Replaces everything pending by a gap, because its entries will never be durable.
    pub(super) fn give_up_pending(&mut self) {
        let first = self.pending.front().map(|marker| marker.marker_seqs().0);
        let last = self.pending.back().map(|marker| marker.marker_seqs().1);
        if let (Some(from), Some(to)) = (first, last) {
            let gap = MarkerGap { from, to, reason: MarkerGapReason::WriterClosed };
            self.pending.clear();
            self.pending_items = self.streams.len();
            self.push(Marker::Gap(gap));
        }
    }

    /// Takes the next `count` numbers. Returns the first.
    fn number(&mut self, count: u64) -> u64 {
        let first = self.next_seq;
        self.next_seq += count;
        first
    }
}

/// How many items a marker has.
fn items(marker: &Marker) -> usize {
    match marker {
        Marker::Cursor(snapshot) => snapshot.advanced.len(),
        Marker::HiFi(_) | Marker::Gap(_) => 1,
    }
}
