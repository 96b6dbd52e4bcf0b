//! The producer's side: one ring a producer, one record at a time, in the order of the pushes.

mod full_ring;
mod marks;
mod name_map;
mod names;
mod switch_fence;

use rtrb::RingBuffer;

use super::driver::Engine;
use super::large_records::{LargeRecordSender, large_records};
use super::writer::Lane;
use super::{Durability, ProducerError, SubmitError, WriterConfig};
use crate::format::{DataMark, Line, MarkedRecord, RecordBuilder, RecordTag, name_record};
use crate::model::{DataMarkerClass, EntryDraft, Ticket, UnixNanos};
use crate::protocol::{Admission, HaltReason, LaneState};
use crate::sync::Arc;

use full_ring::wait_for_room;
use marks::{Marks, lines_with_room_for_marks};
use names::{LocalNames, Numbered};
use switch_fence::order_after_other_producers;

pub(crate) use marks::Announced;
pub(crate) use name_map::NameMap;

/// One thread's way into the engine. Each thread gets its own; it can be made and dropped while the
/// run goes on, and what it pushed before it was dropped is kept.
///
/// A submit that finds room in the ring, and uses names that this producer has used before, takes
/// no lock, makes no system call and allocates nothing. (In inline mode a submit commits: it does
/// all three.)
#[derive(Debug)]
pub struct Producer {
    ring: rtrb::Producer<Line>,
    builder: RecordBuilder,
    names: LocalNames,
    large: LargeRecordSender,
    state: Arc<LaneState>,
    engine: Engine,
    /// This producer among those of the run.
    number: u32,
    /// The ordinal of the last push.
    ordinal: u64,
    reads_clock: bool,
    /// Where market data is marked.
    marks: Option<Marks>,
}

impl Producer {
    pub(super) fn connect(engine: Engine) -> Result<Self, ProducerError> {
        let shared = &engine.shared;
        if shared.gate.is_forked() {
            return Err(ProducerError::Forked);
        }
        if shared.halt.is_halted() {
            return Err(ProducerError::Halted(shared.halt_reason()));
        }
        if !shared.gate.is_open() {
            return Err(ProducerError::Closed);
        }
        let config = &shared.config;
        let marks = shared.latest_entry.is_some().then(|| Marks::new(config.ring_lines));
        let lines = match marks {
            Some(_) => lines_with_room_for_marks(config.ring_lines),
            None => config.ring_lines,
        };
        let (mut ring, consumer) = RingBuffer::new(lines);
        prefault(&mut ring);
        let state = Arc::new(LaneState::new());
        let number = shared.add_producer(&state);
        let (large, large_records) = large_records();
        let lane = Lane::new(consumer, large_records, Arc::clone(&state), number);
        if let Err(error) = shared.inbox.register(lane, config.producers_max) {
            shared.remove_producer(number);
            return Err(error.into());
        }
        Ok(Self {
            ring,
            builder: RecordBuilder::new(config.record_limits()),
            names: LocalNames::new(config.names_max, config.name_bytes_max),
            large,
            state,
            number,
            ordinal: 0,
            reads_clock: !shared.writer_stamps_publish_time(),
            marks,
            engine,
        })
    }

    /// Submits one message. When this returns `Ok`, the message is accepted: it will be in the log,
    /// after everything that was accepted before, unless the run halts.
    ///
    /// Blocks while the ring is full, for at most `halt_threshold`, which then halts the run.
    pub fn submit(&mut self, draft: &EntryDraft<'_>) -> Result<Ticket, SubmitError> {
        self.check_open()?;
        self.builder.fill(draft);
        self.submit_built(draft.topic, draft.payload_type)
    }

    /// As [`submit`](Self::submit), of a message of any size that a run file can hold, whatever the
    /// setting `record_bytes_max`.
    pub(crate) fn submit_of_any_size(
        &mut self,
        draft: &EntryDraft<'_>,
    ) -> Result<Ticket, SubmitError> {
        let limits = WriterConfig::limits_of_any_size();
        let usual = std::mem::replace(&mut self.builder, RecordBuilder::new(limits));
        let submitted = self.submit(draft);
        self.builder = usual;
        submitted
    }

