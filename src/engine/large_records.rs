//! Records that are larger than a ring. Only a line of such a record goes through the ring, in its
//! place among the others. The record itself goes beside it.
//!
//! The producer hands the record over before it pushes the line. So whoever sees the line in the
//! ring finds the record here.

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::format::Line;

/// So many records of one producer wait for the writer. A further one has to wait, as for a full
/// ring, so that memory is bounded.
const WAITING_MAX: usize = 1;

/// The producer's end.
#[derive(Debug)]
pub(super) struct LargeRecordSender(Sender<Box<[Line]>>);

/// The writer's end.
#[derive(Debug)]
pub(super) struct LargeRecords {
    from: Receiver<Box<[Line]>>,
    /// The next one, once the writer has met its line.
    front: Option<Box<[Line]>>,
}

pub(super) fn large_records() -> (LargeRecordSender, LargeRecords) {
    let (sender, from) = bounded(WAITING_MAX);
    (LargeRecordSender(sender), LargeRecords { from, front: None })
}

impl LargeRecordSender {
    /// Hands a record over, or gives it back while another one waits.
    pub(super) fn try_send(&self, record: Box<[Line]>) -> Result<(), Box<[Line]>> {
        self.0.try_send(record).map_err(crossbeam_channel::TrySendError::into_inner)
    }
}

impl LargeRecords {
    /// The record whose line the writer has met.
    ///
    /// # Panics
    ///
    /// If there is none: a line goes into the ring only behind its record.
    pub(super) fn front(&mut self) -> &[Line] {
        let Self { from, front } = self;
        front.get_or_insert_with(|| from.try_recv().expect("handed over before its line"))
    }

    /// The front record is taken.
    pub(super) fn pop(&mut self) {
        self.front = None;
    }
}
