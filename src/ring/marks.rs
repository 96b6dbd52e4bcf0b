use super::producer::Sink;
use super::switch::order_after_other_producers;
use crate::format::{DataMark, Line, MarkedRecord, stream_mark};
use crate::model::DataMarkerClass;
use crate::protocol::{LaneState, LatestEntry, MarkStamp, OrderClock};
use crate::writer::lock_inline;

/// The part of a producer that tells of market data. It never waits: where there is no room, marks are shed.
#[derive(Debug)]
pub(super) struct Marks {
    stamp: MarkStamp,
    /// Marks that were shed so far.
    shed: u64,
    /// Lines that marks leave to entries.
    reserve_lines: usize,
}

/// One line in so many of a ring is for entries alone.
const RESERVE_ONE_IN: usize = 4;

impl Marks {
    pub(super) fn new(latest_entry: LatestEntry, ring_lines: usize) -> Self {
        let reserve_lines = ring_lines / RESERVE_ONE_IN;
        Self { stamp: MarkStamp::new(latest_entry), shed: 0, reserve_lines }
    }

    /// An entry was given `stamp`.
    #[inline]
    pub(super) fn entry_stamped(&self, stamp: u64) {
        self.stamp.entry_stamped(stamp);
    }

    #[inline]
    fn stamp(&mut self, clock: &OrderClock, state: &LaneState) -> u64 {
        self.stamp.get(|| {
            order_after_other_producers(state);
            clock.stamp()
        })
    }

    #[inline]
    pub(super) fn data(
        &mut self,
        mark: &DataMark,
        record: Option<&MarkedRecord>,
        sink: &mut Sink,
        clock: &OrderClock,
        state: &LaneState,
    ) {
        let stamp = self.stamp(clock, state);
        let is_pushed = match (record, &mut *sink) {
            // The one that counts: a copy of known length, without a call.
            (None, Sink::Ring(ring)) => {
                has_room(ring, self.reserve_lines + 1)
                    && ring.push(mark.line(stamp, self.shed)).is_ok()
            }
            (None, _) => self.push(&[mark.line(stamp, self.shed)], sink),
            (Some(record), _) => self.push(&mark.lines(record, stamp, self.shed), sink),
        };
        if !is_pushed {
            self.shed(state);
        }
    }

    /// Announces a stream; says whether there was room for that.
    #[cold]
    pub(super) fn stream(
        &mut self,
        stream: u32,
        class: DataMarkerClass,
        identifier: &str,
        sink: &mut Sink,
        clock: &OrderClock,
        state: &LaneState,
    ) -> bool {
        let stamp = self.stamp(clock, state);
        let lines = stream_mark(stream, class, identifier, stamp, self.shed);
        self.push(&lines, sink)
    }

    /// Counts a mark that was not pushed.
    #[cold]
    pub(super) fn shed(&mut self, state: &LaneState) {
        self.shed += 1;
        state.set_marks_shed(self.shed);
    }

    fn push(&self, lines: &[Line], sink: &mut Sink) -> bool {
        match sink {
            Sink::Ring(ring) => {
                has_room(ring, self.reserve_lines + lines.len())
                    && ring.push_entire_slice(lines).is_ok()
            }
            Sink::Inline { writer, lane } => {
                lock_inline(writer).mark(lines, *lane);
                true
            }
        }
    }
}

/// The writer's end is only looked at when what is known of it does not do.
#[inline]
fn has_room(ring: &rtrb::Producer<Line>, lines: usize) -> bool {
    ring.cached_slots() >= lines || ring.slots() >= lines
}
