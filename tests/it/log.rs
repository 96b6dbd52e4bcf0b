//! The write-ahead log: its frames are there after a crash, and for readers, before the run file has
//! them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tapline::internals::run_path;
use tapline::read::{Direction, EventStoreReader, Verifier};
use tapline::runs::{SkipKind, SweepReport, recover_predecessors};
use tapline::store::{EventStore, LogConfig, RedbBackend};
use tapline::{Entry, IndexKind, RunStatus, UnixNanos};

use crate::support::files::assert_unchanged;
use crate::support::message::messages;
use crate::support::{FrameMaker, Message, instance, manifest, run_id};

/// Sixteen places of a page. Frames stay in it until somebody needs them elsewhere.
const LOG: LogConfig = LogConfig {
    interval: Some(Duration::from_secs(3600)),
    bytes: 64 << 10,
    record_bytes_max: 16 << 10,
};

fn path(folder: &Path, n: u32) -> PathBuf {
    run_path(folder, &instance(), run_id(n))
}

fn log(folder: &Path, n: u32) -> PathBuf {
    path(folder, n).with_extension("log")
}

/// Run `n` with these batches, each a frame, left as by a killed process: its last frames are in
/// the log alone.
fn leave(folder: &Path, n: u32, batches: &[Vec<Message>]) {
    let mut store = RedbBackend::new(folder).logged(LOG);
    store.open_run(manifest(n)).unwrap();
    FrameMaker::new().append_all(&mut store, batches);
}

/// Seven frames of three entries each: fewer than half the log, which would be brought over.
fn seven() -> Vec<Vec<Message>> {
    (0..7).map(|n| messages(3 * n + 1, 3 * n + 3)).collect()
}

fn sweep(folder: &Path) -> SweepReport {
    recover_predecessors(folder, &instance()).unwrap()
}

fn entries(reader: &EventStoreReader) -> Vec<Entry> {
    reader.scan(1, u64::MAX, Direction::Forward).map(|entry| entry.expect("sound")).collect()
}

/// The entries of these batches in a store without a log.
fn expected(batches: &[Vec<Message>]) -> Vec<Entry> {
    let folder = tempfile::tempdir().unwrap();
    let mut store = RedbBackend::new(folder.path());
    store.open_run(manifest(1)).unwrap();
    FrameMaker::new().append_all(&mut store, batches);
    entries(&EventStoreReader::new(store.reader().unwrap()))
}

/// Changes the log of run 1. `change` is told where the records begin, in order.
fn change_log(folder: &Path, change: impl FnOnce(&mut [u8], &[usize])) {
    let mut bytes = fs::read(log(folder, 1)).unwrap();
    let is_record = |at: &usize| bytes[*at..].starts_with(b"TLL1");
    let records: Vec<usize> = (0..bytes.len()).step_by(4096).filter(is_record).collect();
    change(&mut bytes, &records);
    fs::write(log(folder, 1), &bytes).unwrap();
}

#[test]
fn what_is_in_the_log_alone_is_recovered() {
    for count in [0, 1, 7] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let batches = &seven()[..count];
        leave(folder, 1, batches);
        assert_eq!(fs::metadata(log(folder, 1)).unwrap().len(), LOG.bytes);
        let swept = sweep(folder);
        assert_eq!(swept.recovered[0].watermark, 3 * count as u64);
        assert_eq!(swept.recovered[0].status, RunStatus::CrashedRecovered);
        let sealed = EventStoreReader::open_sealed_file(&path(folder, 1)).unwrap();
        assert_eq!(entries(&sealed), expected(batches));
        assert!(!log(folder, 1).exists());
    }
}

/// Half of each lap is overwritten by the next.
#[test]
fn frames_of_many_laps_are_recovered_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let batches: Vec<Vec<Message>> = (0..200).map(|n| messages(2 * n + 1, 2 * n + 2)).collect();
    leave(folder, 1, &batches);
    assert_eq!(sweep(folder).recovered[0].watermark, 400);
    let sealed = EventStoreReader::open_sealed_file(&path(folder, 1)).unwrap();
    assert_eq!(entries(&sealed), expected(&batches));
    assert!(sealed.verifier().run(|_| {}).is_clean());
}

