use std::thread::Thread;
use std::time::{Duration, Instant};

use super::command::Reply;
use super::inline::InlineWriter;
use super::publish_time::PublishTime;
use super::{CloseError, InlineRecord, Lane, WaitError, WriterConfig};
use crate::format::{RecordBuilder, RecordTag};
use crate::model::{Clock, EntryDraft};
use crate::protocol::{
    HaltReason, HaltSignal, LaneInbox, LatestEntry, OrderClock, RunGate, Watermark,
};
use crate::sync::{Arc, Mutex};

/// What a producer needs to know of its engine.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) mode: Mode,
    pub(crate) config: Arc<WriterConfig>,
    pub(crate) gate: RunGate,
    pub(crate) halt: HaltSignal,
    pub(crate) watermark: Watermark,
    pub(crate) order_clock: OrderClock,
    /// Where market data is marked.
    pub(crate) latest_entry: Option<LatestEntry>,
    pub(crate) clock: Clock,
}

/// Where submitted records go.
#[derive(Debug, Clone)]
pub(crate) enum Mode {
    /// Through a ring to the writer thread.
    Threaded { inbox: Arc<LaneInbox<Lane>>, writer: Thread },
    /// Straight to the store, on the submitter's thread.
    Inline(Arc<Mutex<InlineWriter>>),
}

impl Connection {
    pub(super) fn new(mode: Mode, parts: Parts) -> Self {
        let Parts { config, gate, halt, watermark, order_clock, latest_entry, clock } = parts;
        let config = Arc::new(config);
        Self { mode, config, gate, halt, watermark, order_clock, latest_entry, clock }
    }

    /// Whether the writer, not the producer, fills in `ts_publish`.
    pub(crate) fn writer_stamps_publish_time(&self) -> bool {
        matches!(self.mode, Mode::Threaded { .. })
            && PublishTime::is_left_to_writer(&self.clock, &self.order_clock)
    }

    /// Wakes the writer if it sleeps for want of work. A system call then: for who would sleep otherwise.
    pub(crate) fn wake_writer(&self) {
        if let Mode::Threaded { writer, .. } = &self.mode {
            writer.unpark();
        }
    }

    pub(crate) fn halt_reason(&self) -> HaltReason {
        self.halt.reason_given()
    }

    /// Blocks until `is_durable`, the run ends, or `timeout` has passed.
    pub(crate) fn wait(
        &self,
        timeout: Duration,
        is_durable: impl Fn() -> bool,
    ) -> Result<(), WaitError> {
        // A timeout too long for the clock is none.
        let deadline = Instant::now().checked_add(timeout);
        let ended = || self.halt.is_halted() || self.gate.is_closed();
        self.halt.parking().wait_until(deadline, || is_durable() || ended());
        // Asked before: what was durable when the run ended or halted is not called anything else.
        let (closed, halted) = (self.gate.is_closed(), self.halt.is_halted());
        if is_durable() {
            Ok(())
        } else if halted {
            Err(WaitError::Halted(self.halt_reason()))
        } else if closed {
            Err(WaitError::Closed)
        } else {
            Err(WaitError::TimedOut { waited: timeout })
        }
    }

    /// Waits for the writer's answer, or for it to end: then what it has not answered it never will. Halts the run when
    /// neither comes within `threshold`.
    pub(super) fn await_reply<T>(&self, reply: &Reply<T>, threshold: Duration) -> Option<T> {
        let asked = Instant::now();
        let deadline = asked.checked_add(threshold);
        let done = || reply.is_given() || self.gate.is_closing();
        if !self.halt.parking().wait_until(deadline, done) {
            let stalled_for = asked.elapsed();
            self.halt.fire(HaltReason::BackpressureStall { stalled_for, threshold });
        }
        reply.take()
    }

    pub(super) fn inline(&self) -> crate::sync::MutexGuard<'_, InlineWriter> {
        match &self.mode {
            Mode::Inline(inline) => lock_inline(inline),
            Mode::Threaded { .. } => unreachable!("a handle without a thread is inline"),
        }
    }

    /// Builds a record outside any ring.
    pub(super) fn build(&self, draft: &EntryDraft<'_>) -> Result<InlineRecord, CloseError> {
        let max = self.config.name_bytes_max;
        for bytes in [draft.topic.len(), draft.payload_type.len()] {
            if bytes == 0 || bytes > max {
                return Err(CloseError::NameLength { bytes, max });
            }
        }
        let mut builder = RecordBuilder::new(self.config.record_limits());
        builder.fill(draft);
        let ts_publish = self.clock.now();
        let tag = RecordTag { stamp: 0, ts_publish, topic_id: 0, type_id: 0 };
        Ok(InlineRecord {
            lines: builder.finish(tag)?.to_vec(),
            topic: draft.topic.to_owned(),
            payload_type: draft.payload_type.to_owned(),
        })
    }

    pub(super) fn wait_ended(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        self.halt.parking().wait_until(deadline, || self.gate.is_closed())
    }
}

/// What threaded and inline mode start from.
pub(super) struct Parts {
    pub(super) config: WriterConfig,
    pub(super) gate: RunGate,
    pub(super) halt: HaltSignal,
    pub(super) watermark: Watermark,
    pub(super) order_clock: OrderClock,
    pub(super) latest_entry: Option<LatestEntry>,
    pub(super) clock: Clock,
}

/// Also after a store panicked under the lock: whoever submitted has seen that, and the writer is left
/// in a state in which it refuses.
pub(crate) fn lock_inline(
    inline: &Mutex<InlineWriter>,
) -> crate::sync::MutexGuard<'_, InlineWriter> {
    inline.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
