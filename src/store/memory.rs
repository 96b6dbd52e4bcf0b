use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::cursor::RunCursor;
use super::{
    AnchorError, AppendError, EventStore, IndexRow, OpenRunError, ReadFault, RunOpening, RunReader,
    SealError, SealedRun, Tail,
};
use crate::format::{SealedFrame, encode_anchor, encode_manifest, run_root};
use crate::model::{
    Hash, IndexKind, InstanceId, RunId, RunManifest, RunStatus, SnapshotAnchor, UnixNanos,
};

/// Runs in memory: what [`MemoryBackend`]s keep, and what survives them. Clones share the runs.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    runs: Arc<Mutex<BTreeMap<(InstanceId, RunId), SharedRun>>>,
}

type SharedRun = Arc<Mutex<MemoryRun>>;

#[derive(Debug)]
struct MemoryRun {
    cursor: RunCursor,
    in_use: bool,
    anchor: Option<SnapshotAnchor>,
    frames: BTreeMap<u64, Bytes>,
    keys: BTreeMap<(IndexKind, Vec<u8>), u64>,
    names: Vec<String>,
}

/// An [`EventStore`] without a disk, for tests and simulation. It behaves like
/// [`RedbBackend`](super::RedbBackend): one behavioural suite runs over both.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    disk: MemoryDisk,
    run: Option<SharedRun>,
}

impl MemoryBackend {
    /// A backend for the runs on `disk`.
    pub fn new(disk: MemoryDisk) -> Self {
        Self { disk, run: None }
    }

    fn open(&self) -> Option<MutexGuard<'_, MemoryRun>> {
        self.run.as_ref().map(lock)
    }

    fn release(&mut self) {
        if let Some(run) = self.run.take() {
            lock(&run).in_use = false;
        }
    }
}

/// What a process that dies does: the run is left as it is, for the next backend to find.
impl Drop for MemoryBackend {
    fn drop(&mut self) {
        self.release();
    }
}

fn lock<T>(shared: &Arc<Mutex<T>>) -> MutexGuard<'_, T> {
    shared.lock().expect("no holder of this lock can panic")
}

impl EventStore for MemoryBackend {
    fn open_run(&mut self, manifest: RunManifest) -> Result<RunOpening, OpenRunError> {
        if let Some(run) = self.open() {
            let RunManifest { run_id, status, ref instance_id, .. } = run.cursor.manifest;
            if !status.is_sealed() {
                return Err(OpenRunError::RunOpen { open: run_id });
            }
            if (run_id, instance_id) == (manifest.run_id, &manifest.instance_id) {
                return Err(OpenRunError::Sealed { run_id, status });
            }
        }
        self.release();
        let mut runs = lock(&self.disk.runs);
        let key = (manifest.instance_id.clone(), manifest.run_id);
        if let Some(shared) = runs.get(&key) {
            let mut run = lock(shared);
            let found = run.cursor.manifest.clone();
            if run.in_use {
                let path = PathBuf::from(format!("{}/{}", key.0, key.1));
                return Err(OpenRunError::InUse { path });
            }
            if found.status.is_sealed() {
                return Err(OpenRunError::Sealed { run_id: found.run_id, status: found.status });
            }
            run.in_use = true;
            drop(run);
            self.run = Some(Arc::clone(shared));
            return Ok(RunOpening::CrashedPredecessor(Box::new(found)));
        }
        let run = Arc::new(Mutex::new(MemoryRun {
            cursor: RunCursor::fresh(manifest),
            in_use: true,
            anchor: None,
            frames: BTreeMap::new(),
            keys: BTreeMap::new(),
            names: Vec::new(),
        }));
        runs.insert(key, Arc::clone(&run));
        self.run = Some(run);
        Ok(RunOpening::Created)
    }

