use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::container::{Container, Snapshots};
use super::log::{PendingFrame, PendingFrames, shared_fault};
use super::redb_reader::RedbReader;
use super::sealed_run::{check_held, open_sealed_reader};
use super::{FileError, OpenSealedError, ReadFault, RunReader};
use crate::format::{KeyBlockId, KeyRow};
use crate::model::{Hash, InstanceId, RunId, RunManifest, SnapshotAnchor};

/// Reads a run while it is recorded, and afterwards. It does not keep the run's file in use. Once
/// the writer has closed the file, it reads the sealed run there.
pub(super) struct LiveReader {
    snapshots: Snapshots,
    path: PathBuf,
    instance_id: InstanceId,
    run_id: RunId,
    /// What is durable and not in the file yet.
    pending: Option<Arc<PendingFrames>>,
    /// Opened by the first read that finds the writer gone.
    sealed: OnceLock<RedbReader>,
}

impl LiveReader {
    pub(super) fn new(
        container: &Container,
        pending: Option<Arc<PendingFrames>>,
        manifest: &RunManifest,
    ) -> Self {
        Self {
            snapshots: container.snapshots(),
            path: container.path().to_owned(),
            instance_id: manifest.instance_id.clone(),
            run_id: manifest.run_id,
            pending,
            sealed: OnceLock::new(),
        }
    }

    /// Looks for something in the pending frames. First, and then in the file: a frame that leaves
    /// them meanwhile is there.
    fn in_pending<T>(&self, look: impl FnOnce(&VecDeque<PendingFrame>) -> Option<T>) -> Option<T> {
        self.pending.as_ref()?.look(look)
    }

    /// Reads what is committed by now. If the writer closes its file meanwhile, reads again from
    /// the sealed file.
    fn read<T>(&self, read: impl Fn(&RedbReader) -> Result<T, ReadFault>) -> Result<T, ReadFault> {
        if let Some(sealed) = self.sealed.get() {
            return read(sealed);
        }
        let live = self.snapshots.begin_read().map_err(ReadFault::redb);
        match live.and_then(|transaction| read(&RedbReader::live(transaction))) {
            Err(ReadFault::Closed) => {
                let sealed = self.open_sealed()?;
                read(self.sealed.get_or_init(|| sealed))
            }
            answer => answer,
        }
    }

    fn open_sealed(&self) -> Result<RedbReader, ReadFault> {
        let (reader, manifest) = open_sealed_reader(&self.path).map_err(|error| match error {
            OpenSealedError::Read { source, .. } => source,
            OpenSealedError::File(FileError::Fault { source, .. }) => source.into(),
            OpenSealedError::File(_) => ReadFault::Closed,
        })?;
        check_held(&manifest, &self.instance_id, Some(self.run_id))?;
        Ok(reader)
    }
}

impl RunReader for LiveReader {
    fn manifest(&self) -> Result<RunManifest, ReadFault> {
        self.read(RedbReader::manifest)
    }

    fn root(&self) -> Result<Option<Hash>, ReadFault> {
        self.read(RunReader::root)
    }

    fn watermark(&self) -> Result<u64, ReadFault> {
        let pending = self.in_pending(|frames| Some(frames.back()?.last_seq));
        let in_file = self.read(RunReader::watermark)?;
        Ok(pending.map_or(in_file, |pending| pending.max(in_file)))
    }

    fn anchor(&self) -> Result<Option<SnapshotAnchor>, ReadFault> {
        self.read(RunReader::anchor)
    }

    fn frame_at_or_before(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        let pending = self.in_pending(|frames| {
            let behind = frames.partition_point(|frame| frame.first_seq <= seq);
            frames.get(behind.checked_sub(1)?).map(PendingFrame::keyed)
        });
        match pending {
            Some(frame) => Ok(Some(frame)),
            None => self.read(|run| run.frame_at_or_before(seq)),
        }
    }

    fn frame_at_or_after(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        let pending = self.in_pending(|frames| {
            let at = frames.partition_point(|frame| frame.first_seq < seq);
            frames.get(at).map(PendingFrame::keyed)
        });
        let in_file = self.read(|run| run.frame_at_or_after(seq))?;
        Ok(in_file.or(pending))
    }

    fn frames_behind(&self, first_seq: u64) -> Result<Vec<(u64, Bytes)>, ReadFault> {
        self.read(|run| run.frames_behind(first_seq))
    }

    fn detach(&self, frame: Bytes) -> Bytes {
        // A borrowed frame keeps its transaction open, and an open transaction keeps pages from
        // being reused.
        Bytes::copy_from_slice(&frame)
    }

    fn names(&self, from: u32) -> Result<Vec<(u32, String)>, ReadFault> {
        let pending = self.in_pending(|frames| {
            Some(frames.iter().flat_map(PendingFrame::names).collect::<Vec<_>>())
        });
        let mut names = self.read(|run| run.names(from))?;
        for (id, name) in pending.into_iter().flatten() {
            let next = names.last().map_or(from, |(last, _)| last.saturating_add(1));
            if id >= next {
                names.push((id, name));
            }
        }
        Ok(names)
    }

    fn indexed(&self, hash: u64, from: u64) -> Result<Option<u64>, ReadFault> {
        let wanted = KeyRow::new(hash, from);
        let pending =
            self.in_pending(|frames| frames.iter().find_map(|frame| frame.find_row(wanted)));
        if let Some(seq) = self.read(|run| run.indexed(hash, from))? {
            return Ok(Some(seq));
        }
        Ok(pending.map(KeyRow::seq))
    }

    fn key_block_at_or_after(
        &self,
        from: KeyBlockId,
    ) -> Result<Option<(KeyBlockId, Bytes)>, ReadFault> {
        // A walk over the index is a walk over that of the file.
        if let Some(pending) = &self.pending
            && pending.look(|frames| !frames.is_empty())
        {
            pending.flush().map_err(shared_fault)?;
        }
        self.read(|run| run.key_block_at_or_after(from))
    }

    fn finds_frame(&self, first_seq: u64) -> Result<bool, ReadFault> {
        let pending = self.in_pending(|frames| {
            frames.binary_search_by_key(&first_seq, |frame| frame.first_seq).ok()
        });
        if pending.is_some() {
            return Ok(true);
        }
        self.read(|run| run.finds_frame(first_seq))
    }

    fn finds_key_block(&self, id: KeyBlockId) -> Result<bool, ReadFault> {
        self.read(|run| run.finds_key_block(id))
    }
}
