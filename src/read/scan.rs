use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::ReadError;
use super::entry::{EntryRef, Names, hashed_record, open_frame};
use crate::format::{BatchHasher, Frame};
use crate::model::{Entry, Hash};
use crate::store::{ReadFault, RunReader};

/// Which way a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the lowest `seq` up.
    Forward,
    /// From the highest `seq` down.
    Reverse,
}

/// Walks a range of entries. Holds one row of frames in memory.
///
/// A damaged or missing entry is an error in its place, and the scan goes on after it. If a sealed
/// run ends before the watermark in its manifest, the entries in between are missing. A damaged
/// frame ends the scan, and so do names that cannot be read. A forward scan with an open end can be
/// called again after it returned `None`, when more has become durable.
///
/// A scan inside a frame borrows that frame from the store. In a live run on redb, this keeps freed
/// pages from being reused, and the file grows. Take such a scan to its end, or drop it, before
/// waiting for long.
pub struct Scan {
    source: Arc<dyn RunReader>,
    seal: KnownSeal,
    /// The frame that the scan is in, and the hashes of its records.
    frame: Option<Frame>,
    /// Forwards, the frames behind it that came with it.
    behind: VecDeque<(u64, Bytes)>,
    hashes: Vec<Hash>,
    hasher: BatchHasher,
    names: Names,
    direction: Direction,
    /// What is left to return: first and last `seq`.
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
            frame: None,
            behind: VecDeque::new(),
            hashes: Vec::new(),
            hasher: BatchHasher::default(),
            names: Names::default(),
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
                // Release the frame while the caller waits for more: a borrowed frame keeps pages
                // of a live run from being reused.
                self.frame = None;
                self.behind.clear();
                None
            }
            Ok(Some(seq)) => {
                let Self { source, frame, hashes, names, .. } = self;
                let entry = named_entry(frame.as_ref(), seq, hashes, names, &**source);
                // Ends the scan after names that cannot be read. To try again for each entry would
                // take seconds in a damaged file.
                self.ended = matches!(entry, Err(ReadError::Store(_)));
                Some(entry)
            }
            Err(error) => {
                self.ended = !matches!(error, ReadError::Gap { .. });
                Some(Err(error))
            }
        }
    }

    /// Loads the frame with the next entry, and takes the entry off the range. `None` at the end of
    /// the log.
    fn advance(&mut self) -> Result<Option<u64>, ReadError> {
        let next = match self.direction {
            Direction::Forward => self.load_lowest()?,
            Direction::Reverse => self.load_highest()?,
        };
        if let Some(seq) = next {
            match self.direction {
                Direction::Forward => self.from = seq + 1,
                Direction::Reverse => self.to = seq - 1,
            }
        }
        Ok(next)
    }

    fn is_loaded(&self, seq: u64) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.contains(seq))
    }

    /// The first entry of the range, after loading its frame. `None` if the log ends before it.
    fn load_lowest(&mut self) -> Result<Option<u64>, ReadError> {
        let seq = self.from;
        if self.is_loaded(seq) {
            return Ok(Some(seq));
        }
        self.load_around(seq)?;
        if self.is_loaded(seq) {
            return Ok(Some(seq));
        }
        let Some(last) = Beyond::look(&*self.source, &self.seal, seq)?.last_missing() else {
            return Ok(None);
        };
        // A live run may have grown since the first look. Frames are committed in order, and the
        // seal comes after them. So an entry before an existing frame, or before the end of a
        // sealed run, is missing if it is not found now.
        self.load_around(seq)?;
        if self.is_loaded(seq) {
            return Ok(Some(seq));
        }
        if last < seq {
            // Nothing is missing, so there is no place to go on from.
            return Err(ReadFault::unfindable_frame(seq).into());
        }
        let to = self.to.min(last);
        self.from = to.saturating_add(1);
        Err(ReadError::Gap { from: seq, to })
    }

    /// The last entry of the range or of the log, whichever is earlier, after loading its frame.
    /// `None` if the log begins after the range.
    fn load_highest(&mut self) -> Result<Option<u64>, ReadError> {
        let seq = self.to;
        if self.is_loaded(seq) {
            return Ok(Some(seq));
        }
        let came_from_later = self.frame.is_some();
        self.load_around(seq)?;
        if self.is_loaded(seq) {
            return Ok(Some(seq));
        }
        // An open end means the watermark. Only the last frame tells it.
        let last = self.frame.as_ref().map(Frame::last_seq).filter(|last| *last < seq).unwrap_or(0);
        self.to = last;
        let from = self.from.max(last + 1);
        if came_from_later {
            return Err(ReadError::Gap { from, to: seq });
        }
        match Beyond::look(&*self.source, &self.seal, last + 1)? {
            Beyond::Frame(next) if next > seq => Err(ReadError::Gap { from, to: seq }),
            // Either the frame was committed after the first look, and this scan began before. Or
            // no search finds it now either.
            Beyond::Frame(next) if !self.finds(next)? => {
                Err(ReadFault::unfindable_frame(next).into())
            }
            Beyond::Lost(end) if from <= end => Err(ReadError::Gap { from, to: end.min(seq) }),
            // Nothing of the range is missing after the last frame.
            Beyond::Frame(_) | Beyond::Lost(_) | Beyond::End => {
                Ok((self.from <= last).then_some(last))
            }
        }
    }

    /// True if a search finds the frame that begins at `first_seq`.
    fn finds(&self, first_seq: u64) -> Result<bool, ReadError> {
        let found = self.source.frame_at_or_before(first_seq)?;
        Ok(found.is_some_and(|(found, _)| found == first_seq))
    }

    /// Loads the last frame that begins at or before `seq`, if there is one.
    fn load_around(&mut self, seq: u64) -> Result<(), ReadError> {
        if let Some((first_seq, bytes)) = self.behind.pop_front()
            && first_seq == seq
        {
            return self.load(first_seq, bytes);
        }
        self.behind.clear();
        if let Some((first_seq, bytes)) = self.source.frame_at_or_before(seq)? {
            self.load(first_seq, bytes)?;
            if self.direction == Direction::Forward {
                self.behind = self.source.frames_behind(first_seq)?.into();
            }
        }
        Ok(())
    }

    /// Opens a frame and hashes its records.
    fn load(&mut self, first_seq: u64, bytes: Bytes) -> Result<(), ReadError> {
        let frame = open_frame(first_seq, bytes)?;
        frame.view().hash_records(&mut self.hasher, &mut self.hashes);
        self.frame = Some(frame);
        Ok(())
    }
}

