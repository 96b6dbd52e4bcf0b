//! Makes the digests of all frames of a run, in order, on any number of threads.
//!
//! The store finds a frame by the first `seq` that it may have, and a frame has to be read to know
//! where the next one begins. To keep threads from waiting for each other's reads, the run is cut
//! into ranges of `seq`. Each thread walks a range. Its digests wait until all digests before them
//! are taken. The ranges are adjacent and cover all numbers, so no frame is missed between two
//! threads.

use std::collections::VecDeque;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::thread;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::index_check::{RowSum, RowSummer};
use crate::format::{BatchHasher, FrameView};
use crate::model::{Hash, UnixNanos};
use crate::store::{ReadFault, RunReader};

/// What a sound frame adds to its run. It follows from the frame alone, so any thread can make it.
#[derive(Debug)]
pub(super) struct FrameDigest {
    pub(super) count: u64,
    pub(super) previous_root: Hash,
    pub(super) root: Hash,
    pub(super) names: Vec<String>,
    /// The largest number of a name in the entries.
    pub(super) name_id_max: u32,
    pub(super) ts_init_max: UnixNanos,
    /// The sum of the index rows of its entries.
    pub(super) keys: RowSum,
}

/// Makes digests in buffers that it uses again.
#[derive(Debug)]
pub(super) struct Digester {
    hasher: BatchHasher,
    hashes: Vec<Hash>,
    summer: RowSummer,
}

impl Digester {
    /// A digester that sums up index rows by `summer`.
    pub(super) fn new(summer: RowSummer) -> Self {
        Self { hasher: BatchHasher::default(), hashes: Vec::new(), summer }
    }

    /// The digest of the frame stored under `key`, after a check of every hash in it. `None` if
    /// anything is wrong.
    pub(super) fn digest(&mut self, key: u64, bytes: &Bytes) -> Option<FrameDigest> {
        let frame = FrameView::parse(bytes).ok()?;
        if frame.first_seq() != key {
            return None;
        }
        let (mut name_id_max, mut ts_init_max) = (0, UnixNanos::default());
        let mut in_place = true;
        let Self { hasher, hashes, summer } = self;
        let is_sound = frame.is_sound(hasher, hashes, |index, record| {
            in_place &= record.seq() == key + index as u64;
            name_id_max = name_id_max.max(record.name_id_max());
            ts_init_max = ts_init_max.max(record.ts_init());
            summer.entry(record);
        });
        // Done for a damaged frame too, so that the next one begins with an empty sum.
        let keys = summer.frame_ends();
        (is_sound && in_place).then(|| FrameDigest {
            count: frame.count() as u64,
            previous_root: frame.previous_root(),
            root: frame.root(),
            names: frame.names().map(str::to_owned).collect(),
            name_id_max,
            ts_init_max,
            keys,
        })
    }
}

/// Frames of usual size in a range. Longer is better because two threads read the frame after a
/// range. Shorter is better because the digests of a range wait in memory.
const FRAMES_PER_RANGE: u64 = 256;

/// The next thing that a walk over a range meets.
enum Step {
    /// A frame, and its digest if it is in order.
    Frame { key: u64, digest: Option<FrameDigest> },
    /// The first frame after the range.
    Beyond { key: u64, entries: u64 },
    /// The run has ended.
    End,
    /// The store cannot read on.
    Unreadable(ReadFault),
}

type SeqRange = RangeInclusive<u64>;
type Visit<'a> = dyn FnMut(u64, Option<FrameDigest>) -> Result<(), ReadFault> + 'a;

/// Calls `visit` with the key of every frame, and its digest if the frame is sound. Calls it in the
/// order of the keys, on this thread, until the frames end or it fails. `summer` sums up the index
/// rows.
pub(super) fn digest_run(
    source: &dyn RunReader,
    threads: NonZero<usize>,
    summer: &RowSummer,
    visit: &mut Visit<'_>,
) -> Result<(), ReadFault> {
    if threads.get() == 1 {
        return digest_here(source, summer, visit);
    }
    thread::scope(|scope| {
        let (work, ranges) = bounded::<(SeqRange, Sender<Step>)>(2 * threads.get());
        let spawn = || {
            let (ranges, summer) = (ranges.clone(), summer.clone());
            thread::Builder::new().name("tapline-digest".to_owned()).spawn_scoped(
                scope,
                move || {
                    let mut digester = Digester::new(summer);
                    for (range, taker) in ranges {
                        digest_range(source, &range, &mut digester, |step| {
                            taker.send(step).is_ok()
                        });
                    }
                },
            )
        };
        // Use as many threads as the system allows.
        let started = (0..threads.get()).map_while(|_| spawn().ok()).count();
        drop(ranges);
        if started == 0 {
            return digest_here(source, summer, visit);
        }
        // When this returns, its channels close, and the threads end.
        digest_on(started, &work, visit)
    })
}