#[test]
fn a_frame_that_was_being_written_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &seven());
    change_log(folder, |bytes, records| {
        let last = *records.last().unwrap();
        bytes[last + 512..last + 1024].fill(0);
    });
    let swept = sweep(folder);
    assert_eq!((swept.recovered[0].watermark, &*swept.skipped), (18, &[][..]));
}

/// The next frame was begun after this one was durable.
#[test]
fn a_damaged_frame_before_others_is_damage_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &seven());
    change_log(folder, |bytes, records| bytes[records[3] + 200] ^= 1);
    let swept = assert_unchanged(&log(folder, 1), || sweep(folder));
    assert_eq!(swept.skipped[0].kind, SkipKind::Damaged);
    let said = &swept.skipped[0].error;
    assert!(said.ends_with("the log has entry 13, and nothing that leads to it"), "{said}");
    assert_eq!(swept.passed_over, [run_id(1)]);
}

/// Somebody copied the run file without it. What was acknowledged may be missing.
#[test]
fn a_run_without_its_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &seven());
    let away = folder.join("away");
    fs::rename(log(folder, 1), &away).unwrap();
    let swept = sweep(folder);
    assert!(swept.skipped[0].error.contains("log"), "{}", swept.skipped[0].error);
    assert!(EventStoreReader::open_file(&path(folder, 1)).is_err());
    fs::rename(&away, log(folder, 1)).unwrap();
    assert_eq!(sweep(folder).recovered[0].watermark, 21);
}

/// With what run 1 wrote to it, which has the same numbers.
#[test]
fn the_next_run_takes_the_log_over() {
    use std::os::unix::fs::MetadataExt;

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let spare = folder.join(instance().as_str()).join("spare.log");
    let mut store = RedbBackend::new(folder).logged(LOG);
    store.open_run(manifest(1)).unwrap();
    FrameMaker::new().append_all(&mut store, &seven());
    let made = fs::metadata(log(folder, 1)).unwrap().ino();
    store.seal(RunStatus::Ended, None).unwrap();
    assert!(!log(folder, 1).exists());
    assert_eq!(fs::metadata(&spare).unwrap().ino(), made);
    drop(store);

    let batches = &seven()[..2];
    leave(folder, 2, batches);
    assert!(!spare.exists());
    assert_eq!(fs::metadata(log(folder, 2)).unwrap().ino(), made);
    assert_eq!(sweep(folder).recovered[0].watermark, 6);
    let sealed = EventStoreReader::open_sealed_file(&path(folder, 2)).unwrap();
    assert_eq!(entries(&sealed), expected(batches));
    assert_eq!(fs::metadata(&spare).unwrap().ino(), made, "recovery leaves it to the next, too");
}

#[test]
fn a_spare_log_of_another_size_makes_place() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let spare = folder.join(instance().as_str()).join("spare.log");
    fs::create_dir(spare.parent().unwrap()).unwrap();
    fs::write(&spare, [1; 4096]).unwrap();
    leave(folder, 1, &seven());
    assert!(!spare.exists());
    assert_eq!(fs::metadata(log(folder, 1)).unwrap().len(), LOG.bytes);
    assert_eq!(sweep(folder).recovered[0].watermark, 21);
    assert_eq!(fs::metadata(&spare).unwrap().len(), LOG.bytes);
}

/// Run 2 gets the log of run 1, with frames that would follow on an empty run.
#[test]
fn the_log_of_another_run_adds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &seven());
    leave(folder, 2, &[]);
    fs::copy(log(folder, 1), log(folder, 2)).unwrap();
    let swept = sweep(folder);
    let watermarks: Vec<u64> = swept.recovered.iter().map(|run| run.watermark).collect();
    assert_eq!(watermarks, [21, 0]);
}

