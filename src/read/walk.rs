use bytes::Bytes;

use super::Finding;
use super::digest::FrameDigest;
use super::finding::Findings;
use super::index_check::IndexCheck;
use crate::format::{BatchHasher, FrameView, RecordView};
use crate::model::{Hash, RunManifest, UnixNanos, error_chain};
use crate::store::{ReadFault, RunReader};

/// What the verifier knows about the run after the frames seen so far.
pub(super) struct Walk {
    hasher: BatchHasher,
    hashes: Vec<Hash>,
    next_seq: u64,
    /// True after a damaged frame, or if the walk broke off. Then `next_seq` means nothing.
    end_unknown: bool,
    root: Hash,
    names: Vec<String>,
    /// How many names there were before the first frame that is missing, damaged or one too many.
    /// The numbers of later names are unknown.
    names_before_loss: Option<usize>,
    ts_init_max: UnixNanos,
    scanned: u64,
    index: IndexCheck,
}

impl Walk {
    pub(super) fn new() -> Self {
        Self {
            hasher: BatchHasher::default(),
            hashes: Vec::new(),
            next_seq: 1,
            end_unknown: false,
            root: Hash::ZERO,
            names: Vec::new(),
            names_before_loss: None,
            ts_init_max: UnixNanos::default(),
            scanned: 0,
            index: IndexCheck::new(),
        }
    }

    /// Takes the next frame of the run. If it is sound and follows the frames before, its digest is
    /// enough. Any other frame is examined in full, to report what is wrong.
    pub(super) fn step(
        &mut self,
        key: u64,
        digest: Option<FrameDigest>,
        source: &dyn RunReader,
        findings: &mut Findings,
    ) -> Result<(), ReadFault> {
        match digest {
            Some(digest) if self.follows(key, &digest) => self.accept(key, digest),
            _ => {
                if let Some((key, bytes)) = source.frame_at_or_after(key)? {
                    self.frame(key, &bytes, findings);
                }
            }
        }
        Ok(())
    }

    fn follows(&self, key: u64, digest: &FrameDigest) -> bool {
        let names = self.names.len() + digest.names.len();
        !self.end_unknown
            && key == self.next_seq
            && digest.previous_root == self.root
            && ((digest.name_id_max as usize) < names || self.has_lost_frames())
    }

    fn accept(&mut self, key: u64, digest: FrameDigest) {
        self.root = digest.root;
        self.names.extend(digest.names);
        self.ts_init_max = self.ts_init_max.max(digest.ts_init_max);
        self.index.accept(key, digest.keys);
        self.scanned += digest.count;
        self.next_seq = key.saturating_add(digest.count);
    }

    fn has_lost_frames(&self) -> bool {
        self.names_before_loss.is_some()
    }

    /// Notes that a frame is missing, damaged or one too many.
    fn lose_frame(&mut self) {
        self.names_before_loss = self.names_before_loss.or(Some(self.names.len()));
    }

    /// Notes that it is unknown where the run goes on.
    pub(super) fn break_off(&mut self) {
        self.end_unknown = true;
        self.lose_frame();
    }

    /// Reports a frame stored under `key` that does not begin where the frame before ends.
    fn place(&mut self, key: u64, findings: &mut Findings) {
        if std::mem::take(&mut self.end_unknown) {
            // Where the damaged frame before this one ended is unknown.
        } else if key > self.next_seq {
            findings.push(Finding::Gap { from: self.next_seq, to: key - 1 });
            self.lose_frame();
        } else if key < self.next_seq {
            let error = format!("it begins before entry {}, which comes next", self.next_seq);
            findings.push(Finding::ChainBreak { first_seq: key, error });
            self.lose_frame();
        }
    }