/// Digests the run on this thread alone.
fn digest_here(
    source: &dyn RunReader,
    summer: &RowSummer,
    visit: &mut Visit<'_>,
) -> Result<(), ReadFault> {
    let mut result = Ok(());
    digest_range(source, &(0..=u64::MAX), &mut Digester::new(summer.clone()), |step| {
        match step {
            Step::Frame { key, digest } => result = visit(key, digest),
            Step::Unreadable(error) => result = Err(error),
            Step::Beyond { .. } | Step::End => {}
        }
        result.is_ok()
    });
    result
}

/// Hands ranges to `threads` threads and takes their digests, both in the order of the run.
fn digest_on(
    threads: usize,
    work: &Sender<(SeqRange, Sender<Step>)>,
    visit: &mut Visit<'_>,
) -> Result<(), ReadFault> {
    let mut under_way: VecDeque<Receiver<Step>> = VecDeque::new();
    // The first range is empty in a sound run. The frame after it tells how long the others should
    // be.
    let mut next = Some(0_u64);
    let (mut entries_per_frame, mut under_way_max) = (0, 1);
    loop {
        while let Some(start) = next
            && under_way.len() < under_way_max
        {
            let end = start.saturating_add(FRAMES_PER_RANGE * entries_per_frame);
            let (taker, digests) = bounded(FRAMES_PER_RANGE as usize);
            if work.send((start..=end, taker)).is_err() {
                // All threads have panicked. Their scope passes the panic on.
                return Ok(());
            }
            under_way.push_back(digests);
            next = end.checked_add(1);
        }
        let Some(digests) = under_way.pop_front() else {
            return Ok(());
        };
        let mut entries_max = 1;
        loop {
            match digests.recv() {
                Ok(Step::Frame { key, digest }) => {
                    let count = digest.as_ref().map_or(1, |digest| digest.count);
                    entries_max = entries_max.max(count);
                    visit(key, digest)?;
                }
                Ok(Step::Beyond { key, entries }) => {
                    entries_max = entries_max.max(entries);
                    // Skips to that frame, because nothing lies before it.
                    next = next.map(|next| next.max(key));
                    break;
                }
                Ok(Step::Unreadable(error)) => return Err(error),
                // If the channel closed early, its thread has panicked. The scope passes the panic
                // on.
                Ok(Step::End) | Err(_) => return Ok(()),
            }
        }
        (entries_per_frame, under_way_max) = (entries_max, 2 * threads);
    }
}

/// Walks the frames stored under the keys of `range`, until `show` returns false.
fn digest_range(
    source: &dyn RunReader,
    range: &SeqRange,
    digester: &mut Digester,
    mut show: impl FnMut(Step) -> bool,
) {
    let mut from = Some(*range.start());
    // Looks for frames by the key they are stored under, so that none is missed.
    while let Some(at) = from {
        let frames = match source.frame_at_or_after(at) {
            Err(error) => Err(Step::Unreadable(error)),
            Ok(None) => Err(Step::End),
            Ok(Some((key, bytes))) if range.contains(&key) => {
                with_those_behind(source, key, bytes).map_err(Step::Unreadable)
            }
            Ok(Some((key, bytes))) => {
                let entries = FrameView::parse(&bytes).map_or(1, |frame| frame.count() as u64);
                Err(Step::Beyond { key, entries })
            }
        };
        let frames = match frames {
            Ok(frames) => frames,
            Err(last) => {
                show(last);
                return;
            }
        };
        for (key, bytes) in frames.into_iter().take_while(|(key, _)| range.contains(key)) {
            from = key.checked_add(1);
            if !show(Step::Frame { key, digest: digester.digest(key, &bytes) }) {
                return;
            }
        }
    }
    show(Step::End);
}

/// A frame and those that the store has in one piece with it. Fails if a search does not find it.
fn with_those_behind(
    source: &dyn RunReader,
    first_seq: u64,
    bytes: Bytes,
) -> Result<Vec<(u64, Bytes)>, ReadFault> {
    check_found(source, first_seq)?;
    let mut frames = vec![(first_seq, bytes)];
    frames.extend(source.frames_behind(first_seq)?);
    Ok(frames)
}

/// Fails if a search does not find the frame. Readers search by `seq`, so such a frame is lost for
/// them.
fn check_found(source: &dyn RunReader, first_seq: u64) -> Result<(), ReadFault> {
    if source.finds_frame(first_seq)? {
        return Ok(());
    }
    Err(ReadFault::unfindable_frame(first_seq))
}
