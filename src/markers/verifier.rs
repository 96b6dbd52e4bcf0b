use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::{MarkerFinding, MarkerReader, MarkerSource, MarkerStoreError};
use crate::format::StoredMarker;
use crate::model::{
    DataCursorSnapshot, Marker, MarkerCounts, MarkerManifest, RunId, StreamCursor, StreamDictEntry,
    UnixNanos, error_chain,
};

/// The result of verifying a sidecar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkerVerifyReport {
    /// The manifest, if it can be read.
    pub manifest: Option<MarkerManifest>,
    /// What is in the sidecar.
    pub counts: MarkerCounts,
    /// The last number that a marker has or a gap covers; 0 if there is none.
    pub last_marker_seq: u64,
    /// What is wrong: the first [`FINDINGS_MAX`](Self::FINDINGS_MAX) findings.
    pub findings: Vec<MarkerFinding>,
    /// How many more findings there are.
    pub findings_omitted: u64,
}

impl MarkerVerifyReport {
    /// How many findings are kept.
    pub const FINDINGS_MAX: usize = 1000;

    /// True if nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn push(&mut self, finding: MarkerFinding) {
        if self.findings.len() < Self::FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.findings_omitted += 1;
        }
    }
}

/// The dictionary, by slot. A damaged row is `None`.
type Streams = BTreeMap<u32, Option<StreamDictEntry>>;

/// Walks a whole sidecar and collects what is wrong. Changes nothing. Holds one block and the
/// dictionary in memory.
pub struct MarkerVerifier {
    reader: MarkerReader,
    run: Option<(RunId, u64)>,
}

impl MarkerVerifier {
    /// A verifier of the sidecar behind `source`.
    pub fn new(source: Arc<dyn MarkerSource>) -> Self {
        Self { reader: MarkerReader::new(source), run: None }
    }

    /// Also checks the sidecar against the run beside it.
    #[must_use]
    pub fn beside(self, run_id: RunId, watermark: u64) -> Self {
        Self { run: Some((run_id, watermark)), ..self }
    }

    /// Verifies the sidecar.
    pub fn run(&self) -> MarkerVerifyReport {
        let mut report = MarkerVerifyReport::default();
        let streams = self.check_dictionary(&mut report);
        let mut walk = Walk::new(&streams, self.run.map_or(u64::MAX, |(_, watermark)| watermark));
        self.check_blocks(&mut walk, &mut report);
        report.last_marker_seq = walk.last_seq;
        match self.reader.manifest() {
            Ok(manifest) => {
                self.check_manifest(&manifest, &mut report);
                check_scope(&manifest, &streams, &walk.high_fidelity, &mut report);
                report.manifest = Some(manifest);
            }
            Err(error) => report.push(unreadable("the manifest", &error)),
        }
        report
    }

    fn check_dictionary(&self, report: &mut MarkerVerifyReport) -> Streams {
        let rows = self.reader.source().streams().unwrap_or_else(|error| {
            report.push(unreadable("the dictionary", &error));
            Vec::new()
        });
        report.counts.dict = rows.len() as u64;
        let mut known = HashSet::new();
        let mut streams = Streams::new();
        for (slot, row) in rows {
            let stream = self.check_stream(slot, &row, report);
            if let Some(StreamDictEntry { data_cls, identifier, .. }) = &stream
                && !known.insert((*data_cls, identifier.clone()))
            {
                let (data_cls, identifier) = (*data_cls, identifier.clone());
                report.push(MarkerFinding::StreamTwice { slot, data_cls, identifier });
            }
            streams.insert(slot, stream);
        }
        streams
    }

    fn check_stream(
        &self,
        slot: u32,
        row: &[u8],
        report: &mut MarkerVerifyReport,
    ) -> Option<StreamDictEntry> {
        let damaged = |error: String| MarkerFinding::StreamDamaged { slot, error };
        match self.reader.codec().decode_stream(row) {
            Err(error) => report.push(damaged(error_chain(&error))),
            Ok(stored) if !stored.is_intact => {
                report.push(MarkerFinding::StreamHashMismatch { slot });
            }
            Ok(stored) if stored.stream.slot != slot => {
                let says = stored.stream.slot;
                report.push(damaged(format!("it says that it is stream {says}")));
            }
            Ok(stored) => return Some(stored.stream),
        }
        None
    }

    fn check_blocks(&self, walk: &mut Walk, report: &mut MarkerVerifyReport) {
        let mut from = 0;
        loop {
            let (first, block) = match self.reader.source().block_at_or_after(from) {
                Ok(Some(block)) => block,
                Ok(None) => return,
                Err(error) => return report.push(unreadable("the markers", &error)),
            };
            let mut rest = &block[..];
            let mut is_first = true;
            loop {
                match self.reader.codec().decode(rest) {
                    Ok(None) => break,
                    Ok(Some((stored, behind))) => {
                        let (says, _) = stored.marker.marker_seqs();
                        if std::mem::take(&mut is_first) && says != first {
                            report.push(MarkerFinding::BlockMismatch { stored_as: first, says });
                        }
                        walk.step(&stored, report);
                        rest = behind;
                    }
                    Err(error) => {
                        let error = error_chain(&error);
                        report.push(MarkerFinding::BlockDamaged { first, error });
                        break;
                    }
                }
            }
            let Some(next) = first.checked_add(1) else { return };
            from = next;
        }
    }

