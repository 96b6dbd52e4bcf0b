use super::producer::Sink;
use super::switch::{note_other_producers, order_after_other_producers};
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
    /// Lines that marks leave free: as many as entries have in a run without marks, so that none ever waits, or halts the
    /// run, for a mark.
    reserve_lines: usize,
    /// Lines that marks may fill before the ring is asked again.
    room_lines: usize,
}

impl Marks {
    /// For a ring of [`lines_with_room_for_marks`].
    pub(super) fn new(latest_entry: LatestEntry, ring_lines: usize) -> Self {
        let stamp = MarkStamp::new(latest_entry);
        Self { stamp, shed: 0, reserve_lines: ring_lines, room_lines: 0 }
    }

    /// An entry was pushed.
    #[inline]
    pub(super) fn entry_pushed(&mut self) {
        // It took room too.
        self.room_lines = 0;
        self.stamp.entry_pushed();
    }

    #[expect(clippy::inline_always, reason = "3 ns of the 19 that a mark costs")]
    #[inline(always)]
    pub(super) fn data(
        &mut self,
        mark: &DataMark,
        sink: &mut Sink,
        clock: &OrderClock,
        state: &LaneState,
    ) {
        let line = mark.line(self.stamp(clock, state));
        // A copy of known length, without a call.
        let is_pushed = match sink {
            Sink::Ring(ring) => self.takes_room(ring, 1) && ring.push(line).is_ok(),
            Sink::Inline { .. } => self.push(&[line], sink),
        };
        if !is_pushed {
            self.shed(sink, state);
        }
    }

    pub(super) fn record(
        &mut self,
        mark: &DataMark,
        record: &MarkedRecord,
        sink: &mut Sink,
        clock: &OrderClock,
        state: &LaneState,
    ) {
        let lines = mark.lines(record, self.stamp(clock, state));
        if !self.push(&lines, sink) {
            self.shed(sink, state);
        }
    }

    #[inline]
    fn stamp(&mut self, clock: &OrderClock, state: &LaneState) -> u64 {
        // A stamp that was taken before orders nothing that this thread has pushed since.
        note_other_producers(state);
        self.stamp.get(|| take_stamp(clock, state))
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
        let lines = stream_mark(stream, class, identifier, stamp);
        self.push(&lines, sink)
    }

    /// Counts a mark that was not pushed.
    #[cold]
    pub(super) fn shed(&mut self, sink: &Sink, state: &LaneState) {
        match sink {
            Sink::Ring(_) => {
                note_other_producers(state);
                self.shed += 1;
                state.set_marks_shed(self.shed);
            }
            Sink::Inline { writer, .. } => lock_inline(writer).shed_mark(),
        }
    }

    fn push(&mut self, lines: &[Line], sink: &mut Sink) -> bool {
        match sink {
            Sink::Ring(ring) => {
                self.takes_room(ring, lines.len()) && ring.push_entire_slice(lines).is_ok()
            }
            Sink::Inline { writer, lane } => {
                lock_inline(writer).mark(lines, *lane);
                true
            }
        }
    }

    /// Takes so many of the lines that marks may fill, if there are as many.
    #[inline]
    fn takes_room(&mut self, ring: &rtrb::Producer<Line>, lines: usize) -> bool {
        if self.room_lines < lines {
            self.look_for_room(ring, lines);
        }
        let has_room = self.room_lines >= lines;
        if has_room {
            self.room_lines -= lines;
        }
        has_room
    }

    /// The writer's end is only looked at when what is known of it does not do.
    #[cold]
    fn look_for_room(&mut self, ring: &rtrb::Producer<Line>, lines: usize) {
        let known = ring.cached_slots().saturating_sub(self.reserve_lines);
        self.room_lines =
            if known >= lines { known } else { ring.slots().saturating_sub(self.reserve_lines) };
    }
}

/// The lines of a ring that has `ring_lines` for entries. Marks have as many: 2 MiB by default, 160 ms of 200 000 marks a
/// second while the writer waits for a disk.
pub(super) fn lines_with_room_for_marks(ring_lines: usize) -> usize {
    2 * ring_lines
}

/// Out of the way of the marks that do with the stamp before.
#[cold]
#[inline(never)]
fn take_stamp(clock: &OrderClock, state: &LaneState) -> u64 {
    order_after_other_producers(state);
    clock.stamp()
}
