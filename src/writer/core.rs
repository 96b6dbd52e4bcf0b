use super::committer::{Committed, Committer, Wait};
use super::dedup::DedupWindow;
use super::names::NameTable;
use super::{CloseReport, SpawnError, WriterConfig};
use crate::format::{
    FrameBuilder, FrameView, LINE_BYTES, Line, RecordFlags, RecordHeader, RecordStamp,
};
use crate::model::{Hash, RunStatus, SnapshotAnchor, UnixNanos};
use crate::protocol::{HaltReason, HaltSignal, Watermark};
use crate::store::{AnchorError, AppendError, EventStore, ReadFault, RunReader, SealError, Tail};

/// What gives entries their `seq` and makes them durable, one thread at a time: the writer thread,
/// or, inline, the submitter.
pub(crate) struct WriterCore {
    committer: Committer,
    frame: FrameBuilder,
    names: NameTable,
    dedup: DedupWindow,
    /// Root of the last sealed frame.
    root: Hash,
    ts_init_max: Option<UnixNanos>,
    watermark: Watermark,
    halt: HaltSignal,
}

/// The run is halted; the reason is with the halt signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Halted;

/// A record as it lies in a ring: in one stretch, or in two where the ring wraps.
#[derive(Clone, Copy)]
pub(super) struct RingRecord<'a> {
    pub(super) head: &'a [Line],
    pub(super) tail: &'a [Line],
}

impl<'a> RingRecord<'a> {
    pub(super) fn header(&self) -> &'a RecordHeader {
        RecordHeader::of(self.head[0].bytes()).expect("a line is as long as a header")
    }

    /// Copies out `N` bytes from byte `start` of the record.
    fn bytes<const N: usize>(&self, start: usize) -> [u8; N] {
        std::array::from_fn(|i| {
            let (line, byte) = ((start + i) / LINE_BYTES, (start + i) % LINE_BYTES);
            let line = self.head.get(line).unwrap_or_else(|| &self.tail[line - self.head.len()]);
            line.bytes()[byte]
        })
    }

    fn identity(&self) -> Option<u128> {
        let start = self.header().identity_start()?;
        Some(u128::from_le_bytes(self.bytes(start)))
    }

    /// The text of a record that announces a name.
    pub(super) fn name(&self) -> String {
        let len = self.header().payload_len.get() as usize;
        let lines = self.head.iter().chain(self.tail).skip(1).flat_map(Line::bytes);
        let bytes = lines.copied().take(len).collect();
        String::from_utf8(bytes).expect("a producer announces names from `&str`")
    }

    pub(super) fn is_name(&self) -> bool {
        self.header().flags().has(RecordFlags::NAME)
    }

    pub(super) fn lines(&self) -> usize {
        self.head.len() + self.tail.len()
    }
}

/// A record built outside any ring, with its names as text.
#[derive(Debug)]
pub(crate) struct InlineRecord {
    pub(crate) lines: Vec<Line>,
    pub(crate) topic: String,
    pub(crate) payload_type: String,
}

impl WriterCore {
    /// Continues the run that is open on `store`, which ends at `tail`. `committer` makes a
    /// committer of the store.
    pub(super) fn new(
        store: Box<dyn EventStore>,
        tail: Tail,
        watermark: Watermark,
        halt: HaltSignal,
        config: &WriterConfig,
        committer: impl FnOnce(Box<dyn EventStore>) -> std::io::Result<Committer>,
    ) -> Result<Self, SpawnError> {
        let (names, ts_init_max) = match store.reader() {
            Some(reader) => (NameTable::load(&*reader)?, ts_init_max(&*reader)?),
            None => (NameTable::default(), None),
        };
        let frame = FrameBuilder::new(config.frame_limits(), tail.watermark + 1, names.len());
        let dedup = DedupWindow::new(config.dedup_window);
        let committer = committer(store).map_err(SpawnError::Thread)?;
        let root = tail.root;
        Ok(Self { committer, frame, names, dedup, root, ts_init_max, watermark, halt })
    }

    /// Whether the frame under construction has room for one more record of `lines` lines.
    #[inline]
    pub(super) fn has_room(&self, lines: usize) -> bool {
        self.frame.fits(lines, 0)
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.frame.is_empty()
    }

    /// Takes up a name; it becomes durable with the next commit.
    pub(super) fn intern(&mut self, name: &str) -> u32 {
        self.names.intern(name, &mut self.frame)
    }

    /// Gives a record its `seq`, unless it repeats a message that is in the log already.
    #[inline]
    pub(super) fn push(&mut self, record: RingRecord<'_>, stamp: &RecordStamp) {
        if record.identity().is_some_and(|id| self.dedup.is_repeat((stamp.type_id, id))) {
            return;
        }
        self.frame.push(record.head, record.tail, stamp);
    }