    fn check_manifest(&self, manifest: &MarkerManifest, report: &mut MarkerVerifyReport) {
        let (says, found) = (manifest.counts, report.counts);
        if manifest.status.is_sealed() {
            let counts = [
                ("snapshots", says.snapshots, found.snapshots),
                ("high-fidelity markers", says.hifi, found.hifi),
                ("gaps", says.gaps, found.gaps),
                ("streams", says.dict, found.dict),
            ];
            for (what, manifest, found) in counts {
                if manifest != found {
                    report.push(MarkerFinding::CountMismatch { what, manifest, found });
                }
            }
        }
        if let Some((expected, _)) = self.run
            && manifest.run_id != expected
        {
            report.push(MarkerFinding::WrongRun { expected, found: manifest.run_id });
        }
    }
}

/// Checks that nothing was marked beyond the classes and instruments of the manifest.
fn check_scope(
    manifest: &MarkerManifest,
    streams: &Streams,
    high_fidelity: &BTreeSet<u32>,
    report: &mut MarkerVerifyReport,
) {
    let chosen: HashSet<&String> = manifest.high_fidelity.iter().collect();
    for StreamDictEntry { slot, data_cls, identifier } in streams.values().flatten() {
        let (slot, data_cls) = (*slot, *data_cls);
        if !manifest.enabled_classes.contains(&data_cls) {
            report.push(MarkerFinding::ClassNotEnabled { slot, data_cls });
        }
        if high_fidelity.contains(&slot) && !chosen.contains(identifier) {
            let identifier = identifier.clone();
            report.push(MarkerFinding::NotHighFidelity { slot, identifier });
        }
    }
}

fn unreadable(what: &'static str, error: &MarkerStoreError) -> MarkerFinding {
    MarkerFinding::MarkersUnreadable { what, error: error_chain(error) }
}

/// What the markers so far say.
struct Walk<'a> {
    streams: &'a Streams,
    /// Streams that have high-fidelity markers.
    high_fidelity: BTreeSet<u32>,
    watermark: u64,
    last_seq: u64,
    event_seq_before: u64,
    ts_init: UnixNanos,
    cursors: HashMap<u32, StreamCursor>,
}

impl<'a> Walk<'a> {
    fn new(streams: &'a Streams, watermark: u64) -> Self {
        Self {
            streams,
            high_fidelity: BTreeSet::new(),
            watermark,
            last_seq: 0,
            event_seq_before: 0,
            ts_init: UnixNanos::default(),
            cursors: HashMap::new(),
        }
    }

    fn step(&mut self, stored: &StoredMarker, report: &mut MarkerVerifyReport) {
        let marker = &stored.marker;
        let (marker_seq, last) = marker.marker_seqs();
        report.counts.add(marker);
        if !stored.is_intact {
            // The content of this marker means nothing.
            report.push(MarkerFinding::MarkerHashMismatch { marker_seq });
            self.last_seq = self.last_seq.max(last);
            return;
        }
        self.check_number(marker_seq, last, report);
        if let Some(event_seq_before) = marker.event_seq_before() {
            self.check_place(marker_seq, event_seq_before, report);
        }
        match marker {
            Marker::Cursor(snapshot) => self.check_snapshot(snapshot, report),
            Marker::HiFi(marker) => {
                self.check_slot(marker_seq, marker.slot, report);
                self.high_fidelity.insert(marker.slot);
            }
            Marker::Gap(_) => {}
        }
    }

    fn check_number(&mut self, first: u64, last: u64, report: &mut MarkerVerifyReport) {
        let behind = self.last_seq;
        if first <= behind || last < first {
            report.push(MarkerFinding::MarkerOverlap { marker_seq: first, behind });
        } else if first - behind > 1 {
            report.push(MarkerFinding::MarkersMissing { from: behind + 1, to: first - 1 });
        }
        self.last_seq = behind.max(last);
    }

    fn check_place(&mut self, marker_seq: u64, place: u64, report: &mut MarkerVerifyReport) {
        let behind = self.event_seq_before;
        if place < behind {
            report.push(MarkerFinding::EventSeqRegressed {
                marker_seq,
                event_seq_before: place,
                behind,
            });
        }
        if place > self.watermark {
            report.push(MarkerFinding::PastWatermark {
                marker_seq,
                event_seq_before: place,
                watermark: self.watermark,
            });
        }
        self.event_seq_before = behind.max(place);
    }

    fn check_snapshot(&mut self, snapshot: &DataCursorSnapshot, report: &mut MarkerVerifyReport) {
        let marker_seq = snapshot.marker_seq;
        if snapshot.ts_init < self.ts_init {
            report.push(MarkerFinding::TimeRegressed { marker_seq, slot: None });
        }
        self.ts_init = self.ts_init.max(snapshot.ts_init);
        for cursor in &snapshot.advanced {
            let StreamCursor { slot, ts_init_hi, count } = *cursor;
            self.check_slot(marker_seq, slot, report);
            let before = self.cursors.insert(slot, *cursor);
            let (before, hi_before) =
                before.map_or((0, UnixNanos::default()), |known| (known.count, known.ts_init_hi));
            if count <= before {
                report.push(MarkerFinding::CountRegressed { marker_seq, slot, count, before });
            }
            if ts_init_hi < hi_before {
                report.push(MarkerFinding::TimeRegressed { marker_seq, slot: Some(slot) });
            }
        }
    }

    fn check_slot(&self, marker_seq: u64, slot: u32, report: &mut MarkerVerifyReport) {
        if !self.streams.contains_key(&slot) {
            report.push(MarkerFinding::UnknownStream { marker_seq, slot });
        }
    }
}
