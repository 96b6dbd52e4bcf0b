//! Reading a run while it is recorded.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tapline::internals::run_path;
use tapline::read::{Direction, EventStoreReader};
use tapline::store::DiskMode::{Buffered, Direct};
use tapline::store::{EventStore, ReadFault, RunReader, open_sealed};
use tapline::{Entry, RunStatus};

use crate::support::doctored::Doctored;
use crate::support::message::messages;
use crate::support::{FrameMaker, Place, assert_matches, instance, manifest, run_id};

fn seqs<E: std::fmt::Debug>(entries: impl Iterator<Item = Result<Entry, E>>) -> Vec<u64> {
    entries.map(|entry| entry.unwrap().seq).collect()
}

#[test]
fn an_open_scan_continues_with_appended_entries() {
    for place in Place::all() {
        let mut store = place.open(1);
        let reader = EventStoreReader::new(store.reader().unwrap());
        let mut scan = reader.scan(1, u64::MAX, Direction::Forward);
        assert!(scan.next().is_none());

        let mut maker = FrameMaker::new();
        for (from, to) in [(1, 1), (2, 4), (5, 20)] {
            store.append(&[maker.frame(&messages(from, to))]).unwrap();
            assert_eq!(seqs(&mut scan), (from..=to).collect::<Vec<_>>());
            assert_eq!(reader.watermark().unwrap(), to);
            assert!(scan.next().is_none());
        }
        store.seal(RunStatus::Ended, None).unwrap();
        assert!(scan.next().is_none());
    }
}

#[test]
fn an_open_scan_learns_later_names() {
    let mut store = Place::memory().open(1);
    let reader = EventStoreReader::new(store.reader().unwrap());
    let mut scan = reader.scan(1, u64::MAX, Direction::Forward);
    let mut maker = FrameMaker::new();
    for name in ["a", "b", "c"] {
        let message = crate::support::Message::new(name, "T", 0, b"");
        store.append(&[maker.frame(&[message])]).unwrap();
        assert_eq!(scan.next().unwrap().unwrap().topic, name);
    }
}

/// A store whose run grows by a frame of `entries` after each look of its reader, `frames` times.
fn growing(frames: u64, entries: u64) -> (Arc<Mutex<Box<dyn EventStore>>>, EventStoreReader) {
    let mut store = Place::memory().open(1);
    let mut maker = FrameMaker::new();
    maker.append_all(&mut *store, &[messages(1, 3)]);
    let source = store.reader().unwrap();
    let store = Arc::new(Mutex::new(store));
    let (grown, mut left) = (Arc::clone(&store), frames);
    let meanwhile = move || {
        let mut store = grown.lock().unwrap();
        for _ in 0..std::mem::take(&mut left).min(frames) {
            let next = store.tail().unwrap().watermark + 1;
            store.append(&[maker.frame(&messages(next, next + entries - 1))]).unwrap();
        }
    };
    (store, EventStoreReader::new(Doctored::growing(source, meanwhile)))
}

/// Entries that are committed between two looks at the store are not missing.
#[test]
fn a_growing_run_gives_a_scan_no_gap() {
    for (frames, entries) in [(1, 1), (1, 3), (2, 1), (3, 2)] {
        let end = 3 + frames * entries;
        for from in 1..=end {
            let (_store, reader) = growing(frames, entries);
            let mut scan = reader.scan(from, u64::MAX, Direction::Forward);
            let mut read = seqs(&mut scan);
            read.extend(seqs(&mut scan));
            assert_eq!(read, (from..=end).collect::<Vec<_>>(), "{frames} of {entries}");
        }
    }
}