    /// Examines a whole frame and reports what is wrong.
    fn frame(&mut self, key: u64, bytes: &Bytes, findings: &mut Findings) {
        self.place(key, findings);
        let damaged = |error: &dyn std::error::Error| Finding::FrameDamaged {
            first_seq: key,
            error: error_chain(error),
        };
        let frame = match FrameView::parse(bytes) {
            Ok(frame) => frame,
            Err(error) => {
                findings.push(damaged(&error));
                self.break_off();
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
        // A frame within another does not move the end back.
        self.next_seq = self.next_seq.max(key.saturating_add(frame.count() as u64));
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
        frame.hash_records(&mut self.hasher, &mut self.hashes);
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
        self.index.frame_ends(key);
    }

    fn record(&mut self, seq: u64, record: &RecordView<'_>, findings: &mut Findings) {
        if record.seq() != seq {
            findings.push(Finding::SeqMismatch { stored_as: seq, says: record.seq() });
        }
        let id = record.name_id_max();
        if id as usize >= self.names.len() && !self.has_lost_frames() {
            findings.push(Finding::UnknownName { seq, id });
        }
        self.ts_init_max = self.ts_init_max.max(record.ts_init());
    }

    /// How many entries had their place and bytes checked.
    pub(super) fn scanned(&self) -> u64 {
        self.scanned
    }

    /// The largest `ts_init`; `None` without entries.
    pub(super) fn end_ts_init(&self) -> Option<UnixNanos> {
        (self.scanned > 0).then_some(self.ts_init_max)
    }

    /// What the index should have.
    pub(super) fn index(&self) -> &IndexCheck {
        &self.index
    }

    /// Compares the names table, which readers use, with the names in the frames, which the hashes
    /// cover. Leaves out names whose numbers are unknown.
    pub(super) fn check_names_table(&self, source: &dyn RunReader, findings: &mut Findings) {
        let table = match source.names(0) {
            Ok(table) => table,
            Err(error) => return findings.unreadable("names table", &error),
        };
        let table: std::collections::BTreeMap<u32, String> = table.into_iter().collect();
        let known = self.names_before_loss.unwrap_or(self.names.len());
        let frames = (0_u32..).zip(&self.names[..known]);
        for (id, name) in frames {
            if table.get(&id) != Some(name) {
                let (table, frames) = (table.get(&id).cloned(), Some(name.clone()));
                findings.push(Finding::NameMismatch { id, table, frames });
            }
        }
        if self.has_lost_frames() {
            return;
        }
        for (id, name) in table.range(known as u32..) {
            let table = Some(name.clone());
            findings.push(Finding::NameMismatch { id: *id, table, frames: None });
        }
    }

    /// Compares the manifest with the frames. Does not report what a lost or damaged frame may
    /// explain.
    pub(super) fn check_manifest(&self, manifest: &RunManifest, findings: &mut Findings) {
        let mut compare = |field, manifest: String, run: String| {
            if manifest != run {
                findings.push(Finding::ManifestMismatch { field, manifest, run });
            }
        };
        let text = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        let start = manifest.run_id.start();
        compare("start_ts_init", manifest.start_ts_init.to_string(), start.to_string());
        let is_sealed = manifest.status.is_sealed();
        if is_sealed && self.end_unknown {
            return;
        }
        let has_end = is_sealed && self.next_seq > 1;
        let watermark = if is_sealed { self.next_seq - 1 } else { 0 };
        let end = has_end.then_some(self.ts_init_max);
        let root = has_end.then_some(self.root);
        compare("high_watermark", manifest.high_watermark.to_string(), watermark.to_string());
        // The entry with the largest time may be in a lost frame.
        let may_be_lost = is_sealed && self.has_lost_frames() && manifest.end_ts_init > end;
        if !may_be_lost {
            let [manifest, run] =
                [manifest.end_ts_init, end].map(|end| text(end.map(|ts| ts.to_string())));
            compare("end_ts_init", manifest, run);
        }
        let [manifest, run] =
            [manifest.frames_root, root].map(|root| text(root.map(|root| root.to_string())));
        compare("frames_root", manifest, run);
    }

    /// Checks that the anchor can be read and is not past the watermark.
    pub(super) fn check_anchor(&self, source: &dyn RunReader, findings: &mut Findings) {
        let watermark = self.next_seq - 1;
        match source.anchor() {
            // It may point into the damaged frame.
            Ok(_) if self.end_unknown => {}
            Ok(Some(anchor)) if anchor.high_watermark > watermark => {
                let anchor = anchor.high_watermark;
                findings.push(Finding::AnchorPastWatermark { anchor, watermark });
            }
            Ok(_) => {}
            Err(error) => findings.push(Finding::AnchorUnreadable { error: error_chain(&error) }),
        }
    }
}
