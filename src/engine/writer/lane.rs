use rtrb::Consumer;

use super::assembler::Assembler;
use super::publish_time::PublishTime;
use super::ring_record::RingRecord;
use crate::engine::large_records::LargeRecords;
use crate::format::{Line, RecordHeader, RecordStamp};
use crate::protocol::LaneState;
use crate::sync::Arc;

/// The writer's end of one producer's ring.
pub(in crate::engine) struct Lane {
    ring: Consumer<Line>,
    large: LargeRecords,
    state: Arc<LaneState>,
    /// The producer's number in the run.
    producer: u32,
    /// Among the lanes that the writer has at the time. Marks go by it.
    number: u32,
    /// The producer's numbers for names, to the run's.
    names: Vec<u32>,
    /// Lines that were in view when the round began and are not taken yet.
    in_view: usize,
    /// Messages taken so far: the ordinal of the last one.
    taken: u64,
    /// The ordinal of the last one that is in a batch given to the store, or repeats one that is.
    committing: u64,
    /// The ordinal last published as durable.
    durable: u64,
    /// Marks that the producer had shed when that was asked last.
    marks_shed: u64,
}

/// Why a lane's turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TurnEnd {
    /// The next record is stamped later than the turn may go.
    Limit,
    /// All that was in view is taken.
    Exhausted,
    /// The batch under construction is full.
    BatchFull,
}

impl Lane {
    pub(in crate::engine) fn new(
        ring: Consumer<Line>,
        large: LargeRecords,
        state: Arc<LaneState>,
        producer: u32,
    ) -> Self {
        Self {
            ring,
            large,
            state,
            producer,
            number: 0,
            names: Vec::new(),
            in_view: 0,
            taken: 0,
            committing: 0,
            durable: 0,
            marks_shed: 0,
        }
    }

    pub(super) fn producer(&self) -> u32 {
        self.producer
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn set_number(&mut self, number: u32) {
        self.number = number;
    }

    /// Looks into the ring, after the horizon was taken.
    pub(super) fn look(&mut self) {
        // `slots` loads the ring's tail with Acquire: what was pushed before is visible.
        self.in_view = self.ring.slots();
    }

    /// The stamp of the first record in view.
    pub(super) fn front_stamp(&self) -> Option<u64> {
        if self.in_view == 0 {
            return None;
        }
        let line = self.ring.peek().ok()?;
        RecordHeader::of(line.bytes()).map(|header| header.seq.get())
    }

    /// Takes records from the front, in push order, as long as they are stamped no later than
    /// `last` and before `horizon`.
    pub(super) fn take(
        &mut self,
        last: u64,
        horizon: u64,
        assembler: &mut Assembler,
        publish_time: Option<&PublishTime>,
    ) -> TurnEnd {
        let chunk = self.ring.read_chunk(self.in_view).expect("what is in view stays in the ring");
        let (front, wrapped) = chunk.as_slices();
        let mut at = 0;
        let end = loop {
            if at == self.in_view {
                break TurnEnd::Exhausted;
            }
            let record = record_at(front, wrapped, at);
            let header = record.header();
            let stamp = header.seq.get();
            if stamp > last || stamp >= horizon {
                break TurnEnd::Limit;
            }
            if record.is_message() {
                if !assembler.has_room(record.lines()) {
                    break TurnEnd::BatchFull;
                }
                assembler.push(record, &stamp_of(header, &self.names, publish_time));
                self.taken += 1;
            } else if record.is_mark() {
                assembler.forward_mark(record, self.number);
            } else if record.is_name() {
                if !assembler.has_room(record.lines()) {
                    break TurnEnd::BatchFull;
                }
                self.names.push(assembler.number_name(&record.name()));
            } else {
                let large = RingRecord { head: self.large.front(), tail: &[] };
                if !assembler.has_room(large.lines()) {
                    break TurnEnd::BatchFull;
                }
                assembler.push(large, &stamp_of(header, &self.names, publish_time));
                self.large.pop();
                self.taken += 1;
            }
            at += record.lines();
        };
        chunk.commit(at);
        self.in_view -= at;
        end
    }

    /// The batch with everything taken so far goes to the store.
    pub(super) fn note_committing(&mut self) {
        self.committing = self.taken;
    }

    /// Everything given to the store is durable. Says whether that is news.
    pub(super) fn publish_durable(&mut self) -> bool {
        let is_news = self.durable != self.committing;
        if is_news {
            self.durable = self.committing;
            self.state.set_durable(self.committing);
        }
        is_news
    }

    /// Marks that the producer has shed since this was asked last.
    pub(super) fn take_marks_shed(&mut self) -> u64 {
        let known = std::mem::replace(&mut self.marks_shed, self.state.marks_shed());
        self.marks_shed - known
    }

    /// Closing, with the ring empty: the verdict on every push that raced with it.
    pub(super) fn publish_verdict(&self) {
        self.state.set_last_admitted(self.taken);
    }

    /// Whether the producer is gone and everything it pushed is durable.
    pub(super) fn is_finished(&self) -> bool {
        // Asked in this order: a producer that is seen gone has pushed its last before.
        self.ring.is_abandoned() && self.ring.is_empty() && self.durable == self.taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }
}

#[inline]
fn stamp_of(
    header: &RecordHeader,
    names: &[u32],
    publish_time: Option<&PublishTime>,
) -> RecordStamp {
    let ts_publish = match publish_time {
        Some(publish_time) => publish_time.of(header.seq.get()),
        None => header.ts_publish.get().into(),
    };
    let topic_id = names[header.topic_id.get() as usize];
    let type_id = names[header.type_id.get() as usize];
    RecordStamp { ts_publish, topic_id, type_id }
}

fn record_at<'a>(front: &'a [Line], wrapped: &'a [Line], at: usize) -> RingRecord<'a> {
    let lines = |first: &Line| {
        let header = RecordHeader::of(first.bytes()).expect("a line is as long as a header");
        header.lines.get() as usize
    };
    if at < front.len() {
        let end = at + lines(&front[at]);
        let split = end.min(front.len());
        RingRecord { head: &front[at..split], tail: &wrapped[..end - split] }
    } else {
        let start = at - front.len();
        RingRecord { head: &wrapped[start..start + lines(&wrapped[start])], tail: &[] }
    }
}
