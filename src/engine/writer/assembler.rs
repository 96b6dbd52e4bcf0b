use super::batch::Batch;
use super::dedup::DedupWindow;
use super::marker_outlet::MarkerOutlet;
use super::names::NameTable;
use super::ring_record::RingRecord;
use crate::engine::WriterConfig;
use crate::engine::command::LastRecord;
use crate::format::{FrameView, RecordStamp};
use crate::model::UnixNanos;
use crate::store::{ReadFault, RunReader, Tail};

/// Gives entries their `seq` and assembles them into frames. It does no I/O.
pub(in crate::engine) struct Assembler {
    batch: Batch,
    names: NameTable,
    dedup: DedupWindow,
    /// The largest `ts_init` of what is durable; `None` for a run without entries.
    ts_init_max: Option<UnixNanos>,
    /// Where marks of market data go; `None` where they are not recorded.
    markers: Option<MarkerOutlet>,
}

impl Assembler {
    /// Continues the run of `reader`, which ends at `tail`.
    pub(in crate::engine) fn new(
        reader: &dyn RunReader,
        tail: Tail,
        config: &WriterConfig,
        markers: Option<MarkerOutlet>,
    ) -> Result<Self, ReadFault> {
        let names = NameTable::load(reader)?;
        let ts_init_max = ts_init_max(reader)?;
        let batch = Batch::new(config.batch_limits(), tail.watermark + 1, names.len(), tail.root);
        let dedup = DedupWindow::new(config.dedup_window);
        Ok(Self { batch, names, dedup, ts_init_max, markers })
    }

    /// All names that the run has so far.
    pub(in crate::engine) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter()
    }

    /// True if the batch under construction has room for one more record of `lines` lines.
    #[inline]
    pub(super) fn has_room(&self, lines: usize) -> bool {
        self.batch.fits(lines)
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.batch.is_empty()
    }

    /// The run's number for a name. A new name becomes durable with the next commit.
    pub(super) fn number_name(&mut self, name: &str) -> u32 {
        self.names.number(name, &mut self.batch)
    }

    /// Gives a record its `seq`, unless it repeats a message that is in the log already.
    #[inline]
    pub(super) fn push(&mut self, record: RingRecord<'_>, stamp: &RecordStamp) {
        if !self.is_repeat(record, stamp.type_id) {
            self.batch.push(record.head, record.tail, stamp);
        }
    }

    #[inline]
    fn is_repeat(&mut self, record: RingRecord<'_>, type_id: u32) -> bool {
        record.identity().is_some_and(|id| self.dedup.is_repeat((type_id, id)))
    }

    /// Gives the last record of the run its `seq`. Only with nothing pending: an empty batch has
    /// room for any record.
    pub(super) fn push_last(&mut self, last: &LastRecord) {
        debug_assert!(!self.has_pending(), "the batch may have no room");
        let record = RingRecord { head: &last.lines, tail: &[] };
        let stamp = RecordStamp {
            ts_publish: record.header().ts_publish.get().into(),
            topic_id: self.number_name(&last.topic),
            type_id: self.number_name(&last.payload_type),
        };
        self.batch.push(record.head, record.tail, &stamp);
    }

    /// Sends a mark of market data on, behind all entries that have a `seq` so far.
    #[inline]
    pub(super) fn forward_mark(&mut self, mark: RingRecord<'_>, lane: u32) {
        if let Some(markers) = &mut self.markers {
            markers.forward(mark, lane, self.batch.next_seq() - 1);
        }
    }

    /// Counts marks that were shed, ahead of those that are sent on from now on.
    pub(super) fn add_marks_shed(&mut self, marks: u64) {
        if let Some(markers) = &mut self.markers {
            markers.add_shed(marks);
        }
    }

    /// Completes the batch under construction ahead of its commit: it takes no more entries. An
    /// empty one stays as it is.
    pub(super) fn seal_batch(&mut self) {
        self.batch.seal();
    }

    /// The batch under construction, for the committer to take once it is sealed.
    pub(super) fn batch_mut(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// A batch with this largest `ts_init` is durable.
    pub(super) fn note_committed(&mut self, ts_init_max: UnixNanos) {
        self.ts_init_max = self.ts_init_max.max(Some(ts_init_max));
    }

    pub(super) fn ts_init_max(&self) -> Option<UnixNanos> {
        self.ts_init_max
    }
}

/// The largest `ts_init` of what is recorded already; `None` for a new run. It stands nowhere but
/// in the entries, so a run that goes on after a crash is read once.
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
