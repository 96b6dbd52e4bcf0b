//! Rows of the run file: small frames share them, and every reader takes them apart.

use std::fs;

use redb::{Database, ReadableDatabase, ReadableTableMetadata};
use tapline::internals::format::RowFill;
use tapline::internals::run_path;
use tapline::read::{Direction, EventStoreReader};
use tapline::store::{EventStore, RedbBackend};
use tapline::{Entry, IndexKind, RunStatus};

use crate::support::message::messages;
use crate::support::tamper::FRAMES;
use crate::support::{FrameMaker, Message, instance, manifest, run_id};

/// A thousand commits of one frame each, of one to nine entries.
fn batches() -> Vec<Vec<Message>> {
    let mut next = 1;
    (0..1_000)
        .map(|n| {
            let first = next;
            next += 1 + n % 9;
            messages(first, next - 1)
        })
        .collect()
}

fn entries(reader: &EventStoreReader, direction: Direction) -> Vec<Entry> {
    reader.scan(1, u64::MAX, direction).map(|entry| entry.expect("sound")).collect()
}

#[test]
fn small_frames_share_rows_and_are_read_from_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut store = RedbBackend::new(folder);
    store.open_run(manifest(1)).unwrap();
    let (mut maker, mut fill, mut rows) = (FrameMaker::new(), RowFill::default(), 0);
    for batch in batches() {
        let frame = maker.frame(&batch);
        rows += u64::from(fill.add(frame.bytes().len()));
        store.append(&[frame]).unwrap();
    }
    let live = entries(&EventStoreReader::new(store.reader().unwrap()), Direction::Forward);
    let end = live.iter().map(|entry| entry.ts_init).max();
    store.seal(RunStatus::Ended, end).unwrap();
    drop(store);

    let path = run_path(folder, &instance(), run_id(1));
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_read().unwrap();
    let in_file = transaction.open_table(FRAMES).unwrap().len().unwrap();
    assert_eq!(in_file, rows);
    assert!(rows < 60, "{rows} rows for a thousand frames");
    drop((transaction, database));

    let reader = EventStoreReader::open_sealed_file(&path).unwrap();
    let all = entries(&reader, Direction::Forward);
    let count: u64 = batches().iter().map(|batch| batch.len() as u64).sum();
    assert_eq!((all.len() as u64, &all), (count, &live));
    let mut backwards = entries(&reader, Direction::Reverse);
    backwards.reverse();
    assert_eq!(backwards, all);
    for entry in all.iter().step_by(7) {
        assert_eq!(reader.read(entry.seq).unwrap().as_ref(), Some(entry));
        for (kind, key) in entry.keys.iter().filter(|(kind, _)| *kind == IndexKind::CLIENT_ORDER_ID)
        {
            assert!(reader.lookup(*kind, key).unwrap().is_some_and(|first| first <= entry.seq));
        }
    }
    let report = reader.verifier().run(|_| {});
    assert!(report.is_clean(), "{:?}", report.findings);
    // 5 000 entries, in what they take and little more.
    let bytes = fs::metadata(&path).unwrap().len();
    assert!(bytes < 4 << 20, "{bytes}");
}

/// All of a commit, or nothing.
#[test]
fn the_frames_of_a_commit_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = RedbBackend::new(folder.path());
    store.open_run(manifest(1)).unwrap();
    let (mut first, mut second) = (FrameMaker::new(), FrameMaker::new());
    let first = first.frame(&messages(1, 3));
    // It begins anew, instead of continuing the first.
    let second = second.frame(&messages(1, 2));
    store.append(&[first, second]).unwrap_err();
    assert_eq!(store.tail().unwrap().watermark, 0);
    store.append(&[]).unwrap();
    store.append(&[first]).unwrap();
    assert_eq!(store.tail().unwrap().watermark, 3);
}
