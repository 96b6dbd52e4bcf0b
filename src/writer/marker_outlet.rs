//! The way of marks from the writer to the sidecar's thread. It never makes the writer wait.

use rtrb::{Consumer, RingBuffer};
use zerocopy::little_endian::{U32, U64};

use super::ring_record::RingRecord;
use crate::format::{Line, MarkHeader};
use crate::sync::{Arc, AtomicU64, Ordering};

/// The writer's end.
pub(crate) struct MarkerOutlet {
    ring: rtrb::Producer<Line>,
    /// Announcements of streams that found no room: without them, marks could not be told apart.
    waiting: Vec<Line>,
    /// Marks that were shed so far, by producers and here.
    shed: u64,
    /// The same, for the other end to read when this one is gone.
    shed_in_all: Arc<AtomicU64>,
}

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
        waiting: Vec::new(),
        shed: 0,
        shed_in_all: Arc::clone(&shed_in_all),
    };
    (outlet, MarkerInlet { ring: consumer, shed_in_all })
}

impl MarkerOutlet {
    /// Sends a mark on, as one of `lane`, with its place in the order: behind the entry `event_seq_before`. Sheds it
    /// where there is no room.
    pub(super) fn forward(&mut self, mark: RingRecord<'_>, lane: u32, event_seq_before: u64) {
        let header = MarkHeader {
            seq: U64::new(event_seq_before),
            lane: U32::new(lane),
            shed: U64::new(self.shed),
            ..*MarkHeader::of(&mark.head[0])
        };
        let has_room = self.send_waiting() && self.ring.slots() >= mark.lines();
        if header.is_stream() && !has_room {
            self.waiting.push(header.to_line());
            self.waiting.extend(mark.head[1..].iter().chain(mark.tail));
        } else if !has_room {
            self.add_shed(1);
        } else if let Ok(chunk) = self.ring.write_chunk_uninit(mark.lines()) {
            let lines = mark.head[1..].iter().chain(mark.tail).copied();
            chunk.fill_from_iter(std::iter::once(header.to_line()).chain(lines));
        }
    }

    /// Counts marks that did not come this far.
    pub(super) fn add_shed(&mut self, marks: u64) {
        self.shed += marks;
        // Relaxed: read when this end is gone, which is told with Release.
        self.shed_in_all.store(self.shed, Ordering::Relaxed);
    }

    /// Whether no announcement is waiting any more.
    fn send_waiting(&mut self) -> bool {
        while !self.waiting.is_empty() {
            let lines = MarkHeader::of(&self.waiting[0]).lines.get() as usize;
            if self.ring.push_entire_slice(&self.waiting[..lines]).is_err() {
                return false;
            }
            self.waiting.drain(..lines);
        }
        true
    }
}

impl MarkerInlet {
    /// Whether nothing more will come, once what is in the ring is taken.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// All marks that were shed. Only once [`is_abandoned`](Self::is_abandoned).
    pub(crate) fn shed_in_all(&self) -> u64 {
        self.shed_in_all.load(Ordering::Relaxed)
    }
}
