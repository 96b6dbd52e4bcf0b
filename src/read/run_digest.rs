//! The digests of all frames of a run, in order, made by any number of threads.
//!
//! A frame is found through the store by the first `seq` it may have, and only a frame that has been read
//! tells where the next one begins. So that threads do not wait for each other's reads, the run is cut into
//! stretches of `seq`; each thread walks a stretch, and its digests wait until all before them have been
//! taken. The stretches touch and cover all that is possible, so no frame can lie between two threads.

use std::collections::VecDeque;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::frame_digest::{Digester, FrameDigest};
use super::index_check::RowSummer;
use crate::format::FrameView;
use crate::store::{ReadFault, RunReader};

/// Frames of the usual size in a stretch. The frame behind a stretch is read by two threads, so longer
/// is better; the digests of a stretch wait in memory, so shorter is.
const FRAMES_PER_STRETCH: u64 = 32;

/// What a walk over a stretch comes to.
enum Found {
    /// A frame, and its digest if it is in order.
    Frame { key: u64, digest: Option<FrameDigest> },
    /// The stretch has ended, and this is the next frame behind it.
    Beyond { key: u64, entries: u64 },
    /// The run has ended.
    End,
    /// The store cannot read on.
    Unreadable(ReadFault),
}

type Stretch = RangeInclusive<u64>;
type Visit<'a> = dyn FnMut(u64, Option<FrameDigest>) -> Result<(), ReadFault> + 'a;

/// Shows every frame's key, and its digest if the frame is in order, to `visit`: in the order of the keys,
/// on this thread, until there is no more or `visit` fails. Index rows are summed up by `summer`.
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
        // As many as the system lets us have.
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
    // The first stretch is empty in a sound run; the frame behind it tells how long the others should be.
    let mut next = Some(0_u64);
    let (mut entries_per_frame, mut under_way_max) = (0, 1);
    loop {
        while let Some(start) = next
            && under_way.len() < under_way_max
        {
            let end = start.saturating_add(FRAMES_PER_STRETCH * entries_per_frame);
            let (taker, digests) = bounded(FRAMES_PER_STRETCH as usize);
            if work.send((start..=end, taker)).is_err() {
                // All threads have panicked, which the scope they run in passes on.
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
                // Without a last word its thread has panicked, which the scope it runs in passes on.
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

/// A frame that only a walk comes past is lost to whoever reads by `seq`.
fn check_found(source: &dyn RunReader, first_seq: u64) -> Result<(), ReadFault> {
    if source.finds_frame(first_seq)? {
        return Ok(());
    }
    Err(ReadFault::unfindable_frame(first_seq))
}
