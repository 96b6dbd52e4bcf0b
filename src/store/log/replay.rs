use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use bytes::Bytes;
use zerocopy::FromBytes;

use super::file::{HEADER_BYTES, MAGIC, RecordHeader, VERSION, record_bytes};
use crate::format::{BatchHasher, FrameView, chained_frames};
use crate::model::{Hash, RunId};
use crate::store::container::{FileConfig, FileError, PAGE_BYTES, drop_page_cache};
use crate::store::{BackendFault, ReadFault, Tail};

/// What a log has beyond the end of a run file.
#[derive(Debug, Default)]
struct Replayed {
    /// The frames that continue the run, in order.
    frames: Vec<Bytes>,
    /// The first entry of a sound frame that lies beyond these: something durable is missing.
    stranded: Option<u64>,
}

/// As [`frames_of_log`], read from the disk: the page cache may hold what the disk refused.
pub(in crate::store) fn frames_on_disk(
    path: &Path,
    run_id: RunId,
    tail: Tail,
    config: &FileConfig,
) -> Result<Result<Vec<Bytes>, ReadFault>, FileError> {
    match File::open(path) {
        Ok(log) => drop_page_cache(&log, |op| config.ask(path, op)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| FileError::io(path, error))?;
    frames_of_log(path, run_id, tail)
}

/// The frames in the log at `path` that continue the run `run_id`, whose run file ends at `tail`.
/// The outer error is the system's. The inner one says that something durable is missing.
pub(in crate::store) fn frames_of_log(
    path: &Path,
    run_id: RunId,
    tail: Tail,
) -> Result<Result<Vec<Bytes>, ReadFault>, FileError> {
    let log = match fs::read(path) {
        Ok(log) => Bytes::from(log),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Err(ReadFault::Missing { what: "log" }));
        }
        Err(error) => return Err(FileError::io(path, error)),
    };
    let Replayed { frames, stranded } = continue_run(&log, run_id, tail);
    Ok(match stranded {
        None => Ok(frames),
        Some(seq) => {
            let what = format!("the log has entry {seq}, and nothing that leads to it");
            Err(BackendFault::corrupted(what).into())
        }
    })
}

fn continue_run(log: &Bytes, run_id: RunId, tail: Tail) -> Replayed {
    let records = sound_records(log, run_id, tail.watermark);
    let mut replayed = Replayed::default();
    let (mut watermark, mut root) = (tail.watermark, tail.root);
    while let Some(record) = records
        .get(&(watermark + 1))
        .and_then(|records| records.iter().find(|record| record.previous_root == root))
    {
        (watermark, root) = (record.last_seq, record.root);
        replayed.frames.extend_from_slice(&record.frames);
    }
    replayed.stranded = records.range(watermark + 1..).next().map(|(first_seq, _)| *first_seq);
    replayed
}

/// The frames of one commit: sound, and each continues the one before.
#[derive(Debug)]
struct Record {
    frames: Vec<Bytes>,
    first_seq: u64,
    last_seq: u64,
    previous_root: Hash,
    root: Hash,
}

impl Record {
    /// `None` if these bytes are no such frames.
    fn of(bytes: Bytes, hasher: &mut BatchHasher, hashes: &mut Vec<Hash>) -> Option<Self> {
        let frames = chained_frames(bytes)?;
        let is_sound = |frame: &Bytes| {
            FrameView::parse(frame).is_ok_and(|view| view.is_sound(hasher, hashes, |_, _| {}))
        };
        if !frames.iter().all(is_sound) {
            return None;
        }
        let (first, last) = (FrameView::parse(frames.first()?), FrameView::parse(frames.last()?));
        let (first, last) = (first.ok()?, last.ok()?);
        let (first_seq, previous_root) = (first.first_seq(), first.previous_root());
        let (last_seq, root) = (last.last_seq(), last.root());
        Some(Self { frames, first_seq, last_seq, previous_root, root })
    }
}

/// All sound records of the run behind `watermark`, by their first entry.
fn sound_records(log: &Bytes, run_id: RunId, watermark: u64) -> BTreeMap<u64, Vec<Record>> {
    let mut records: BTreeMap<u64, Vec<Record>> = BTreeMap::new();
    let (mut hasher, mut hashes) = (BatchHasher::default(), Vec::new());
    let mut offset = 0;
    while offset + HEADER_BYTES <= log.len() {
        let mut step = PAGE_BYTES;
        if let Some(frames) = frames_at(log, offset, run_id) {
            let bytes = record_bytes(frames.len()) as usize;
            if let Some(record) = Record::of(frames, &mut hasher, &mut hashes)
                && record.first_seq > watermark
            {
                step = bytes;
                records.entry(record.first_seq).or_default().push(record);
            }
        }
        offset += step;
    }
    records
}

/// The bytes that the header at `offset` says are frames of the run.
fn frames_at(log: &Bytes, offset: usize, run_id: RunId) -> Option<Bytes> {
    let (header, _) = RecordHeader::read_from_prefix(&log[offset..]).ok()?;
    let is_ours = header.magic == MAGIC
        && header.version == VERSION
        && header.run_start == run_id.start().as_u64()
        && header.run_suffix == run_id.suffix();
    let start = offset + HEADER_BYTES;
    let end = start.checked_add(header.frames_bytes.get() as usize)?;
    (is_ours && end <= log.len()).then(|| log.slice(start..end))
}
