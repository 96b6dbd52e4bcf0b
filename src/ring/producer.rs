use rtrb::RingBuffer;

use super::marks::{Marks, lines_with_room_for_marks};
use super::names::{LocalNames, Numbered};
use super::stall::push_when_room;
use super::switch::order_after_other_producers;
use super::{Durability, SubmitError, Ticket};
use crate::format::{DataMark, Line, MarkedRecord, RecordBuilder, RecordTag, name_record};
use crate::model::{DataMarkerClass, EntryDraft, UnixNanos};
use crate::protocol::{Admission, HaltReason, LaneState};
use crate::sync::{Arc, Mutex};
use crate::writer::{
    Connection, EventStoreWriter, InlineOutcome, InlineRecord, InlineWriter, Lane, Mode,
    ProducerError, lock_inline,
};

/// One thread's way into the engine. Each thread gets its own; it can be made and dropped while the
/// run goes on, and what it pushed before it was dropped is kept.
///
/// A submit that finds room in the ring takes no lock, makes no system call and, once the names it
/// uses have been seen, allocates nothing.
#[derive(Debug)]
pub struct Producer {
    sink: Sink,
    builder: RecordBuilder,
    names: LocalNames,
    state: Arc<LaneState>,
    connection: Connection,
    /// The ordinal of the last push.
    ordinal: u64,
    reads_clock: bool,
    /// Where market data is marked.
    marks: Option<Marks>,
}

#[derive(Debug)]
pub(super) enum Sink {
    Ring(rtrb::Producer<Line>),
    Inline { writer: Arc<Mutex<InlineWriter>>, lane: u32 },
}

impl EventStoreWriter {
    /// A new producer. Allocates its ring and takes a short lock.
    pub fn producer(&self) -> Result<Producer, ProducerError> {
        Producer::connect(self.connection().clone())
    }

    /// What makes producers, to be handed to threads that need one later.
    pub fn producers(&self) -> Producers {
        Producers(self.connection().clone())
    }
}

/// Makes producers for the threads of a node. It can be cloned, sent, and outlive the run: then it
/// makes none.
#[derive(Debug, Clone)]
pub struct Producers(Connection);

impl Producers {
    /// A new producer, see [`EventStoreWriter::producer`].
    pub fn producer(&self) -> Result<Producer, ProducerError> {
        Producer::connect(self.0.clone())
    }
}

