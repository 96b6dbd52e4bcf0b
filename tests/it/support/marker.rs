//! Markers to record.

use tapline::{
    DataCursorSnapshot, DataMarkerClass, Hash, HiFiMarker, Marker, MarkerCounts, MarkerGap,
    MarkerGapReason, MarkerManifest, RunStatus, StreamCursor, StreamDictEntry,
};

use super::run_id;

pub(crate) fn manifest() -> MarkerManifest {
    MarkerManifest {
        run_id: run_id(1),
        enabled_classes: DataMarkerClass::ALL.to_vec(),
        high_fidelity: vec![stream(0).identifier, stream(1).identifier],
        counts: MarkerCounts::default(),
        status: RunStatus::Running,
    }
}

pub(crate) fn stream(slot: u32) -> StreamDictEntry {
    let identifier = format!("instrument {slot}");
    StreamDictEntry { slot, data_cls: DataMarkerClass::Quote, identifier }
}

/// A snapshot in which one stream has moved.
pub(crate) fn cursor(marker_seq: u64, event_seq_before: u64, slot: u32, count: u64) -> Marker {
    let ts_init_hi = (1_000 + count).into();
    Marker::Cursor(DataCursorSnapshot {
        marker_seq,
        event_seq_before,
        ts_init: (1_000 + marker_seq).into(),
        advanced: vec![StreamCursor { slot, ts_init_hi, count }],
    })
}

pub(crate) fn hifi(marker_seq: u64, event_seq_before: u64, slot: u32) -> Marker {
    Marker::HiFi(HiFiMarker {
        marker_seq,
        event_seq_before,
        slot,
        ts_event: 5.into(),
        ts_init: 6.into(),
        same_ts_ordinal: 7,
        record_fingerprint: Hash::of(b"record"),
    })
}

pub(crate) fn gap(from: u64, to: u64) -> Marker {
    Marker::Gap(MarkerGap { from, to, reason: MarkerGapReason::Overflow })
}
