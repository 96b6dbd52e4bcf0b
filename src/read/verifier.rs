use std::sync::Arc;

use bytes::Bytes;

use super::index_check::IndexCheck;
use super::{Finding, VerifyReport};
use crate::format::{FrameView, HashLanes, RecordView};
use crate::model::{Hash, RunManifest, UnixNanos};
use crate::store::{ReadFault, RunReader};

/// Walks all of a run and collects what is wrong with it. Changes nothing, and needs the memory of
/// one frame and the names table.
pub struct Verifier {
    source: Arc<dyn RunReader>,
    expected_root: Option<Hash>,
}

impl Verifier {
    /// A verifier of the run behind `source`.
    pub fn new(source: Arc<dyn RunReader>) -> Self {
        Self { source, expected_root: None }
    }

    /// Also compares the run's root with the one that was printed when it was sealed. Only with it
    /// can a run that was changed and consistently sealed anew be told from the original.
    #[must_use]
    pub fn expect_root(mut self, root: Hash) -> Self {
        self.expected_root = Some(root);
        self
    }

    /// Verifies the run. Calls `progress` after each frame with the entries scanned so far.
    pub fn run(&self, mut progress: impl FnMut(u64)) -> VerifyReport {
        let source = &*self.source;
        let mut findings = Findings::default();
        let manifest = match source.manifest() {
            Ok(manifest) => Some(manifest),
            Err(error) => {
                findings.unreadable("manifest", &error);
                None
            }
        };
        let mut walk = Walk::new();
        walk.frames(source, &mut findings, &mut progress);
        walk.check_names_table(source, &mut findings);
        if let Some(manifest) = &manifest {
            walk.check_manifest(manifest, &mut findings);
            walk.index.finish(source, manifest, &mut findings);
        }
        walk.check_anchor(source, &mut findings);
        let root = self.check_root(&mut findings);
        VerifyReport {
            run_id: manifest.as_ref().map(|manifest| manifest.run_id),
            status: manifest.as_ref().map(|manifest| manifest.status),
            entries_scanned: walk.scanned,
            root,
            findings: findings.kept,
            findings_omitted: findings.omitted,
        }
    }

    fn check_root(&self, findings: &mut Findings) -> Option<Hash> {
        // An unreadable manifest, the only other cause, is reported already.
        let root = self.source.root().ok().flatten();
        if let Some(expected) = self.expected_root
            && root != Some(expected)
        {
            findings.push(Finding::RootMismatch {
                expected: expected.to_string(),
                found: root.map_or_else(|| "none".to_owned(), |root| root.to_string()),
            });
        }
        root
    }
}

/// Findings, the first of them in full.
#[derive(Debug, Default)]
pub(super) struct Findings {
    kept: Vec<Finding>,
    omitted: u64,
}

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        if self.kept.len() < VerifyReport::FINDINGS_MAX {
            self.kept.push(finding);
        } else {
            self.omitted += 1;
        }
    }

    pub(super) fn unreadable(&mut self, what: &'static str, error: &ReadFault) {
        self.push(Finding::Unreadable { what, error: error.to_string() });
    }

    /// As [`push`](Self::push), for a finding that is costly to make: only one that is kept is made.
    pub(super) fn push_with<E>(
        &mut self,
        finding: impl FnOnce() -> Result<Finding, E>,
    ) -> Result<(), E> {
        if self.kept.len() < VerifyReport::FINDINGS_MAX {
            self.kept.push(finding()?);
        } else {
            self.omitted += 1;
        }
        Ok(())
    }
}

/// What is known of the run after the frames seen so far.
struct Walk {
    lanes: HashLanes,
    hashes: Vec<Hash>,
    next_seq: u64,
    /// Whether the last frame was damaged, so that `next_seq` means nothing.
    end_unknown: bool,
    root: Hash,
    names: Vec<String>,
    /// Whether a frame before this one is missing or damaged, and with it perhaps names.
    names_lost: bool,
    ts_init_max: UnixNanos,
    scanned: u64,
    index: IndexCheck,
}

impl Walk {
    fn new() -> Self {
        Self {
            lanes: HashLanes::default(),
            hashes: Vec::new(),
            next_seq: 1,
            end_unknown: false,
            root: Hash::from_bytes([0; 32]),
            names: Vec::new(),
            names_lost: false,
            ts_init_max: UnixNanos::default(),
            scanned: 0,
            index: IndexCheck::default(),
        }
    }

    fn frames(
        &mut self,
        source: &dyn RunReader,
        findings: &mut Findings,
        progress: &mut dyn FnMut(u64),
    ) {
        // Frames are asked for by the key they are stored under, from 0 on, so that none is missed.
        let mut stored_from = 0;
        loop {
            let (key, bytes) = match source.frame_at_or_after(stored_from) {
                Ok(None) => return,
                Ok(Some(frame)) => frame,
                Err(error) => return findings.unreadable("frames", &error),
            };
            self.frame(key, &bytes, findings);
            progress(self.scanned);
            match key.checked_add(1) {
                Some(next) => stored_from = next,
                None => return,
            }
        }
    }

