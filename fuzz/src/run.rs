//! A sealed run in a file that goes when the process goes, to be changed and read.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapline::internals::run_path;
use tapline::store::{DiskMode, EventStore, RedbBackend, RunReader, open_sealed_file};
use tapline::{ContentHash, Hash, InstanceId, RunId, RunManifest, RunStatus, SnapshotAnchor};

use crate::frames::{Message, Payload, Stream, Stretch};

/// A run of a few hundred entries, the same each time, and a file to put changed copies of it into.
#[derive(Debug)]
pub struct SealedRunFile {
    /// The run file as it was sealed.
    pub bytes: Vec<u8>,
    /// The root that was printed then.
    pub root: Hash,
    copy: File,
}

impl SealedRunFile {
    /// Records `frames` frames and seals the run.
    pub fn record(frames: u64) -> Self {
        let memory = memory_folder();
        let folder = tempfile::tempdir_in(&memory).expect("a temporary folder");
        let instance: InstanceId = "node-1".parse().expect("an instance id");
        let run_id: RunId = "1700000000000000001-00000001".parse().expect("a run id");
        let mut store = RedbBackend::with_disk_mode(folder.path(), DiskMode::Buffered);
        let manifest = RunManifest::new(instance.clone(), run_id, run_id.start());
        store.open_run(manifest).expect("a new run opens");
        let mut run = Stream::at(1);
        for number in 1..=frames {
            let stretch = stretch(number);
            let (frame, _) = run.frame(&stretch).expect("the messages fit");
            store.append(&[frame]).expect("the frame continues the run");
        }
        let anchor = SnapshotAnchor {
            high_watermark: 2,
            blob_ref: "snapshots/2".to_owned(),
            content_hash: ContentHash::of(b"the cache at 2"),
        };
        store.record_anchor(&anchor).expect("an entry that is there");
        let end = (1..=frames).flat_map(|number| stretch(number).messages);
        let end = end.map(|message| message.ts_init.into()).max();
        let sealed = store.seal(RunStatus::Ended, end).expect("an open run");
        drop(store);
        let bytes = fs::read(run_path(folder.path(), &instance, run_id)).expect("the run file");
        let copy = tempfile::tempfile_in(&memory).expect("a temporary file");
        Self { bytes, root: sealed.root, copy }
    }

    /// Puts `bytes` where [`path`](Self::path) leads.
    pub fn put(&self, bytes: &[u8]) -> io::Result<()> {
        self.copy.set_len(bytes.len() as u64)?;
        self.copy.write_all_at(bytes, 0)
    }

    /// A way to the file, which has no name.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.copy.as_raw_fd()).into()
    }

    /// Opens the run as it was sealed.
    pub fn open(&self) -> Arc<dyn RunReader> {
        self.put(&self.bytes).expect("there is room for the run");
        open_sealed_file(&self.path()).expect("a sealed run opens")
    }
}

/// Where files are memory, if there is such a place.
fn memory_folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// The messages of frame `number`: one to five, with names and keys that repeat, some with ids.
fn stretch(number: u64) -> Stretch {
    let message = |index: u64| {
        let n = number * 5 + index;
        let id = |every: u64| n.is_multiple_of(every).then_some(u128::from(n));
        Message {
            topic: format!("topic-{}", n % 7),
            payload_type: format!("Type{}", n % 3),
            ts_init: 1_700_000_000_000_000_001 + n,
            ts_publish: 1_700_000_000_000_000_002 + n,
            payload: Payload::Run((n * 37 % 300) as u16, n as u8),
            ids: [id(2), id(3), id(5)],
            keys: (0..n % 4)
                .map(|key| (1 + (key % 2) as u16, format!("K-{}", n / 3 + key)))
                .collect(),
        }
    };
    Stretch { messages: (0..=number % 5).map(message).collect(), ring_ends_after: 1 }
}
