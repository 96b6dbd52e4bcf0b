use super::committer::{Begun, Committed, Committer, Wait};
use super::dedup::DedupWindow;
use super::marker_outlet::MarkerOutlet;
use super::names::NameTable;
use super::ring_record::{InlineRecord, RingRecord};
use super::{CloseReport, WriterConfig};
use crate::format::{FrameBuilder, FrameView, RecordStamp};
use crate::model::{Hash, RunStatus, SnapshotAnchor, UnixNanos};
use crate::protocol::{HaltReason, HaltSignal, Watermark};
use crate::store::{AnchorError, AppendError, ReadFault, RunReader, SealError, Tail};

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
    /// Where marks of market data go; `None` where they are not recorded.
    markers: Option<MarkerOutlet>,
}

/// The run is halted; the reason is with the halt signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Halted;

impl WriterCore {
    /// Continues the run that is open on the committer's store and ends at `tail`.
    pub(super) fn new(
        mut committer: Committer,
        tail: Tail,
        watermark: Watermark,
        halt: HaltSignal,
        config: &WriterConfig,
        markers: Option<MarkerOutlet>,
    ) -> Result<Self, ReadFault> {
        let (names, ts_init_max) = match committer.store().reader() {
            Some(reader) => (NameTable::load(&*reader)?, ts_init_max(&*reader)?),
            None => (NameTable::default(), None),
        };
        let frame = FrameBuilder::new(config.frame_limits(), tail.watermark + 1, names.len());
        let dedup = DedupWindow::new(config.dedup_window);
        let root = tail.root;
        Ok(Self { committer, frame, names, dedup, root, ts_init_max, watermark, halt, markers })
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
        if !self.is_repeat(record, stamp.type_id) {
            self.frame.push(record.head, record.tail, stamp);
        }
    }

    #[inline]
    fn is_repeat(&mut self, record: RingRecord<'_>, type_id: u32) -> bool {
        record.identity().is_some_and(|id| self.dedup.is_repeat((type_id, id)))
    }

    /// Sends a mark on, to where it is behind all entries that have a `seq` so far.
    #[inline]
    pub(super) fn forward_mark(&mut self, mark: RingRecord<'_>, lane: u32) {
        if let Some(markers) = &mut self.markers {
            markers.forward(mark, lane, self.frame.next_seq() - 1);
        }
    }

    /// Counts marks that were shed, ahead of those that are sent on from now on.
    pub(super) fn add_marks_shed(&mut self, marks: u64) {
        if let Some(markers) = &mut self.markers {
            markers.add_shed(marks);
        }
    }

    /// Gives a record that came with its names a `seq`, unless it repeats a message that is in the log already. Only with
    /// nothing pending: an empty frame has room for any record.
    pub(super) fn push_inline(&mut self, record: &InlineRecord) {
        let stamp = self.stamp_inline(record);
        self.push(record.in_ring(), &stamp);
    }

    /// The same for the last record of the run, which repeats nothing.
    pub(super) fn push_last(&mut self, record: &InlineRecord) {
        let stamp = self.stamp_inline(record);
        self.frame.push(&record.lines, &[], &stamp);
    }

    fn stamp_inline(&mut self, record: &InlineRecord) -> RecordStamp {
        debug_assert!(!self.has_pending(), "the frame may have no room");
        RecordStamp {
            ts_publish: record.in_ring().header().ts_publish.get().into(),
            topic_id: self.intern(&record.topic),
            type_id: self.intern(&record.payload_type),
        }
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

    /// Completes the frame under construction ahead of its commit: it takes no more entries. An empty
    /// one stays as it is.
    pub(super) fn seal_frame(&mut self) {
        if self.has_pending() && self.frame.sealed().is_none() {
            self.root = self.frame.seal(&self.root).root();
        }
    }

    /// Sends what is pending to the store. Says whether everything is durable now; if not,
    /// [`settle`](Self::settle) tells when it is. Only while no frame is on its way.
    pub(super) fn begin_commit(&mut self) -> Result<bool, Halted> {
        self.check_halt()?;
        self.seal_frame();
        if !self.has_pending() {
            return Ok(true);
        }
        match self.committer.begin(&mut self.frame) {
            Ok(Begun::Durable(committed)) => {
                self.publish(committed);
                Ok(true)
            }
            Ok(Begun::OnItsWay) => Ok(false),
            Err(error) => Err(self.halt_for(&error)),
        }
    }

    /// Whether a frame that was on its way has become durable by this call.
    pub(super) fn settle(&mut self, wait: Wait) -> Result<bool, Halted> {
        match self.committer.settle(wait) {
            Ok(Some(committed)) => {
                self.publish(committed);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => Err(self.halt_for(&error)),
        }
    }

    /// Waits for the store, where a frame is on its way into it, whatever becomes of the frame.
    pub(super) fn retrieve_store(&mut self) {
        self.committer.retrieve_store();
    }

    /// Ends the store's hold on the run file. Nothing can be committed any more.
    pub(super) fn let_go_of_store(&mut self) {
        self.committer.let_go_of_store();
    }

    /// Moves the watermark to the end of a frame that has become durable.
    fn publish(&mut self, committed: Committed) {
        self.ts_init_max = self.ts_init_max.max(Some(committed.ts_init_max));
        self.watermark.advance(committed.last_seq);
    }

    /// A failed commit is never retried: a failed sync may have dropped the pages it did not write.
    fn halt_for(&self, error: &AppendError) -> Halted {
        self.halt.fire(append_halt_reason(error));
        Halted
    }

    /// Records an anchor at `at`, or else at the durable watermark.
    pub(super) fn record_anchor(
        &mut self,
        at: Option<u64>,
        blob_ref: String,
        content_hash: crate::model::ContentHash,
    ) -> Result<SnapshotAnchor, AnchorError> {
        let high_watermark = at.unwrap_or_else(|| self.watermark.get());
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
            markers: None,
        })
    }

    pub(super) fn durable(&self) -> u64 {
        self.watermark.get()
    }

    pub(super) fn halt(&self) -> &HaltSignal {
        &self.halt
    }

    pub(super) fn check_halt(&self) -> Result<(), Halted> {
        if self.halt.is_halted() { Err(Halted) } else { Ok(()) }
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