#[test]
fn a_reverse_scan_of_a_growing_run_is_whole() {
    for (frames, entries) in [(1, 1), (1, 3), (2, 1), (3, 2)] {
        for to in [4, 5, u64::MAX] {
            let (_store, reader) = growing(frames, entries);
            let read = seqs(reader.scan(1, to, Direction::Reverse));
            let first = read[0];
            assert!((3..=to.min(3 + frames * entries)).contains(&first), "{read:?}");
            assert_eq!(read, (1..=first).rev().collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_growing_run_gives_a_read_no_gap() {
    for (frames, entries) in [(1, 1), (1, 3), (2, 1), (3, 2)] {
        for seq in 1..=3 + frames * entries {
            let (_store, reader) = growing(frames, entries);
            let read = reader.read(seq).unwrap();
            assert!(read.is_none_or(|entry| entry.seq == seq));
        }
    }
}

/// A store whose run gets its last three entries and is sealed after the reader's look number
/// `look`, from 0.
fn ending_after(look: u32) -> EventStoreReader {
    let mut store = Place::memory().open(1);
    let mut maker = FrameMaker::new();
    maker.append_all(&mut *store, &[messages(1, 3)]);
    let source = store.reader().unwrap();
    let mut looks = 0;
    let meanwhile = move || {
        if looks == look {
            store.append(&[maker.frame(&messages(4, 6))]).unwrap();
            store.seal(RunStatus::Ended, None).unwrap();
        }
        looks += 1;
    };
    EventStoreReader::new(Doctored::growing(source, meanwhile))
}

/// The manifest says where a sealed run ends. Entries that an earlier look did not find may be
/// there by then.
#[test]
fn sealing_hides_nothing_from_a_reader() {
    for look in 0..8 {
        for from in 1..=7 {
            let reader = ending_after(look);
            let mut scan = reader.scan(from, u64::MAX, Direction::Forward);
            let read: Vec<u64> = (0..10).flat_map(|_| seqs(&mut scan)).collect();
            assert_eq!(read, (from..=6).collect::<Vec<_>>(), "look {look}");
        }
        for to in [4, 6, 7, u64::MAX] {
            let read = seqs(ending_after(look).scan(1, to, Direction::Reverse));
            assert!([3, to.min(6)].contains(&read[0]), "{read:?}");
            assert_eq!(read, (1..=read[0]).rev().collect::<Vec<_>>());
        }
        for seq in 1..=7 {
            let reader = ending_after(look);
            let read: Vec<_> = (0..10).map(|_| reader.read(seq).unwrap()).collect();
            assert!(read.iter().flatten().all(|entry| entry.seq == seq));
            assert_eq!(read[9].is_some(), seq <= 6, "look {look}");
        }
    }
}

/// A run of 300 entries that is being recorded.
fn recording(place: &Place) -> Box<dyn EventStore> {
    let mut store = place.open(1);
    let frames: Vec<_> = (0..30).map(|nth| messages(10 * nth + 1, 10 * nth + 10)).collect();
    FrameMaker::new().append_all(&mut *store, &frames);
    store
}

#[test]
fn a_reader_held_over_the_seal_reads_on() {
    for mode in [Direct, Buffered] {
        let place = Place::disk(mode);
        let mut store = recording(&place);
        let source = store.reader().unwrap();
        let held = EventStoreReader::new(source.clone());
        let mut scan = held.scan(1, u64::MAX, Direction::Forward);
        assert_eq!(seqs(scan.by_ref().take(15)), (1..=15).collect::<Vec<_>>());
        let sealed = store.seal(RunStatus::Ended, None).unwrap();
        drop(store);

        let opened = open_sealed(place.folder(), &instance(), run_id(1)).unwrap();
        assert_eq!(opened.manifest().unwrap(), sealed.manifest);
        assert_eq!(seqs(scan), (16..=300).collect::<Vec<_>>());
        assert_eq!(
            seqs(held.scan(1, 300, Direction::Reverse)),
            (1..=300).rev().collect::<Vec<_>>()
        );
        assert_eq!(source.root().unwrap(), Some(sealed.root));
        assert_eq!(source.names(0).unwrap(), opened.names(0).unwrap());
    }
}

#[test]
fn a_lent_frame_outlives_its_writer() {
    let place = Place::disk(Buffered);
    let mut store = recording(&place);
    let reader = store.reader().unwrap();
    let lent = reader.frame_at_or_before(1).unwrap();
    let copied = lent.as_ref().map(|(seq, frame)| (*seq, Bytes::copy_from_slice(frame)));
    store.seal(RunStatus::Ended, None).unwrap();
    drop(store);

    let opened = open_sealed(place.folder(), &instance(), run_id(1)).unwrap();
    assert_eq!(opened.frame_at_or_before(1).unwrap(), copied);
    assert_eq!((reader.frame_at_or_before(1).unwrap(), lent), (copied.clone(), copied));
}

#[test]
fn a_run_left_unsealed_is_closed_to_its_readers() {
    let place = Place::disk(Buffered);
    let store = recording(&place);
    let reader = store.reader().unwrap();
    drop(store);
    assert_matches!(reader.watermark(), Err(ReadFault::Closed));

    // Recovery finds the file free, and the reader reads what is then sealed.
    let mut store = place.open(1);
    assert_matches!(reader.manifest(), Err(ReadFault::Closed));
    store.seal(RunStatus::CrashedRecovered, None).unwrap();
    drop(store);
    assert_eq!(reader.watermark().unwrap(), 300);
}

#[test]
fn another_run_in_the_file_is_not_read() {
    let place = Place::disk(Buffered);
    let reader = recording(&place).reader().unwrap();
    let mut other = place.backend();
    other.open_run(manifest(2)).unwrap();
    other.seal(RunStatus::Ended, None).unwrap();
    drop(other);
    let path = |n| run_path(place.folder(), &instance(), run_id(n));
    std::fs::rename(path(2), path(1)).unwrap();
    assert_matches!(reader.watermark(), Err(ReadFault::Foreign { run_id: id, .. }) if id == run_id(2));
}

/// Each read is of the open file or of the sealed one.
#[test]
fn reads_meet_no_error_while_the_run_is_closed() {
    for _ in 0..20 {
        let place = Place::disk(Buffered);
        let mut store = recording(&place);
        let reader = store.reader().unwrap();
        store.seal(RunStatus::Ended, None).unwrap();
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    let reader: Arc<dyn RunReader> = reader.clone();
                    scope.spawn(move || {
                        for _ in 0..3 {
                            let reader = EventStoreReader::new(reader.clone());
                            let read = seqs(reader.scan(1, 300, Direction::Forward));
                            assert_eq!(read, (1..=300).collect::<Vec<_>>());
                        }
                    })
                })
                .collect();
            drop(store);
            assert!(open_sealed(place.folder(), &instance(), run_id(1)).is_ok());
            for reader in readers {
                reader.join().unwrap();
            }
        });
    }
}