    /// Tells, from any thread, how far this producer's messages are durable.
    pub fn durability(&self) -> Durability {
        Durability::new(Arc::clone(&self.engine.shared), self.number, Arc::clone(&self.state))
    }

    /// Marks a piece of market data if there is room; else it is counted as shed. Never waits.
    /// Nothing happens in a run that is closing.
    #[expect(clippy::inline_always, reason = "3 ns of the 19 that a mark costs")]
    #[inline(always)]
    pub(crate) fn mark(&mut self, mark: &DataMark) {
        // Or a writer that closes would not find an end of marks.
        if let Some(marks) = &mut self.marks
            && self.engine.shared.gate.is_open()
        {
            marks.data(mark, &mut self.ring, &self.engine.shared, &self.state);
            self.engine.pushed();
        }
    }

    /// The same, with high fidelity.
    pub(crate) fn mark_record(&mut self, mark: &DataMark, record: &MarkedRecord) {
        if let Some(marks) = &mut self.marks
            && self.engine.shared.gate.is_open()
        {
            marks.record(mark, record, &mut self.ring, &self.engine.shared, &self.state);
            self.engine.pushed();
        }
    }

    /// Announces a stream of market data, before its first mark.
    pub(crate) fn announce_stream(
        &mut self,
        stream: u32,
        class: DataMarkerClass,
        identifier: &str,
    ) -> Announced {
        let Some(marks) = &mut self.marks else { return Announced::NoRoom };
        let lines = (stream, class, identifier);
        let announced = marks.stream(lines, &mut self.ring, &self.engine.shared, &self.state);
        self.engine.pushed();
        announced
    }

    /// Counts a piece of market data that could not be marked.
    pub(crate) fn shed_mark(&mut self) {
        if let Some(marks) = &mut self.marks {
            marks.shed(&self.state);
            self.engine.pushed();
        }
    }

    /// How many message identities the writer remembers; 0 where it recognises no repeats.
    pub(crate) fn dedup_window(&self) -> usize {
        self.engine.shared.config.dedup_window
    }

    /// The longest name, and so the longest identifier, that fits the ring.
    pub(crate) fn name_bytes_max(&self) -> usize {
        self.engine.shared.config.name_bytes_max
    }

    /// Halts the run if it has ended and is not halted already: a message came behind its end.
    pub(crate) fn halt_if_ended(&self) {
        if self.engine.shared.gate.is_closed() {
            self.engine.shared.halt.fire(HaltReason::LateMessage);
        }
    }

    /// Why the run is halted, if it is.
    pub(crate) fn halt_given(&self) -> Option<HaltReason> {
        self.engine.shared.halt.reason()
    }

    /// The record under construction, begun anew, for an encoder to fill.
    #[inline]
    pub(crate) fn begin(&mut self) -> Result<&mut RecordBuilder, SubmitError> {
        self.check_open()?;
        self.builder.begin();
        Ok(&mut self.builder)
    }

    #[inline]
    fn check_open(&self) -> Result<(), SubmitError> {
        let shared = &self.engine.shared;
        if shared.halt.is_halted() || !shared.gate.is_open() {
            return Err(self.closed());
        }
        Ok(())
    }

    #[cold]
    fn closed(&self) -> SubmitError {
        if self.engine.shared.gate.is_forked() { SubmitError::Forked } else { SubmitError::Closed }
    }

    /// Submits the record that was begun and filled.
    #[inline]
    pub(crate) fn submit_built(
        &mut self,
        topic: &str,
        payload_type: &str,
    ) -> Result<Ticket, SubmitError> {
        order_after_other_producers(&self.state);
        // Before the names are looked up: the stamp waits for all that comes before it, while what
        // comes after is done in the time that reading the counter takes. 5 ns a submit.
        let stamp = self.engine.shared.order_clock.stamp();
        let (topic_id, type_id) = (self.names.get(topic), self.names.get(payload_type));
        let (Some(topic_id), Some(type_id)) = (topic_id, type_id) else {
            return self.push_with_names(topic, payload_type, stamp);
        };
        let ts_publish = self.publish_time();
        let record = self.builder.finish(RecordTag { stamp, ts_publish, topic_id, type_id })?;
        // Publishes the ring's tail once, with Release: the writer sees the whole record or
        // nothing.
        if self.ring.push_entire_slice(record).is_err() {
            self.push_when_room(&[])?;
        }
        self.finish_push()
    }

