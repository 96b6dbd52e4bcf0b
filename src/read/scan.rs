use std::sync::Arc;

use super::ReadError;
use super::behind::{Behind, KnownSeal};
use super::entry_ref::EntryRef;
use super::frame_cursor::FrameCursor;
use crate::model::Entry;
use crate::store::{ReadFault, RunReader};

/// Which way a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the lowest `seq` up.
    Forward,
    /// From the highest `seq` down.
    Reverse,
}

/// Walks a range of entries in the memory of one frame.
///
/// A damaged or missing entry is an error in its place; the scan then goes on behind it. Entries are
/// missing, too, where a sealed run ends before the watermark in its manifest. A damaged frame ends the
/// scan, and so do names that cannot be read. A forward scan with an open end that has returned `None`
/// can be asked again when more has become durable.
///
/// A scan that stands amid a frame holds that frame on loan. Of a live run on redb this keeps pages that are
/// given up meanwhile from being used again, and the file grows by them: take such a scan to its end, or
/// drop it, before waiting for long.
pub struct Scan {
    source: Arc<dyn RunReader>,
    seal: KnownSeal,
    cursor: FrameCursor,
    direction: Direction,
    /// What is still to be returned: first and last `seq`.
    from: u64,
    to: u64,
    ended: bool,
}

impl Scan {
    pub(super) fn new(
        source: Arc<dyn RunReader>,
        direction: Direction,
        from: u64,
        to: u64,
    ) -> Self {
        Self {
            source,
            seal: KnownSeal::default(),
            cursor: FrameCursor::default(),
            direction,
            from: from.max(1),
            to,
            ended: false,
        }
    }

    /// The next entry, borrowed until the next call.
    pub fn next_ref(&mut self) -> Option<Result<EntryRef<'_>, ReadError>> {
        if self.ended || self.from > self.to {
            return None;
        }
        match self.advance() {
            Ok(None) => {
                // Not kept while a caller waits for more: a frame that is lent out keeps pages of a live
                // run from being used again.
                self.cursor.release();
                None
            }
            Ok(Some(seq)) => {
                let entry = self.cursor.entry(seq, &*self.source);
                // Names that cannot be read once would be asked for again for each entry: in a damaged file, for seconds.
                self.ended = matches!(entry, Err(ReadError::Store(_)));
                Some(entry)
            }
            Err(error) => {
                self.ended = !matches!(error, ReadError::Gap { .. });
                Some(Err(error))
            }
        }
    }

    /// Chooses the next `seq`, loads its frame, and takes it off the range.
    fn advance(&mut self) -> Result<Option<u64>, ReadError> {
        match self.direction {
            Direction::Forward => {
                let seq = self.from;
                if !self.is_loaded(seq) && !self.load_forward(seq)? {
                    return Ok(None);
                }
                self.from += 1;
                Ok(Some(seq))
            }
            Direction::Reverse => {
                let seq = self.to;
                if !self.is_loaded(seq) && !self.load_reverse(seq)? {
                    return Ok(None);
                }
                // An open end means the watermark, which only the last frame tells.
                let seq = self.to;
                self.to -= 1;
                Ok(Some(seq))
            }
        }
    }

    fn is_loaded(&self, seq: u64) -> bool {
        self.cursor.range().is_some_and(|(first, last)| (first..=last).contains(&seq))
    }

    /// Loads the frame with `seq`. False when the log ends before it.
    fn load_forward(&mut self, seq: u64) -> Result<bool, ReadError> {
        if self.load_around(seq)? {
            return Ok(true);
        }
        let Some(last) = Behind::look(&*self.source, &self.seal, seq)?.last_missing() else {
            return Ok(false);
        };
        // A live run may have grown since the first look. Frames are committed in order, and the seal
        // behind them, so what lies before one that is there, or before the end of a sealed run, and is not
        // found now, is missing.
        if self.load_around(seq)? {
            return Ok(true);
        }
        if last < seq {
            // Nothing is missing, so there is nothing to go on behind.
            return Err(ReadFault::unfindable_frame(seq).into());
        }
        let to = self.to.min(last);
        self.from = to.saturating_add(1);
        Err(ReadError::Gap { from: seq, to })
    }

    /// Loads the frame with `seq`, or, behind the end of the log, with its last entry. False when
    /// the log begins after it.
    fn load_reverse(&mut self, seq: u64) -> Result<bool, ReadError> {
        let came_from_later = self.cursor.range().is_some();
        if self.load_around(seq)? {
            return Ok(true);
        }
        let last = match self.cursor.range() {
            Some((_, last)) if last < seq => last,
            _ => 0,
        };
        self.to = last;
        let from = self.from.max(last + 1);
        if came_from_later {
            return Err(ReadError::Gap { from, to: seq });
        }
        match Behind::look(&*self.source, &self.seal, last + 1)? {
            Behind::Frame(next) if next > seq => Err(ReadError::Gap { from, to: seq }),
            // Committed since the first look, and this scan began before it; or it would not be found now either.
            Behind::Frame(next) if !self.finds(next)? => {
                Err(ReadFault::unfindable_frame(next).into())
            }
            Behind::Lost(end) if from <= end => Err(ReadError::Gap { from, to: end.min(seq) }),
            // Nothing behind the last frame is missing, or nothing that was asked for.
            Behind::Frame(_) | Behind::Lost(_) | Behind::End => Ok(self.from <= self.to),
        }
    }

    /// Whether a search comes to the frame that begins at `first_seq`.
    fn finds(&self, first_seq: u64) -> Result<bool, ReadError> {
        let found = self.source.frame_at_or_before(first_seq)?;
        Ok(found.is_some_and(|(found, _)| found == first_seq))
    }

    /// Loads the last frame that begins at or before `seq`, and says whether it holds `seq`.
    fn load_around(&mut self, seq: u64) -> Result<bool, ReadError> {
        let Some((first_seq, bytes)) = self.source.frame_at_or_before(seq)? else {
            return Ok(false);
        };
        self.cursor.load(first_seq, bytes)?;
        Ok(self.is_loaded(seq))
    }
}

impl Iterator for Scan {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_ref().map(|entry| entry.map(|entry| entry.to_entry()))
    }
}
