use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use bytes::Bytes;
use zerocopy::IntoBytes;

use super::cursor::RunCursor;
use super::{
    AnchorError, AppendError, EventStore, FileError, OpenRunError, ReadFault, RunOpening,
    RunReader, SealError, SealedRun, Tail,
};
use crate::format::{
    KeyBlockId, KeyRow, KeyTier, SealedFrame, encode_anchor, encode_manifest, run_root,
};
use crate::model::{Hash, InstanceId, RunId, RunManifest, RunStatus, SnapshotAnchor, UnixNanos};

/// Runs in memory. They survive the [`MemoryBackend`]s that write them. Clones share the runs.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    runs: Arc<Mutex<BTreeMap<(InstanceId, RunId), SharedRun>>>,
}

type SharedRun = Arc<Mutex<MemoryRun>>;

/// A run that a backend has open. Like a file, it is in use until the backend drops this.
#[derive(Debug)]
struct HeldRun {
    run: SharedRun,
    _hold: Arc<()>,
}

#[derive(Debug)]
struct MemoryRun {
    cursor: RunCursor,
    /// Alive while a backend has the run open.
    hold: Weak<()>,
    anchor: Option<SnapshotAnchor>,
    frames: BTreeMap<u64, Bytes>,
    keys: BTreeSet<KeyRow>,
    names: Vec<String>,
}

/// An [`EventStore`] without a disk, for tests and simulation. It behaves like
/// [`RedbBackend`](super::RedbBackend): one behavioural suite runs over both. Dropped with an open
/// run, it leaves the run as a dead process does. The next backend finds it so.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    disk: MemoryDisk,
    run: Option<HeldRun>,
}

impl MemoryBackend {
    /// A backend for the runs on `disk`.
    pub fn new(disk: MemoryDisk) -> Self {
        Self { disk, run: None }
    }

    fn open(&self) -> Option<MutexGuard<'_, MemoryRun>> {
        self.run.as_ref().map(|open| lock(&open.run))
    }
}

impl HeldRun {
    /// Opens a run that is not in use.
    fn take(run: SharedRun) -> Self {
        let hold = Arc::new(());
        lock(&run).hold = Arc::downgrade(&hold);
        Self { run, _hold: hold }
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
        self.run = None;
        let mut runs = lock(&self.disk.runs);
        let key = (manifest.instance_id.clone(), manifest.run_id);
        if let Some(shared) = runs.get(&key) {
            let run = lock(shared);
            let found = run.cursor.manifest.clone();
            let is_in_use = run.hold.strong_count() > 0;
            drop(run);
            if is_in_use {
                let path = PathBuf::from(format!("{}/{}", key.0, key.1));
                return Err(FileError::InUse { path }.into());
            }
            if found.status.is_sealed() {
                return Err(OpenRunError::Sealed { run_id: found.run_id, status: found.status });
            }
            self.run = Some(HeldRun::take(Arc::clone(shared)));
            return Ok(RunOpening::CrashedPredecessor(Box::new(found)));
        }
        let run = Arc::new(Mutex::new(MemoryRun {
            cursor: RunCursor::fresh(manifest),
            hold: Weak::new(),
            anchor: None,
            frames: BTreeMap::new(),
            keys: BTreeSet::new(),
            names: Vec::new(),
        }));
        runs.insert(key, Arc::clone(&run));
        self.run = Some(HeldRun::take(run));
        Ok(RunOpening::Created)
    }

    fn append(&mut self, frames: &[SealedFrame<'_>]) -> Result<(), AppendError> {
        let mut run = self.open().ok_or(AppendError::NoOpenRun)?;
        run.cursor.tail = run.cursor.check_append(frames)?;
        for frame in frames {
            run.names.extend(frame.names().map(|(_, name)| name.to_owned()));
            run.keys.extend(frame.key_rows());
            run.frames.insert(frame.first_seq(), Bytes::copy_from_slice(frame.bytes()));
        }
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
        Some(Arc::new(MemoryReader(Arc::clone(&self.run.as_ref()?.run))))
    }
}

impl MemoryRun {
    fn root(&self) -> Hash {
        let anchor = self.anchor.as_ref().map(encode_anchor).unwrap_or_default();
        run_root(&encode_manifest(&self.cursor.manifest), &anchor)
    }
}

/// Goes on reading when the backend is gone.
struct MemoryReader(SharedRun);

impl MemoryReader {
    fn run(&self) -> MutexGuard<'_, MemoryRun> {
        lock(&self.0)
    }
}

impl RunReader for MemoryReader {
    fn manifest(&self) -> Result<RunManifest, ReadFault> {
        Ok(self.run().cursor.manifest.clone())
    }

    fn root(&self) -> Result<Option<Hash>, ReadFault> {
        let run = self.run();
        Ok(run.cursor.manifest.status.is_sealed().then(|| run.root()))
    }

    fn watermark(&self) -> Result<u64, ReadFault> {
        Ok(self.run().cursor.tail.watermark)
    }

    fn anchor(&self) -> Result<Option<SnapshotAnchor>, ReadFault> {
        Ok(self.run().anchor.clone())
    }

    fn frame_at_or_before(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        let run = self.run();
        Ok(run.frames.range(..=seq).next_back().map(|(seq, frame)| (*seq, frame.clone())))
    }

    fn frame_at_or_after(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        let run = self.run();
        Ok(run.frames.range(seq..).next().map(|(seq, frame)| (*seq, frame.clone())))
    }

    fn detach(&self, frame: Bytes) -> Bytes {
        frame
    }

    fn names(&self, from: u32) -> Result<Vec<(u32, String)>, ReadFault> {
        let run = self.run();
        Ok((0..).zip(run.names.iter().cloned()).skip(from as usize).collect())
    }

    fn indexed(&self, hash: u64, from: u64) -> Result<Option<u64>, ReadFault> {
        let rows = KeyRow::new(hash, from)..=KeyRow::new(hash, u64::MAX);
        Ok(self.run().keys.range(rows).next().map(|row| row.seq()))
    }

    /// Each row is a block of its own.
    fn key_block_at_or_after(
        &self,
        from: KeyBlockId,
    ) -> Result<Option<(KeyBlockId, Bytes)>, ReadFault> {
        let from = from.max(KeyBlockId::start_of(KeyTier::SORTED));
        if from.tier > KeyTier::SORTED {
            return Ok(None);
        }
        let run = self.run();
        let row = run.keys.range(from.first..).next();
        Ok(row.map(|row| {
            (KeyBlockId { first: *row, ..from }, Bytes::copy_from_slice(row.as_bytes()))
        }))
    }
}