impl Producer {
    pub(crate) fn connect(connection: Connection) -> Result<Self, ProducerError> {
        if connection.halt.is_halted() {
            return Err(ProducerError::Halted(connection.halt_reason()));
        }
        if !connection.gate.is_open() {
            return Err(ProducerError::Closed);
        }
        let state = Arc::new(LaneState::new());
        let config = &connection.config;
        let sink = match &connection.mode {
            Mode::Threaded { inbox, .. } => {
                let lines = match connection.latest_entry {
                    Some(_) => lines_with_room_for_marks(config.ring_lines),
                    None => config.ring_lines,
                };
                let (mut ring, consumer) = RingBuffer::new(lines);
                prefault(&mut ring);
                inbox.register(Lane::new(consumer, Arc::clone(&state)), config.producers_max)?;
                Sink::Ring(ring)
            }
            Mode::Inline(inline) => {
                let lane = lock_inline(inline).number_lane();
                Sink::Inline { writer: Arc::clone(inline), lane }
            }
        };
        let latest_entry = connection.latest_entry.clone();
        let marks = latest_entry.map(|latest| Marks::new(latest, config.ring_lines));
        Ok(Self {
            sink,
            builder: RecordBuilder::new(config.record_limits()),
            names: LocalNames::new(config.names_max, config.name_bytes_max),
            state,
            ordinal: 0,
            reads_clock: !connection.writer_stamps_publish_time(),
            marks,
            connection,
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

    /// Tells, from any thread, how far this producer's messages are durable.
    pub fn durability(&self) -> Durability {
        Durability::new(Arc::clone(&self.state), self.connection.clone())
    }

    /// Marks a piece of market data if there is room; else it is counted as shed. Never waits. Nothing happens in a run
    /// that is closing.
    #[expect(clippy::inline_always, reason = "3 ns of the 19 that a mark costs")]
    #[inline(always)]
    pub(crate) fn mark(&mut self, mark: &DataMark) {
        // Or a writer that closes would not find an end of marks.
        if let Some(marks) = &mut self.marks
            && self.connection.gate.is_open()
        {
            marks.data(mark, &mut self.sink, &self.connection.order_clock, &self.state);
        }
    }

    /// The same, with high fidelity.
    pub(crate) fn mark_record(&mut self, mark: &DataMark, record: &MarkedRecord) {
        if let Some(marks) = &mut self.marks
            && self.connection.gate.is_open()
        {
            let clock = &self.connection.order_clock;
            marks.record(mark, record, &mut self.sink, clock, &self.state);
        }
    }

    /// Announces a stream of market data, before its first mark. Says whether there was room.
    pub(crate) fn announce_stream(
        &mut self,
        stream: u32,
        class: DataMarkerClass,
        identifier: &str,
    ) -> bool {
        let clock = &self.connection.order_clock;
        self.marks.as_mut().is_some_and(|marks| {
            marks.stream(stream, class, identifier, &mut self.sink, clock, &self.state)
        })
    }

    /// Counts a piece of market data that could not be marked.
    pub(crate) fn shed_mark(&mut self) {
        if let Some(marks) = &mut self.marks {
            marks.shed(&self.sink, &self.state);
        }
    }

    /// The longest name, and so the longest identifier, that fits the ring.
    pub(crate) fn name_bytes_max(&self) -> usize {
        self.connection.config.name_bytes_max
    }

    /// Halts the run if it has ended and is not halted already: a message came behind its end.
    pub(crate) fn halt_if_ended(&self) {
        if self.connection.gate.is_closed() {
            let why = "a message reached the tap after the run was closed";
            self.connection.halt.fire(HaltReason::WriterDied(why.to_owned()));
        }
    }

    /// Why the run is halted, if it is.
    pub(crate) fn halt_given(&self) -> Option<HaltReason> {
        self.connection.halt.is_halted().then(|| self.connection.halt_reason())
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
        if self.connection.halt.is_halted() || !self.connection.gate.is_open() {
            return Err(SubmitError::Closed);
        }
        Ok(())
    }

    /// Submits the record that was begun and filled.
    #[inline]
    pub(crate) fn submit_built(
        &mut self,
        topic: &str,
        payload_type: &str,
    ) -> Result<Ticket, SubmitError> {
        match &mut self.sink {
            Sink::Ring(_) => self.push_to_ring(topic, payload_type),
            Sink::Inline { .. } => self.commit_inline(topic, payload_type),
        }
    }

    #[inline]
    fn push_to_ring(&mut self, topic: &str, payload_type: &str) -> Result<Ticket, SubmitError> {
        order_after_other_producers(&self.state);
        // Before the names are looked up: the stamp waits for all that comes before it, while what
        // comes after is done in the time that reading the counter takes. 5 ns a submit.
        let stamp = self.connection.order_clock.stamp();
        let (topic_id, type_id) = (self.names.get(topic), self.names.get(payload_type));
        let (Some(topic_id), Some(type_id)) = (topic_id, type_id) else {
            return self.push_with_names(topic, payload_type, stamp);
        };
        let ts_publish = self.publish_time();
        let record = self.builder.finish(RecordTag { stamp, ts_publish, topic_id, type_id })?;
        push(&mut self.sink, record, &self.connection)?;
        self.admit()
    }

    /// The first message of a topic or payload type. What announces them goes ahead of it, with its stamp and in one
    /// push: a message that is refused brings no name, and the writer never has a name without a message.
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
        let record = self.builder.finish(RecordTag { stamp, ts_publish, topic_id, type_id })?;
        let mut lines: Vec<Line> = new.iter().flat_map(|name| name_record(name, stamp)).collect();
        lines.extend_from_slice(record);
        push(&mut self.sink, &lines, &self.connection)?;
        self.names.announced(&new);
        self.admit()
    }

    /// Now, or nothing where the writer fills it in.
    #[inline]
    fn publish_time(&self) -> UnixNanos {
        if self.reads_clock { self.connection.clock.now() } else { UnixNanos::default() }
    }

    /// Counts what was pushed and asks whether it made it.
    #[inline]
    fn admit(&mut self) -> Result<Ticket, SubmitError> {
        // Whatever comes of it: the writer counts the record too.
        self.ordinal += 1;
        if let Some(marks) = &mut self.marks {
            marks.entry_pushed();
        }
        match self.connection.gate.admit(&self.state, self.ordinal, &self.connection.halt) {
            Admission::Accepted => Ok(Ticket::new(self.ordinal)),
            Admission::Refused | Admission::Halted => Err(SubmitError::Closed),
        }
    }

    #[cold]
    fn commit_inline(&mut self, topic: &str, payload_type: &str) -> Result<Ticket, SubmitError> {
        // For the same answers to bad names as with a ring.
        let Numbered { new, .. } = self.names.number([topic, payload_type])?;
        let ts_publish = self.connection.clock.now();
        let tag = RecordTag { stamp: 0, ts_publish, topic_id: 0, type_id: 0 };
        let record = InlineRecord {
            lines: self.builder.finish(tag)?.to_vec(),
            topic: topic.to_owned(),
            payload_type: payload_type.to_owned(),
        };
        self.names.announced(&new);
        let Sink::Inline { writer, .. } = &self.sink else {
            unreachable!("the caller matched on the sink");
        };
        let outcome = lock_inline(writer).submit(&record);
        match outcome {
            InlineOutcome::Durable => {
                self.ordinal += 1;
                self.state.set_durable(self.ordinal);
                Ok(Ticket::new(self.ordinal))
            }
            InlineOutcome::Refused => Err(SubmitError::Closed),
        }
    }
}

#[inline]
fn push(sink: &mut Sink, record: &[Line], connection: &Connection) -> Result<(), SubmitError> {
    let Sink::Ring(ring) = sink else {
        unreachable!("only a ring is pushed to");
    };
    // Publishes the ring's tail once, with Release: the writer sees the whole record or nothing.
    if ring.push_entire_slice(record).is_ok() {
        return Ok(());
    }
    push_when_room(ring, record, connection)
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