    /// Gives a record that came with its names a `seq`.
    pub(super) fn push_inline(&mut self, record: &InlineRecord) -> Result<(), Halted> {
        let names_bytes = record.topic.len() + record.payload_type.len() + 4;
        if !self.frame.fits(record.lines.len(), names_bytes) {
            self.commit()?;
        }
        let ring_record = RingRecord { head: &record.lines, tail: &[] };
        let stamp = RecordStamp {
            ts_publish: ring_record.header().ts_publish.get().into(),
            topic_id: self.intern(&record.topic),
            type_id: self.intern(&record.payload_type),
        };
        self.push(ring_record, &stamp);
        Ok(())
    }

    /// Makes all pending entries durable and moves the watermark. A failure halts the run.
    pub(super) fn commit(&mut self) -> Result<(), Halted> {
        self.settle(Wait::Yes)?;
        self.begin_commit()?;
        self.settle(Wait::Yes)?;
        Ok(())
    }

    /// Whether a frame is on its way into the store.
    pub(super) fn is_committing(&self) -> bool {
        self.committer.is_busy()
    }

    /// Sends what is pending to the store, and says whether it is durable already; if not,
    /// [`settle`](Self::settle) tells when it is. Only while no frame is on its way.
    pub(super) fn begin_commit(&mut self) -> Result<bool, Halted> {
        if self.halt.is_halted() {
            return Err(Halted);
        }
        if self.frame.is_empty() {
            return Ok(true);
        }
        self.seal_frame();
        let committed = self.committer.commit(&mut self.frame);
        self.publish(committed)
    }

    /// Completes the frame under construction, ahead of its commit: it takes no more entries.
    pub(super) fn seal_frame(&mut self) {
        if self.frame.sealed().is_none() {
            self.root = self.frame.seal(&self.root).root();
        }
    }

    /// Whether a frame that was on its way has become durable by this call.
    pub(super) fn settle(&mut self, wait: Wait) -> Result<bool, Halted> {
        let committed = self.committer.settle(wait);
        self.publish(committed)
    }

    /// Moves the watermark to the end of a frame that has become durable.
    fn publish(
        &mut self,
        committed: Result<Option<Committed>, AppendError>,
    ) -> Result<bool, Halted> {
        match committed {
            Ok(Some(Committed { last_seq, ts_init_max })) => {
                self.ts_init_max = self.ts_init_max.max(Some(ts_init_max));
                self.watermark.advance(last_seq);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => {
                // Never retried: a failed sync may have dropped the pages it did not write.
                self.halt.fire(append_halt_reason(&error));
                Err(Halted)
            }
        }
    }

    /// Records an anchor at the durable watermark.
    pub(super) fn record_anchor(
        &mut self,
        blob_ref: String,
        content_hash: crate::model::ContentHash,
    ) -> Result<SnapshotAnchor, AnchorError> {
        let high_watermark = self.watermark.get();
        let anchor = SnapshotAnchor { high_watermark, blob_ref, content_hash };
        self.committer.store().record_anchor(&anchor).inspect_err(|error| {
            if let AnchorError::Fault(fault) = error {
                self.halt.fire(fault.halt_reason());
            }
        })?;
        Ok(anchor)
    }

    /// Seals the run as `Ended`.
    pub(super) fn seal(&mut self) -> Result<CloseReport, SealError> {
        let store = self.committer.store();
        let sealed = store.seal(RunStatus::Ended, self.ts_init_max).inspect_err(|error| {
            self.halt.fire(match error {
                SealError::Fault(fault) => fault.halt_reason(),
                other => HaltReason::BackendError(other.to_string()),
            });
        })?;
        Ok(CloseReport {
            watermark: sealed.manifest.high_watermark,
            root: sealed.root,
            manifest: sealed.manifest,
        })
    }

    pub(super) fn durable(&self) -> u64 {
        self.watermark.get()
    }

    pub(super) fn halt(&self) -> &HaltSignal {
        &self.halt
    }

    /// The reason of a run that is halted.
    pub(super) fn halt_reason(&self) -> HaltReason {
        self.halt.reason_given()
    }
}

impl std::fmt::Debug for WriterCore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriterCore").field("watermark", &self.watermark).finish_non_exhaustive()
    }
}

/// The largest `ts_init` of what is recorded already; `None` for a new run. It stands nowhere but in
/// the entries, so a run that goes on after a crash is read once.
fn ts_init_max(reader: &dyn RunReader) -> Result<Option<UnixNanos>, ReadFault> {
    let (mut max, mut from) = (None, 0);
    while let Some((first_seq, bytes)) = reader.frame_at_or_after(from)? {
        let damaged = |source| ReadFault::Frame { first_seq, source };
        let frame = FrameView::parse(&bytes).map_err(damaged)?;
        for index in 0..frame.count() {
            max = max.max(Some(frame.record(index).map_err(damaged)?.ts_init()));
        }
        from = frame.last_seq() + 1;
    }
    Ok(max)
}

fn append_halt_reason(error: &AppendError) -> HaltReason {
    match error {
        AppendError::Fault(fault) => fault.halt_reason(),
        other => HaltReason::BackendError(other.to_string()),
    }
}
