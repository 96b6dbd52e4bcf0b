//! The digests of all frames of a run, in order, made by any number of threads.
//!
//! The store finds a frame by the first `seq` it may have, and only a frame that was read tells
//! where the next one begins. So that threads do not wait for each other's reads, the run is cut
//! into stretches of `seq`. Each thread walks a stretch, and its digests wait until all before them
//! have been taken. The stretches touch each other and cover all numbers, so no frame can lie
//! between two threads.

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

/// What a frame adds to its run: all that is left to know of a frame that is in order by itself. It
/// follows from the frame alone, so any thread can make it.
#[derive(Debug)]
pub(super) struct FrameDigest {
    pub(super) count: u64,
    pub(super) previous_root: Hash,
    pub(super) root: Hash,
    pub(super) names: Vec<String>,
    /// The largest number of a name that an entry uses.
    pub(super) name_id_max: u32,
    pub(super) ts_init_max: UnixNanos,
    /// The index rows that follow from its entries.
    pub(super) keys: RowSum,
}

/// Makes digests, in buffers that are used again.
#[derive(Debug)]
pub(super) struct Digester {
    lanes: BatchHasher,
    hashes: Vec<Hash>,
    summer: RowSummer,
}

impl Digester {
    /// One that sums up index rows by `summer`.
    pub(super) fn new(summer: RowSummer) -> Self {
        Self { lanes: BatchHasher::default(), hashes: Vec::new(), summer }
    }

    /// The digest of the frame stored under `key`, once every hash in it is checked. `None` if
    /// anything in it is wrong.
    pub(super) fn digest(&mut self, key: u64, bytes: &Bytes) -> Option<FrameDigest> {
        let frame = FrameView::parse(bytes).ok()?;
        if frame.first_seq() != key {
            return None;
        }
        let (mut name_id_max, mut ts_init_max) = (0, UnixNanos::default());
        let mut in_place = true;
        let Self { lanes, hashes, summer } = self;
        let is_sound = frame.is_sound(lanes, hashes, |index, record| {
            in_place &= record.seq() == key + index as u64;
            name_id_max = name_id_max.max(record.name_id_max());
            ts_init_max = ts_init_max.max(record.ts_init());
            summer.entry(record);
        });
        // Also for a frame that is not in order, so that the next one begins anew.
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

/// Frames of the usual size in a stretch. The frame after a stretch is read by two threads, so
/// longer is better. The digests of a stretch wait in memory, so shorter is better.
const FRAMES_PER_STRETCH: u64 = 32;

/// What a walk over a stretch comes to next.
enum Found {
    /// A frame, and its digest if it is in order.
    Frame { key: u64, digest: Option<FrameDigest> },
    /// The stretch has ended, and this is the next frame after it.
    Beyond { key: u64, entries: u64 },
    /// The run has ended.
    End,
    /// The store cannot read on.
    Unreadable(ReadFault),
}

type Stretch = RangeInclusive<u64>;
type Visit<'a> = dyn FnMut(u64, Option<FrameDigest>) -> Result<(), ReadFault> + 'a;

/// Shows every frame's key to `visit`, with its digest if the frame is in order. `visit` is called
/// in the order of the keys, on this thread, until there is no more frame or it fails. `summer`
/// sums up the index rows.
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
        let (work, stretches) = bounded::<(Stretch, Sender<Found>)>(2 * threads.get());
        let spawn = || {
            let (stretches, summer) = (stretches.clone(), summer.clone());
            thread::Builder::new().name("tapline-digest".to_owned()).spawn_scoped(
                scope,
                move || {
                    let mut digester = Digester::new(summer);
                    for (stretch, taker) in stretches {
                        digest_stretch(source, &stretch, &mut digester, |found| {
                            taker.send(found).is_ok()
                        });
                    }
                },
            )
        };
        // As many threads as the system lets us have.
        let started = (0..threads.get()).map_while(|_| spawn().ok()).count();
        drop(stretches);
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
    digest_stretch(source, &(0..=u64::MAX), &mut Digester::new(summer.clone()), |found| {
        match found {
            Found::Frame { key, digest } => result = visit(key, digest),
            Found::Unreadable(error) => result = Err(error),
            Found::Beyond { .. } | Found::End => {}
        }
        result.is_ok()
    });
    result
}

/// Hands stretches to `threads` threads and takes their digests, both in the order of the run.
fn digest_on(
    threads: usize,
    work: &Sender<(Stretch, Sender<Found>)>,
    visit: &mut Visit<'_>,
) -> Result<(), ReadFault> {
    let mut under_way: VecDeque<Receiver<Found>> = VecDeque::new();
    // The first stretch is empty in a sound run. The frame after it tells how long the others
    // should be.
    let mut next = Some(0_u64);
    let (mut entries_per_frame, mut under_way_max) = (0, 1);
    loop {
        while let Some(start) = next
            && under_way.len() < under_way_max
        {
            let end = start.saturating_add(FRAMES_PER_STRETCH * entries_per_frame);
            let (taker, digests) = bounded(FRAMES_PER_STRETCH as usize);
            if work.send((start..=end, taker)).is_err() {
                // All threads have panicked; the scope they run in passes the panic on.
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
                Ok(Found::Frame { key, digest }) => {
                    let count = digest.as_ref().map_or(1, |digest| digest.count);
                    entries_max = entries_max.max(count);
                    visit(key, digest)?;
                }
                Ok(Found::Beyond { key, entries }) => {
                    entries_max = entries_max.max(entries);
                    // However far away it is: nothing lies before it.
                    next = next.map(|next| next.max(key));
                    break;
                }
                Ok(Found::Unreadable(error)) => return Err(error),
                // A channel that closed early: its thread has panicked, and the scope passes it on.
                Ok(Found::End) | Err(_) => return Ok(()),
            }
        }
        (entries_per_frame, under_way_max) = (entries_max, 2 * threads);
    }
}

/// Walks the frames stored under the keys of `stretch`, as long as `show` wants more.
fn digest_stretch(
    source: &dyn RunReader,
    stretch: &Stretch,
    digester: &mut Digester,
    mut show: impl FnMut(Found) -> bool,
) {
    let mut from = Some(*stretch.start());
    // Frames are asked for by the key they are stored under, so that none is missed.
    while let Some(at) = from {
        let found = match source.frame_at_or_after(at) {
            Err(error) => Found::Unreadable(error),
            Ok(None) => Found::End,
            Ok(Some((key, bytes))) if stretch.contains(&key) => match check_found(source, key) {
                Ok(()) => {
                    from = key.checked_add(1);
                    Found::Frame { key, digest: digester.digest(key, &bytes) }
                }
                Err(error) => Found::Unreadable(error),
            },
            Ok(Some((key, bytes))) => {
                let entries = FrameView::parse(&bytes).map_or(1, |frame| frame.count() as u64);
                Found::Beyond { key, entries }
            }
        };
        let is_last = !matches!(found, Found::Frame { .. });
        if !show(found) || is_last {
            return;
        }
    }
    show(Found::End);
}

/// A frame that only a walk comes past is lost for whoever reads by `seq`.
fn check_found(source: &dyn RunReader, first_seq: u64) -> Result<(), ReadFault> {
    if source.finds_frame(first_seq)? {
        return Ok(());
    }
    Err(ReadFault::unfindable_frame(first_seq))
}