    fn append(&mut self, frame: &SealedFrame<'_>) -> Result<(), AppendError> {
        let mut run = self.open().ok_or(AppendError::NoOpenRun)?;
        run.cursor.check_append(frame)?;
        run.names.extend(frame.names().map(|(_, name)| name.to_owned()));
        let view = frame.view();
        for index in 0..view.count() {
            let record = view.record(index).expect("a frame reads back as it was built");
            for (kind, key) in record.keys() {
                run.keys.entry((kind, key.to_vec())).or_insert(record.seq());
            }
        }
        run.frames.insert(frame.first_seq(), Bytes::copy_from_slice(frame.bytes()));
        run.cursor.appended(frame);
        Ok(())
    }

    fn record_anchor(&mut self, anchor: &SnapshotAnchor) -> Result<(), AnchorError> {
        let mut run = self.open().ok_or(AnchorError::NoOpenRun)?;
        run.cursor.check_anchor(anchor)?;
        run.cursor.anchored(anchor);
        run.anchor = Some(anchor.clone());
        Ok(())
    }

    fn seal(
        &mut self,
        status: RunStatus,
        end_ts_init: Option<UnixNanos>,
    ) -> Result<SealedRun, SealError> {
        let mut run = self.open().ok_or(SealError::NoOpenRun)?;
        let manifest = run.cursor.sealed_manifest(status, end_ts_init)?;
        run.cursor.manifest = manifest.clone();
        Ok(SealedRun { root: run.root(), manifest })
    }

    fn tail(&self) -> Option<Tail> {
        self.open().map(|run| run.cursor.tail)
    }

    fn reader(&self) -> Option<Arc<dyn RunReader>> {
        Some(Arc::new(MemoryReader(Arc::clone(self.run.as_ref()?))))
    }
}

impl MemoryRun {
    fn root(&self) -> Hash {
        let anchor = self.anchor.as_ref().map(encode_anchor).unwrap_or_default();
        run_root(&encode_manifest(&self.cursor.manifest), &anchor)
    }
}

struct MemoryReader(SharedRun);

impl RunReader for MemoryReader {
    fn manifest(&self) -> Result<RunManifest, ReadFault> {
        Ok(lock(&self.0).cursor.manifest.clone())
    }

    fn root(&self) -> Result<Option<Hash>, ReadFault> {
        let run = lock(&self.0);
        Ok(run.cursor.manifest.status.is_sealed().then(|| run.root()))
    }

    fn watermark(&self) -> Result<u64, ReadFault> {
        Ok(lock(&self.0).cursor.tail.watermark)
    }

    fn anchor(&self) -> Result<Option<SnapshotAnchor>, ReadFault> {
        Ok(lock(&self.0).anchor.clone())
    }

    fn frame_at_or_before(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        let run = lock(&self.0);
        Ok(run.frames.range(..=seq).next_back().map(|(seq, frame)| (*seq, frame.clone())))
    }

    fn frame_at_or_after(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        let run = lock(&self.0);
        Ok(run.frames.range(seq..).next().map(|(seq, frame)| (*seq, frame.clone())))
    }

    fn detach(&self, frame: Bytes) -> Bytes {
        frame
    }

    fn names(&self, from: u32) -> Result<Vec<(u32, String)>, ReadFault> {
        let run = lock(&self.0);
        Ok((0..).zip(run.names.iter().cloned()).skip(from as usize).collect())
    }

    fn lookup(&self, kind: IndexKind, key: &[u8]) -> Result<Option<u64>, ReadFault> {
        Ok(lock(&self.0).keys.get(&(kind, key.to_vec())).copied())
    }

    fn index(
        &self,
        kind: IndexKind,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<IndexRow>, ReadFault> {
        let from = match after {
            Some(key) => Bound::Excluded((kind, key.to_vec())),
            None => Bound::Included((kind, Vec::new())),
        };
        let run = lock(&self.0);
        let rows = run.keys.range((from, Bound::Unbounded)).take(limit);
        Ok(rows
            .map(|((kind, key), seq)| IndexRow { kind: *kind, key: key.clone(), seq: *seq })
            .collect())
    }
}
