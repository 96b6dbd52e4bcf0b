use std::collections::HashMap;

use tapline::engine::{EventStoreWriter, WriterConfig};
use tapline::internals::format::{
    FrameBuilder, FrameLimits, FrameView, Line, RecordStamp, SealedFrame,
};
use tapline::store::{EventStore, MemoryBackend, RunReader, Tail};
use tapline::{Clock, HaltSignal, Hash, Producer, SimulatedClock, UnixNanos};
use zerocopy::IntoBytes;

use super::{Message, manifest};

/// `ts_publish` of every entry of a [`FrameMaker`].
pub(crate) const TS_PUBLISH: u64 = 1_700_000_000_000_000_001;

const LIMITS: FrameLimits = FrameLimits { entries_max: 1_000, bytes_max: 256 << 10 };

/// Makes the frames of one run, each with as many entries as a test wants.
///
/// Records come out of the engine in inline mode, on a run of its own. Then the engine's frame
/// builder puts them together. So the bytes are those of a run that was recorded in these batches.
pub(crate) struct FrameMaker {
    press: RecordPress,
    builder: FrameBuilder,
    names: HashMap<String, u32>,
    root: Hash,
    sealed: bool,
}

impl FrameMaker {
    /// Begins at the first frame of a run.
    pub(crate) fn new() -> Self {
        Self::at(1)
    }

    /// Begins at `first_seq`, without names, as if the frames before were lost.
    pub(crate) fn at(first_seq: u64) -> Self {
        Self {
            press: RecordPress::new(),
            builder: FrameBuilder::new(LIMITS, first_seq, 0),
            names: HashMap::new(),
            root: Hash::from_bytes([0; 32]),
            sealed: false,
        }
    }

    /// Continues after `tail`.
    pub(crate) fn behind(tail: Tail) -> Self {
        Self {
            builder: FrameBuilder::new(LIMITS, tail.watermark + 1, tail.names),
            root: tail.root,
            ..Self::new()
        }
    }

    /// The next frame.
    pub(crate) fn frame(&mut self, messages: &[Message]) -> SealedFrame<'_> {
        if std::mem::replace(&mut self.sealed, true) {
            self.builder.reset();
        }
        for message in messages {
            let record = self.press.record(message);
            let stamp = RecordStamp {
                ts_publish: UnixNanos::new(TS_PUBLISH),
                topic_id: self.name(&message.topic),
                type_id: self.name(&message.payload_type),
            };
            self.builder.push(&record, &[], &stamp);
        }
        let frame = self.builder.seal(&self.root);
        self.root = frame.root();
        frame
    }

    /// Appends each batch as one frame.
    pub(crate) fn append_all(&mut self, store: &mut dyn EventStore, batches: &[Vec<Message>]) {
        for batch in batches {
            store.append(&[self.frame(batch)]).expect("the frame continues the log");
        }
    }

    fn name(&mut self, name: &str) -> u32 {
        if let Some(id) = self.names.get(name) {
            return *id;
        }
        let id = self.builder.push_name(name);
        self.names.insert(name.to_owned(), id);
        id
    }
}

/// Makes the record of a message.
struct RecordPress {
    producer: Producer,
    /// Dropped, it would make the producer's submits fail.
    _writer: EventStoreWriter,
    reader: std::sync::Arc<dyn RunReader>,
}

impl RecordPress {
    fn new() -> Self {
        let mut store = MemoryBackend::default();
        store.open_run(manifest(1)).expect("a new run opens");
        let reader = store.reader().expect("a run is open");
        let clock = Clock::Simulated(SimulatedClock::new(UnixNanos::new(TS_PUBLISH)));
        let config = WriterConfig {
            record_bytes_max: 64 << 10,
            batch_bytes_max: 128 << 10,
            dedup_window: 0,
            ..WriterConfig::default()
        };
        let writer =
            EventStoreWriter::inline(Box::new(store), clock, HaltSignal::default(), config)
                .expect("the settings are valid");
        let producer = writer.producer().expect("an open run gives producers");
        Self { producer, _writer: writer, reader }
    }

    fn record(&mut self, message: &Message) -> Vec<Line> {
        message.with_draft(|draft| self.producer.submit(draft)).expect("the message is accepted");
        let (_, bytes) =
            self.reader.frame_at_or_before(u64::MAX).expect("memory is readable").expect("a frame");
        let frame = FrameView::parse(&bytes).expect("the engine's own frame");
        let record = frame.record(0).expect("the engine's own record").bytes();
        let mut lines = vec![Line::ZERO; record.len() / size_of::<Line>()];
        <[Line]>::as_mut_bytes(&mut lines).copy_from_slice(record);
        lines
    }
}
