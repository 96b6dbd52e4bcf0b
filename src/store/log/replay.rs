use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use bytes::Bytes;
use zerocopy::FromBytes;

use super::file::{HEADER_BYTES, MAGIC, RecordHeader, VERSION, record_bytes};
use crate::format::{BatchHasher, FrameView};
use crate::model::{Hash, RunId};
use crate::store::container::{FileError, PAGE_BYTES};
use crate::store::{BackendFault, ReadFault, Tail};

/// What a log has beyond the end of a run file.
#[derive(Debug, Default)]
struct Replayed {
    /// The frames that continue the run, in order.
    frames: Vec<Bytes>,
    /// The first entry of a sound frame that lies beyond these: something durable is missing.
    stranded: Option<u64>,
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
    let records = sound_frames(log, run_id, tail.watermark);
    let mut replayed = Replayed::default();
    let (mut watermark, mut root) = (tail.watermark, tail.root);
    while let Some(frame) = records
        .get(&(watermark + 1))
        .and_then(|frames| frames.iter().find(|frame| previous_root(frame) == Some(root)))
        && let Ok(view) = FrameView::parse(frame)
    {
        (watermark, root) = (view.last_seq(), view.root());
        replayed.frames.push(frame.clone());
    }
    replayed.stranded = records.range(watermark + 1..).next().map(|(first_seq, _)| *first_seq);
    replayed
}

fn previous_root(frame: &[u8]) -> Option<Hash> {
    FrameView::parse(frame).ok().map(|view| view.previous_root())
}

/// All sound frames of the run behind `watermark`, by their first entry.
fn sound_frames(log: &Bytes, run_id: RunId, watermark: u64) -> BTreeMap<u64, Vec<Bytes>> {
    let mut frames: BTreeMap<u64, Vec<Bytes>> = BTreeMap::new();
    let (mut hasher, mut hashes) = (BatchHasher::default(), Vec::new());
    let mut offset = 0;
    while offset + HEADER_BYTES <= log.len() {
        let mut step = PAGE_BYTES;
        if let Some(frame) = frame_at(log, offset, run_id)
            && let Ok(view) = FrameView::parse(&frame)
            && view.first_seq() > watermark
            && view.is_sound(&mut hasher, &mut hashes, |_, _| {})
        {
            let first_seq = view.first_seq();
            step = record_bytes(frame.len()) as usize;
            frames.entry(first_seq).or_default().push(frame);
        }
        offset += step;
    }
    frames
}

/// The bytes that the header at `offset` says are a frame of the run.
fn frame_at(log: &Bytes, offset: usize, run_id: RunId) -> Option<Bytes> {
    let (header, _) = RecordHeader::read_from_prefix(&log[offset..]).ok()?;
    let is_ours = header.magic == MAGIC
        && header.version == VERSION
        && header.run_start == run_id.start().as_u64()
        && header.run_suffix == run_id.suffix();
    let start = offset + HEADER_BYTES;
    let end = start.checked_add(header.frame_bytes.get() as usize)?;
    (is_ours && end <= log.len()).then(|| log.slice(start..end))
}