    fn frame(&mut self, key: u64, bytes: &Bytes, findings: &mut Findings) {
        if std::mem::take(&mut self.end_unknown) {
            // Where the damaged frame before this one ended cannot be said.
        } else if key > self.next_seq {
            findings.push(Finding::Gap { from: self.next_seq, to: key - 1 });
            self.names_lost = true;
        } else if key < self.next_seq {
            findings.push(Finding::SeqMismatch { stored_as: key, says: self.next_seq });
        }
        let damaged = |error: &dyn std::error::Error| Finding::FrameDamaged {
            first_seq: key,
            error: error.to_string(),
        };
        let frame = match FrameView::parse(bytes) {
            Ok(frame) => frame,
            Err(error) => {
                findings.push(damaged(&error));
                self.end_unknown = true;
                self.names_lost = true;
                return;
            }
        };
        if frame.first_seq() != key {
            findings.push(Finding::SeqMismatch { stored_as: key, says: frame.first_seq() });
        }
        if let Err(error) = frame.check_offsets() {
            findings.push(damaged(&error));
        }
        self.chain(key, &frame, findings);
        self.names.extend(frame.names().map(str::to_owned));
        self.records(key, &frame, findings);
        self.next_seq = key.saturating_add(frame.count() as u64);
    }

    fn chain(&mut self, key: u64, frame: &FrameView<'_>, findings: &mut Findings) {
        let mut broken = |error: &str| {
            findings.push(Finding::ChainBreak { first_seq: key, error: error.to_owned() });
        };
        if frame.previous_root() != self.root {
            broken("it does not continue from the root of the frame before");
        }
        if frame.compute_root() != frame.root() {
            broken("its content does not have its root");
        }
        self.root = frame.root();
    }

    fn records(&mut self, key: u64, frame: &FrameView<'_>, findings: &mut Findings) {
        frame.hash_records(&mut self.lanes, &mut self.hashes);
        for index in 0..frame.count() {
            let seq = key.saturating_add(index as u64);
            let is_intact = self.hashes[index] == frame.entry_hash(index);
            if !is_intact {
                findings.push(Finding::HashMismatch { seq });
            }
            // A malformed record is reported with the frame's offsets.
            if let Ok(record) = frame.record(index) {
                self.record(seq, &record, findings);
                if is_intact && record.seq() == seq && frame.first_seq() == key {
                    self.index.entry(&record);
                }
            }
            self.scanned += 1;
        }
        self.index.frame_ends();
    }

    fn record(&mut self, seq: u64, record: &RecordView<'_>, findings: &mut Findings) {
        if record.seq() != seq {
            findings.push(Finding::SeqMismatch { stored_as: seq, says: record.seq() });
        }
        let id = record.topic_id().max(record.type_id());
        if id as usize >= self.names.len() && !self.names_lost {
            findings.push(Finding::UnknownName { seq, id });
        }
        self.ts_init_max = self.ts_init_max.max(record.ts_init());
    }

    /// The names table is what readers use, the names in the frames are what the hashes cover.
    fn check_names_table(&self, source: &dyn RunReader, findings: &mut Findings) {
        let table = match source.names(0) {
            Ok(table) => table,
            Err(error) => return findings.unreadable("names table", &error),
        };
        let table: std::collections::BTreeMap<u32, String> = table.into_iter().collect();
        let frames = (0_u32..).zip(&self.names);
        for (id, name) in frames {
            if table.get(&id) != Some(name) {
                let (table, frames) = (table.get(&id).cloned(), Some(name.clone()));
                findings.push(Finding::NameMismatch { id, table, frames });
            }
        }
        for (id, name) in table.range(self.names.len() as u32..) {
            let table = Some(name.clone());
            findings.push(Finding::NameMismatch { id: *id, table, frames: None });
        }
    }

    fn check_manifest(&self, manifest: &RunManifest, findings: &mut Findings) {
        let mut compare = |field, manifest: String, run: String| {
            if manifest != run {
                findings.push(Finding::ManifestMismatch { field, manifest, run });
            }
        };
        let text = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        let start = manifest.run_id.start();
        compare("start_ts_init", manifest.start_ts_init.to_string(), start.to_string());
        let (watermark, end, root) = if manifest.status.is_sealed() {
            let has_entries = self.next_seq > 1;
            let end = has_entries.then(|| self.ts_init_max.to_string());
            let root = has_entries.then(|| self.root.to_string());
            (self.next_seq - 1, end, root)
        } else {
            (0, None, None)
        };
        compare("high_watermark", manifest.high_watermark.to_string(), watermark.to_string());
        compare("end_ts_init", text(manifest.end_ts_init.map(|ts| ts.to_string())), text(end));
        compare("frames_root", text(manifest.frames_root.map(|root| root.to_string())), text(root));
    }

    fn check_anchor(&self, source: &dyn RunReader, findings: &mut Findings) {
        let watermark = self.next_seq - 1;
        match source.anchor() {
            Ok(Some(anchor)) if anchor.high_watermark > watermark => {
                let anchor = anchor.high_watermark;
                findings.push(Finding::AnchorPastWatermark { anchor, watermark });
            }
            Ok(_) => {}
            Err(error) => findings.push(Finding::AnchorUnreadable { error: error.to_string() }),
        }
    }
}