    /// The first message of a topic or payload type. What announces them goes ahead of it, with its
    /// stamp and in one push: a message that is refused brings no name, and the writer never has a
    /// name without a message.
    #[cold]
    fn push_with_names(
        &mut self,
        topic: &str,
        payload_type: &str,
        stamp: u64,
    ) -> Result<Ticket, SubmitError> {
        let Numbered { ids: [topic_id, type_id], new } =
            self.names.number([topic, payload_type])?;
        let ts_publish = self.publish_time();
        self.builder.finish(RecordTag { stamp, ts_publish, topic_id, type_id })?;
        let names: Vec<Line> = new.iter().flat_map(|name| name_record(name, stamp)).collect();
        // Last: a message that is refused from here on is refused because the run has ended.
        self.engine.shared.names.admit(&new)?;
        self.push_when_room(&names)?;
        self.names.announced(&new);
        self.finish_push()
    }

    /// Pushes the finished record behind `names`, in one push. Waits for room. A record that the
    /// ring can never hold goes beside the ring.
    #[cold]
    fn push_when_room(&mut self, names: &[Line]) -> Result<(), SubmitError> {
        let Self { ring, builder, large, engine, .. } = self;
        let record = builder.finished();
        if names.len() + record.len() <= ring.buffer().capacity() {
            let lines = [names, record].concat();
            return wait_for_room(engine, || ring.push_entire_slice(&lines).is_ok());
        }
        let lines = [names, &[builder.reference()]].concat();
        let mut record = Some(builder.take_finished());
        wait_for_room(engine, || {
            record = record.take().and_then(|record| large.try_send(record).err());
            record.is_none()
        })?;
        wait_for_room(engine, || ring.push_entire_slice(&lines).is_ok())
    }

    /// Now, or nothing where the writer fills it in.
    #[inline]
    fn publish_time(&self) -> UnixNanos {
        if self.reads_clock { self.engine.shared.clock.now() } else { UnixNanos::default() }
    }

    /// Counts what was pushed and asks whether it made it.
    #[inline]
    fn finish_push(&mut self) -> Result<Ticket, SubmitError> {
        let shared = &*self.engine.shared;
        // Whatever comes of it: the writer counts the record too.
        self.ordinal += 1;
        if let Some(marks) = &mut self.marks {
            marks.entry_pushed(shared);
        }
        match shared.gate.admit(&self.state, self.ordinal, &shared.halt) {
            Admission::Accepted => {}
            Admission::Refused => return Err(SubmitError::Closed),
            Admission::Halted => return Err(SubmitError::HaltedMeanwhile),
        }
        if self.engine.is_inline() {
            self.commit_inline()?;
        }
        Ok(shared.ticket(self.number, self.ordinal))
    }

    /// Has the writer commit what was pushed. Nothing that is not durable is reported as accepted.
    #[cold]
    fn commit_inline(&self) -> Result<(), SubmitError> {
        self.engine.pushed();
        if self.state.durable() < self.ordinal {
            return Err(SubmitError::HaltedMeanwhile);
        }
        Ok(())
    }
}

/// Touches every page of a new ring, so that the first lap does not pay for page faults.
fn prefault(ring: &mut rtrb::Producer<Line>) {
    let slots = ring.slots();
    if let Ok(mut chunk) = ring.write_chunk_uninit(slots) {
        let (first, second) = chunk.as_mut_slices();
        for line in first.iter_mut().chain(second) {
            line.write(Line::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes;

    use super::*;

    #[test]
    fn a_new_ring_is_empty_after_prefaulting() {
        let (mut producer, consumer) = RingBuffer::<Line>::new(8);
        prefault(&mut producer);
        assert_eq!((producer.slots(), consumer.slots()), (8, 0));
        assert_eq!(Line::ZERO.as_bytes(), [0; 64]);
    }
}
