//! The way of marks from the writer to the sidecar's thread. It never makes the writer wait.

use std::collections::VecDeque;

use rtrb::{Consumer, RingBuffer};
use zerocopy::little_endian::{U32, U64};

use super::ring_record::RingRecord;
use crate::format::{Line, MarkHeader};
use crate::sync::{Arc, AtomicU64, Ordering};

/// The writer's end.
pub(crate) struct MarkerOutlet {
    ring: rtrb::Producer<Line>,
    /// Announcements of streams that found no room: without them, marks could not be told apart.
    waiting: VecDeque<Line>,
    /// Too many were waiting: nothing is sent any more.
    has_given_up: bool,
    /// Marks that were shed so far, by producers and here.
    shed: u64,
    /// The same, for the other end to read when this one is gone.
    shed_in_all: Arc<AtomicU64>,
}

/// Lines of announcements that may wait, 64 MiB: of 16 taps with as many streams as are allowed by
/// default. There are only more where taps come and go while the sidecar hangs.
const WAITING_LINES_MAX: usize = 1 << 20;

/// The end of the sidecar's thread.
pub(crate) struct MarkerInlet {
    pub(crate) ring: Consumer<Line>,
    shed_in_all: Arc<AtomicU64>,
}

/// The two ends of a way with room for `lines` lines.
pub(crate) fn marker_channel(lines: usize) -> (MarkerOutlet, MarkerInlet) {
    let (producer, consumer) = RingBuffer::new(lines);
    let shed_in_all = Arc::new(AtomicU64::new(0));
    let outlet = MarkerOutlet {
        ring: producer,
        waiting: VecDeque::new(),
        has_given_up: false,
        shed: 0,
        shed_in_all: Arc::clone(&shed_in_all),
    };
    (outlet, MarkerInlet { ring: consumer, shed_in_all })
}

impl MarkerOutlet {
    /// Sends a mark on, as one of `lane`, with its place in the order: behind the entry
    /// `event_seq_before`. Sheds it where there is no room.
    pub(super) fn forward(&mut self, mark: RingRecord<'_>, lane: u32, event_seq_before: u64) {
        let header = MarkHeader {
            seq: U64::new(event_seq_before),
            lane: U32::new(lane),
            shed: U64::new(self.shed),
            ..*MarkHeader::of(&mark.head[0])
        };
        let lines = mark.head[1..].iter().chain(mark.tail).copied();
        let lines = std::iter::once(header.to_line()).chain(lines);
        if !self.has_given_up
            && self.send_waiting()
            && let Ok(chunk) = self.ring.write_chunk_uninit(mark.lines())
        {
            chunk.fill_from_iter(lines);
        } else if header.is_stream() && !self.has_given_up && !self.ring.is_abandoned() {
            self.waiting.extend(lines);
            if self.waiting.len() > WAITING_LINES_MAX {
                self.give_up();
            }
        } else {
            self.add_shed(1);
        }
    }

    /// Without the announcements nothing that comes later could be told apart.
    #[cold]
    fn give_up(&mut self) {
        self.has_given_up = true;
        let waiting = std::mem::take(&mut self.waiting);
        let (mut announcements, mut at) = (0, 0);
        while let Some(first) = waiting.get(at) {
            at += MarkHeader::of(first).lines.get() as usize;
            announcements += 1;
        }
        self.add_shed(announcements);
    }

    /// Counts marks that did not come this far.
    pub(super) fn add_shed(&mut self, marks: u64) {
        self.shed += marks;
        // Relaxed: what is pushed later is pushed with Release, and the end of the writer is told
        // through a lock.
        self.shed_in_all.store(self.shed, Ordering::Relaxed);
    }

    /// Sends announcements that are waiting, as many as there is room for; whether none is left.
    fn send_waiting(&mut self) -> bool {
        while let Some(first) = self.waiting.front() {
            let lines = MarkHeader::of(first).lines.get() as usize;
            let Ok(chunk) = self.ring.write_chunk_uninit(lines) else { return false };
            chunk.fill_from_iter(self.waiting.drain(..lines));
        }
        true
    }
}

impl MarkerInlet {
    /// Marks that were shed, at least as many as all that was taken from the ring knew of; all,
    /// once the writer has ended.
    pub(crate) fn shed_in_all(&self) -> u64 {
        self.shed_in_all.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::stream_mark;
    use crate::model::DataMarkerClass;

    fn announce(outlet: &mut MarkerOutlet, stream: u32) {
        let lines = stream_mark(stream, DataMarkerClass::Trade, "ES", 1);
        outlet.forward(RingRecord { head: &lines, tail: &[] }, 0, 1);
    }

    /// The streams whose announcements are in the ring; takes them.
    fn taken(inlet: &mut MarkerInlet) -> Vec<u32> {
        let lines: Vec<Line> = std::iter::from_fn(|| inlet.ring.pop().ok()).collect();
        let announcements = lines.chunks(2);
        announcements.map(|lines| MarkHeader::of(&lines[0]).stream.get()).collect()
    }

    #[test]
    fn announcements_wait_for_room_in_their_order() {
        let (mut outlet, mut inlet) = marker_channel(8);
        (0..100).for_each(|stream| announce(&mut outlet, stream));
        let mut streams = taken(&mut inlet);
        assert_eq!(streams, [0, 1, 2, 3]);
        for later in 100..130 {
            announce(&mut outlet, later);
            streams.extend(taken(&mut inlet));
        }
        assert!(streams.iter().copied().eq(0..streams.len() as u32), "{streams:?}");
        assert_eq!((streams.len(), outlet.shed), (124, 0), "four at a time");
    }

    #[test]
    fn nothing_waits_for_a_sidecar_that_has_ended() {
        let (mut outlet, inlet) = marker_channel(8);
        (0..4).for_each(|stream| announce(&mut outlet, stream));
        drop(inlet);
        (4..10).for_each(|stream| announce(&mut outlet, stream));
        assert_eq!((outlet.waiting.len(), outlet.shed), (0, 6));
    }

    #[test]
    fn a_sidecar_that_hangs_costs_no_more_memory_than_is_said() {
        let (mut outlet, mut inlet) = marker_channel(8);
        let fit = 4 + WAITING_LINES_MAX as u32 / 2;
        (0..fit).for_each(|stream| announce(&mut outlet, stream));
        assert_eq!((outlet.waiting.len(), outlet.shed), (WAITING_LINES_MAX, 0));
        announce(&mut outlet, fit);
        assert_eq!((outlet.waiting.len(), outlet.shed), (0, u64::from(fit) + 1 - 4));
        // Also once it hangs no more: what came in between is missing.
        assert_eq!(taken(&mut inlet), [0, 1, 2, 3]);
        announce(&mut outlet, fit + 1);
        assert_eq!((taken(&mut inlet), outlet.shed), (vec![], u64::from(fit) + 2 - 4));
    }
}