#[test]
fn a_log_without_a_run_is_removed_and_one_of_a_sealed_run_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &seven());
    let bytes = fs::read(log(folder, 1)).unwrap();
    sweep(folder);
    fs::write(log(folder, 1), &bytes).unwrap();
    fs::write(log(folder, 2), &bytes).unwrap();
    fs::write(log(folder, 3).with_extension("log.new"), &bytes).unwrap();
    assert_eq!(sweep(folder).skipped, []);
    assert!(!log(folder, 2).exists() && !log(folder, 3).with_extension("log.new").exists());
    let sealed = EventStoreReader::open_sealed_file(&path(folder, 1)).unwrap();
    assert_eq!(sealed.watermark().unwrap(), 21);
}

/// It is read from the log, in memory: file and log stay as they are.
#[test]
fn a_run_that_was_left_behind_is_read_with_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave(folder, 1, &seven());
    let path = path(folder, 1);
    assert_unchanged(&log(folder, 1), || {
        assert_unchanged(&path, || {
            let reader = EventStoreReader::open_file(&path).unwrap();
            assert_eq!(reader.watermark().unwrap(), 21);
            assert_eq!(entries(&reader), expected(&seven()));
            assert!(reader.verifier().run(|_| {}).is_clean());
        });
    });
    assert_eq!(sweep(folder).recovered[0].watermark, 21);
}

/// Scans, point reads, look-ups and names, while all frames but the large one are in the log alone.
#[test]
fn a_live_run_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = RedbBackend::new(folder.path()).logged(LOG);
    store.open_run(manifest(1)).unwrap();
    let reader = EventStoreReader::new(store.reader().unwrap());
    let mut maker = FrameMaker::new();
    let large = Message::new("large", "Large", 1, &vec![7; 20 << 10]);
    let with_key = |n: u32, key: &str| {
        vec![Message::new(&format!("topic-{n}"), "T", 1, b"payload").order(key)]
    };
    let batches =
        [with_key(1, "O-1"), vec![large], with_key(2, "O-2"), with_key(3, "O-1"), messages(5, 9)];
    maker.append_all(&mut store, &batches);
    assert_eq!(reader.watermark().unwrap(), 9);
    assert_eq!(entries(&reader), expected(&batches));
    assert_eq!(reader.read(4).unwrap().unwrap().topic, "topic-3");
    for (key, seq) in [("O-1", Some(1)), ("O-2", Some(3)), ("O-3", None)] {
        assert_eq!(reader.lookup(IndexKind::CLIENT_ORDER_ID, key).unwrap(), seq, "{key}");
    }
    let report = Verifier::new(store.reader().unwrap()).run(|_| {});
    assert!(report.is_clean(), "{:?}", report.findings);
    let sealed = store.seal(RunStatus::Ended, Some(UnixNanos::new(1))).unwrap();
    assert_eq!(sealed.manifest.high_watermark, 9);
    assert!(!log(folder.path(), 1).exists());
    drop(store);
    assert_eq!(entries(&reader), expected(&batches), "as before, from the sealed file");
}

/// Frames come and go between log and run file while others read.
#[test]
fn readers_beside_the_writer_miss_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = LogConfig { interval: Some(Duration::from_micros(200)), ..LOG };
    let mut store = RedbBackend::new(folder.path()).logged(log);
    store.open_run(manifest(1)).unwrap();
    let source = store.reader().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (source, stop) = (Arc::clone(&source), &stop);
            scope.spawn(move || {
                let reader = EventStoreReader::new(source);
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let watermark = reader.watermark().unwrap();
                    let read = reader.scan(1, watermark, Direction::Forward);
                    let seqs: Vec<u64> = read.map(|entry| entry.unwrap().seq).collect();
                    assert_eq!(seqs, (1..=watermark).collect::<Vec<_>>());
                }
            });
        }
        let mut maker = FrameMaker::new();
        for n in 0..400 {
            maker.append_all(&mut store, &[messages(2 * n + 1, 2 * n + 2)]);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
