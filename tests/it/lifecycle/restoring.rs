//! From run to run: what a node knew when it died is what it knows when it comes back.

use std::collections::BTreeMap;
use std::path::Path;

use tapline::lifecycle::{KernelEventStore, OpenError, RestoreParentError};
use tapline::read::EntryRef;
use tapline::replay::{Applied, CacheError, StateCache};
use tapline::store::{DiskMode, EventStore, OpenSealedError, RedbBackend, run_path};
use tapline::{ContentHash, RunManifest, SnapshotAnchor};

use super::{cut, leave_child, lifecycle, open};
use crate::support::message::messages;
use crate::support::{FrameMaker, assert_matches, instance, manifest, run_id};

/// Counts payloads, and keeps its snapshots in memory.
#[derive(Default)]
struct Counts {
    seen: BTreeMap<String, u64>,
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Counts {
    /// How often each of messages `from` to `to` was applied, where it was not once.
    fn wrong(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let count = |n| self.seen.get(&format!("{{\"n\":{n}}}")).copied().unwrap_or(0);
        (from..=to).map(|n| (n, count(n))).filter(|(_, count)| *count != 1).collect()
    }
}

impl StateCache for Counts {
    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError> {
        Ok(self.blobs.get(blob_ref).cloned())
    }

    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError> {
        self.seen = serde_json::from_slice(blob)?;
        Ok(())
    }

    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError> {
        let payload = String::from_utf8(entry.payload().to_vec())?;
        *self.seen.entry(payload).or_default() += 1;
        Ok(Applied::Applied)
    }

    fn to_blob(&self) -> Result<Vec<u8>, CacheError> {
        Ok(serde_json::to_vec(&self.seen)?)
    }

    fn keep_blob(&mut self, blob: &[u8]) -> Result<String, CacheError> {
        let name = ContentHash::of(blob).to_string();
        self.blobs.insert(name.clone(), blob.to_vec());
        Ok(name)
    }
}

/// Leaves run `n` behind with a snapshot at entry 3, of which the cache says that it has messages 1 to `to`.
fn leave_with_snapshot(folder: &Path, n: u32, parent: Option<u32>, cache: &mut Counts, to: u64) {
    let mut store = RedbBackend::with_disk_mode(folder, DiskMode::Buffered);
    let parent_run_id = parent.map(run_id);
    store.open_run(RunManifest { parent_run_id, ..manifest(n) }).unwrap();
    FrameMaker::new().append_all(&mut store, &[messages(to - 2, to), messages(to + 1, to + 4)]);
    let seen: BTreeMap<String, u64> = (1..=to).map(|n| (format!("{{\"n\":{n}}}"), 1)).collect();
    let blob = serde_json::to_vec(&seen).unwrap();
    let content_hash = ContentHash::of(&blob);
    let blob_ref = cache.keep_blob(&blob).unwrap();
    store.record_anchor(&SnapshotAnchor { high_watermark: 3, blob_ref, content_hash }).unwrap();
}

#[test]
fn a_run_without_a_snapshot_is_restored_on_top_of_those_it_continues_from() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut cache = Counts::default();
    // Older than the snapshot: must not matter.
    leave_child(folder, 1, None, &[messages(90, 99)]);
    leave_with_snapshot(folder, 2, Some(1), &mut cache, 20); // messages 1 to 24
    leave_child(folder, 3, Some(2), &[messages(25, 27), messages(28, 30)]);
    leave_child(folder, 4, Some(3), &[]);
    leave_child(folder, 5, Some(4), &[messages(31, 40)]);

    let mut lifecycle = lifecycle(folder);
    let restored = lifecycle.restore_parent_cache(&instance(), &mut cache).unwrap().unwrap();
    assert_eq!(restored.parent_run_id, run_id(5));
    let applied: Vec<_> =
        restored.runs.iter().map(|(run, report)| (*run, report.applied)).collect();
    assert_eq!(applied, [(run_id(2), 4), (run_id(3), 6), (run_id(4), 0), (run_id(5), 10)]);
    assert!(restored.has_snapshot());
    assert_eq!((cache.wrong(1, 40), cache.seen.len()), (vec![], 40));

    // The run that opens names it, and what was swept for the restore is not swept again.
    open(&mut lifecycle).unwrap();
    assert_eq!(lifecycle.parent_run_id(), Some(run_id(5)));
    assert_matches!(
        lifecycle.restore_parent_cache(&instance(), &mut cache),
        Err(RestoreParentError::Boot(OpenError::RunOpen { .. }))
    );
}

#[test]
fn without_any_snapshot_all_is_replayed_from_the_first_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave_child(folder, 1, None, &[messages(1, 5)]);
    leave_child(folder, 2, Some(1), &[messages(6, 8)]);
    let mut cache = Counts::default();
    let restored =
        lifecycle(folder).restore_parent_cache(&instance(), &mut cache).unwrap().unwrap();
    assert!(!restored.has_snapshot());
    assert_eq!((cache.wrong(1, 8), cache.seen.len()), (vec![], 8));
}

#[test]
fn with_nothing_left_behind_nothing_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let mut cache = Counts::default();
    assert_eq!(
        lifecycle(folder.path()).restore_parent_cache(&instance(), &mut cache).unwrap(),
        None
    );
    assert!(cache.seen.is_empty());
}

#[test]
fn a_run_that_is_missing_from_the_line_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave_child(folder, 1, None, &cut());
    leave_child(folder, 2, Some(1), &cut());
    std::fs::remove_file(run_path(folder, &instance(), run_id(1))).unwrap();
    let mut cache = Counts::default();
    let error = lifecycle(folder).restore_parent_cache(&instance(), &mut cache).unwrap_err();
    assert_matches!(&error, RestoreParentError::Open { run_id: run, source: OpenSealedError::NotFound { .. } }
        if *run == run_id(1));
    assert!(cache.seen.is_empty(), "nothing was applied");
}

#[test]
fn runs_that_name_each_other_are_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    leave_child(folder, 1, Some(1), &cut());
    let mut lifecycle = lifecycle(folder);
    // It continues from itself, so that none is left to continue from.
    let mut cache = Counts::default();
    assert_eq!(lifecycle.restore_parent_cache(&instance(), &mut cache).unwrap(), None);
}

#[test]
fn a_snapshot_that_is_gone_is_an_error_of_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut cache = Counts::default();
    leave_with_snapshot(folder, 1, None, &mut cache, 20);
    cache.blobs.clear();
    let error = lifecycle(folder).restore_parent_cache(&instance(), &mut cache).unwrap_err();
    assert_matches!(&error, RestoreParentError::Restore { run_id: run, .. } if *run == run_id(1));
    assert!(cache.seen.is_empty());
}