impl Iterator for Scan {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_ref().map(|entry| entry.map(|entry| entry.to_entry()))
    }
}

/// The entry `seq` of the loaded frame.
fn named_entry<'a>(
    frame: Option<&'a Frame>,
    seq: u64,
    hashes: &[Hash],
    names: &'a mut Names,
    source: &dyn RunReader,
) -> Result<EntryRef<'a>, ReadError> {
    let frame = frame.ok_or(ReadError::Gap { from: seq, to: seq })?;
    let (record, entry_hash) = hashed_record(frame, seq, hashes)?;
    names.load(source, record.name_id_max())?;
    EntryRef::new(record, names, entry_hash)
}

/// What the log has from a place on where no entry was found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Beyond {
    /// A frame that begins with this entry.
    Frame(u64),
    /// No frame, though the run was sealed with entries up to this one.
    Lost(u64),
    /// Nothing: the log ends here.
    End,
}

impl Beyond {
    /// Looks for what comes at or after `seq`.
    pub(super) fn look(
        source: &dyn RunReader,
        seal: &KnownSeal,
        seq: u64,
    ) -> Result<Self, ReadFault> {
        let next_frame = || {
            let frame = source.frame_at_or_after(seq)?;
            Ok::<_, ReadFault>(frame.map(|(first_seq, _)| Self::Frame(first_seq)))
        };
        if let Some(frame) = next_frame()? {
            return Ok(frame);
        }
        let Some(last) = seal.watermark(source)?.filter(|last| *last >= seq) else {
            return Ok(Self::End);
        };
        // The run may have been sealed just now, with frames that were not there a moment ago.
        Ok(next_frame()?.unwrap_or(Self::Lost(last)))
    }

    /// The last missing entry, if the entry at the place is missing. If a frame follows, this is
    /// the one before it. `None` if nothing is missing.
    pub(super) fn last_missing(self) -> Option<u64> {
        match self {
            Self::Frame(first_seq) => Some(first_seq.saturating_sub(1)),
            Self::Lost(last) => Some(last),
            Self::End => None,
        }
    }
}

/// Where a run was sealed, if it was sealed at the first call. The manifest is read once: this
/// process writes a run that was live then, so nothing of it gets lost.
#[derive(Debug, Default)]
pub(super) struct KnownSeal(OnceLock<Option<u64>>);

impl KnownSeal {
    fn watermark(&self, source: &dyn RunReader) -> Result<Option<u64>, ReadFault> {
        if let Some(known) = self.0.get() {
            return Ok(*known);
        }
        let found = sealed_watermark(source)?;
        Ok(*self.0.get_or_init(|| found))
    }
}

/// The last entry of a sealed run, by its manifest; `None` if the run is not sealed.
///
/// The seal is committed after the last frame. So once it is there, an entry that is not found is
/// missing.
pub(super) fn sealed_watermark(source: &dyn RunReader) -> Result<Option<u64>, ReadFault> {
    let manifest = source.manifest()?;
    // No entry has the largest number.
    let last = manifest.high_watermark.min(u64::MAX - 1);
    Ok(manifest.status.is_sealed().then_some(last))
}
