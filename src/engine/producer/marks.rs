use super::switch_fence::{note_other_producers, order_after_other_producers};
use crate::engine::Shared;
use crate::format::{DataMark, Line, MarkedRecord, stream_mark};
use crate::model::DataMarkerClass;
use crate::protocol::{LaneState, MarkStamp, OrderClock};

type Ring = rtrb::Producer<Line>;

/// What became of the announcement of a stream of market data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announced {
    /// It is on its way; marks of the stream may follow.
    Sent,
    /// There was no room.
    NoRoom,
}

/// The part of a producer that tells of market data. It never waits: where there is no room, marks
/// are shed.
#[derive(Debug)]
pub(super) struct Marks {
    stamp: MarkStamp,
    /// Marks that were shed so far.
    shed: u64,
    /// Lines that marks leave free: as many as entries have in a run without marks, so that none
    /// ever waits, or halts the run, for a mark.
    reserve_lines: usize,
    /// Lines that marks may fill before the ring is asked again.
    room_lines: usize,
}

impl Marks {
    /// For a ring of [`lines_with_room_for_marks`].
    pub(super) const fn new(ring_lines: usize) -> Self {
        Self { stamp: MarkStamp::new(), shed: 0, reserve_lines: ring_lines, room_lines: 0 }
    }

    /// An entry was pushed.
    #[inline]
    pub(super) fn entry_pushed(&mut self, shared: &Shared) {
        // It took room too.
        self.room_lines = 0;
        if let Some(latest_entry) = &shared.latest_entry {
            latest_entry.note();
        }
    }

    #[expect(clippy::inline_always, reason = "3 ns of the 19 that a mark costs")]
    #[inline(always)]
    pub(super) fn data(
        &mut self,
        mark: &DataMark,
        ring: &mut Ring,
        shared: &Shared,
        state: &LaneState,
    ) {
        let line = mark.line(self.stamp(shared, state));
        // A copy of known length, without a call.
        if !(self.takes_room(ring, 1) && ring.push(line).is_ok()) {
            self.shed(state);
        }
    }

    pub(super) fn record(
        &mut self,
        mark: &DataMark,
        record: &MarkedRecord,
        ring: &mut Ring,
        shared: &Shared,
        state: &LaneState,
    ) {
        let lines = mark.lines(record, self.stamp(shared, state));
        if self.push(&lines, ring) == Announced::NoRoom {
            self.shed(state);
        }
    }

    #[inline]
    fn stamp(&mut self, shared: &Shared, state: &LaneState) -> u64 {
        // A stamp that was taken before orders nothing that this thread has pushed since.
        note_other_producers(state);
        match &shared.latest_entry {
            Some(latest) => self.stamp.get(latest, || take_stamp(&shared.order_clock, state)),
            None => take_stamp(&shared.order_clock, state),
        }
    }

    /// Announces a stream: its number, class and identifier.
    #[cold]
    pub(super) fn stream(
        &mut self,
        (stream, class, identifier): (u32, DataMarkerClass, &str),
        ring: &mut Ring,
        shared: &Shared,
        state: &LaneState,
    ) -> Announced {
        let stamp = self.stamp(shared, state);
        let lines = stream_mark(stream, class, identifier, stamp);
        self.push(&lines, ring)
    }

    /// Counts a mark that was not pushed.
    #[cold]
    pub(super) fn shed(&mut self, state: &LaneState) {
        note_other_producers(state);
        self.shed += 1;
        state.set_marks_shed(self.shed);
    }

    fn push(&mut self, lines: &[Line], ring: &mut Ring) -> Announced {
        if self.takes_room(ring, lines.len()) && ring.push_entire_slice(lines).is_ok() {
            Announced::Sent
        } else {
            Announced::NoRoom
        }
    }

    /// Takes so many of the lines that marks may fill, if there are as many.
    #[inline]
    fn takes_room(&mut self, ring: &Ring, lines: usize) -> bool {
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
    fn look_for_room(&mut self, ring: &Ring, lines: usize) {
        let known = ring.cached_slots().saturating_sub(self.reserve_lines);
        self.room_lines =
            if known >= lines { known } else { ring.slots().saturating_sub(self.reserve_lines) };
    }
}

/// The lines of a ring that has `ring_lines` for entries. Marks have as many: 2 MiB by default, 160
/// ms of 200 000 marks a second while the writer waits for a disk.
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
