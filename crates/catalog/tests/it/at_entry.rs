//! What a node had seen at an entry, from a catalog.

use tapline::internals::error_chain;
use tapline::markers::{MarkerBackend, MarkerBatch, MarkerReader, RedbMarkerBackend};
use tapline::{
    DataCursorSnapshot, DataMarkerClass, Hash, HiFiMarker, Marker, MarkerCounts, MarkerGap,
    MarkerGapReason, MarkerManifest, RunStatus, StreamCursor, StreamDictEntry,
};
use tapline_catalog::{MarkerJoinError, MarketRecord, StreamAtEntry, TimeRange, join_at_entry};

use crate::market::{MemoryCatalog, quote, slice};
use crate::{assert_matches, runs};

/// A sidecar of two quote streams and one of book changes.
fn sidecar(markers: Vec<Marker>) -> MarkerReader {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.markers.redb");
    let mut backend = RedbMarkerBackend::new(&path);
    let manifest = MarkerManifest {
        run_id: runs::run_id(),
        enabled_classes: DataMarkerClass::ALL.to_vec(),
        high_fidelity: vec![stream(0).identifier, stream(1).identifier],
        counts: MarkerCounts::default(),
        status: RunStatus::Running,
    };
    backend.open(manifest).unwrap();
    let book = StreamDictEntry { data_cls: DataMarkerClass::BookDeltas, ..stream(2) };
    let streams = vec![stream(0), stream(1), book];
    backend.append(&MarkerBatch { streams, markers }).unwrap();
    backend.seal(RunStatus::Ended).unwrap();
    drop(backend);
    // Read on from the open file once its folder is gone.
    MarkerReader::open_sealed(&path).unwrap()
}

fn stream(slot: u32) -> StreamDictEntry {
    let identifier = format!("instrument {slot}");
    StreamDictEntry { slot, data_cls: DataMarkerClass::Quote, identifier }
}

/// A snapshot in which one stream has moved.
fn cursor(marker_seq: u64, event_seq_before: u64, slot: u32, count: u64) -> Marker {
    let ts_init_hi = (1_000 + count).into();
    Marker::Cursor(DataCursorSnapshot {
        marker_seq,
        event_seq_before,
        ts_init: (1_000 + marker_seq).into(),
        advanced: vec![StreamCursor { slot, ts_init_hi, count }],
    })
}

/// The marker of one quote of stream 0.
fn hifi(marker_seq: u64, event_seq_before: u64, ts_init: u64, same_ts_ordinal: u32) -> Marker {
    Marker::HiFi(HiFiMarker {
        marker_seq,
        event_seq_before,
        slot: 0,
        ts_event: 5.into(),
        ts_init: ts_init.into(),
        same_ts_ordinal,
        record_fingerprint: Hash::from_bytes([7; 32]),
    })
}

fn gap(from: u64, to: u64) -> Marker {
    Marker::Gap(MarkerGap { from, to, reason: MarkerGapReason::Overflow })
}

/// Quotes of instrument 0 at the times 1001 to 1010, three of them at 1004, and of instrument 1
/// from 1005 on.
fn catalog() -> MemoryCatalog {
    let times = [1001, 1002, 1003, 1004, 1004, 1004, 1005, 1008, 1010];
    let quotes = |from: u64| {
        let quotes = times.into_iter().zip(1..).filter(move |(time, _)| *time >= from);
        quotes.map(|(time, bid)| Some(quote(time, bid))).collect::<Vec<_>>()
    };
    MemoryCatalog::default()
        .and(slice("instrument 0", TimeRange::new(1000, 1100)), &within(quotes(0), 1000..=1100))
        .and(slice("instrument 1", TimeRange::new(1005, 1100)), &within(quotes(1005), 1005..=1100))
}

fn within(
    quotes: Vec<Option<MarketRecord>>,
    range: std::ops::RangeInclusive<u64>,
) -> Vec<Option<MarketRecord>> {
    let is_in = |quote: &Option<MarketRecord>| {
        quote.as_ref().is_some_and(|quote| range.contains(&quote.ts_init().as_u64()))
    };
    quotes.into_iter().filter(is_in).collect()
}

fn bids(at_entry: &StreamAtEntry) -> Vec<i64> {
    let bid = |record: &MarketRecord| match record {
        MarketRecord::Quote(quote) => quote.bid_price,
        other => panic!("{other:?}"),
    };
    at_entry.records.iter().map(bid).collect()
}

#[test]
fn a_join_gives_records_up_to_the_cursor() {
    // Stream 0 stands at 1003 before entry 5 and at 1008 before entry 9; stream 1 begins behind 5.
    let markers = sidecar(vec![
        cursor(1, 4, 0, 3),
        cursor(2, 6, 0, 8),
        cursor(3, 7, 1, 10),
        cursor(4, 8, 2, 1),
    ]);
    let catalog = catalog();
    assert_eq!(join_at_entry(&markers, &catalog, 4, 100).unwrap(), []);

    let at_5 = join_at_entry(&markers, &catalog, 5, 100).unwrap();
    assert_eq!(at_5.len(), 1, "of stream 1 nothing was seen");
    assert_eq!((at_5[0].stream.slot, at_5[0].cursor.count), (0, 3));
    assert_eq!((bids(&at_5[0]), at_5[0].uncertain), (vec![1, 2, 3], 0));
    assert_eq!(at_5[0].missing, [TimeRange::new(903, 999)]);

    let at_9 = join_at_entry(&markers, &catalog, 9, 2).unwrap();
    assert_eq!(at_9.iter().map(|at| at.stream.slot).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!((bids(&at_9[0]), at_9[0].missing.len()), (vec![8], 0), "1006 to 1008");
    assert_eq!(bids(&at_9[1]), [8, 9], "1008 to 1010");
    let of_the_book = [TimeRange::new(999, 1001)];
    assert_eq!((at_9[2].records.len(), &at_9[2].missing[..]), (0, &of_the_book[..]));
}

#[test]
fn high_fidelity_tells_equal_times_apart() {
    let cursors = |marker_seq| cursor(marker_seq, 4, 0, 4);
    let markers = sidecar(vec![cursors(1)]);
    let at_5 = &join_at_entry(&markers, &catalog(), 5, 0).unwrap()[0];
    assert_eq!((bids(at_5), at_5.uncertain), (vec![4, 5, 6], 3));

    // Of the three at 1004, the third comes behind the entry.
    let before = [hifi(1, 4, 1002, 0), hifi(2, 4, 1003, 0)];
    let at_1004 = [hifi(3, 4, 1004, 0), hifi(4, 4, 1004, 1), cursors(5), hifi(6, 5, 1004, 2)];
    let markers = sidecar(before.iter().chain(&at_1004).cloned().collect());
    let at_5 = &join_at_entry(&markers, &catalog(), 5, 0).unwrap()[0];
    assert_eq!((bids(at_5), at_5.uncertain), (vec![4, 5], 0));
    // Without those before, the cursor counts records without markers, which may be at 1004 too.
    let markers = sidecar(at_1004.to_vec());
    let at_5 = &join_at_entry(&markers, &catalog(), 5, 0).unwrap()[0];
    assert_eq!((bids(at_5), at_5.uncertain), (vec![4, 5, 6], 3));
}

/// Where the markers do not tell how many records of the last time were seen, all are kept.
#[test]
fn what_high_fidelity_markers_do_not_tell_is_uncertain() {
    let marker = |marker_seq, same_ts_ordinal| hifi(marker_seq, 4, 1004, same_ts_ordinal);
    let told = [
        // Counted from the first one twice: by two taps, or because another time came between.
        vec![marker(1, 0), marker(2, 1), marker(3, 0), marker(4, 1), cursor(5, 4, 0, 4)],
        // The first one was shed.
        vec![gap(1, 1), marker(2, 1), cursor(3, 4, 0, 4)],
        vec![marker(1, 1), cursor(2, 4, 0, 4)],
    ];
    for markers in told {
        let at_5 = &join_at_entry(&sidecar(markers.clone()), &catalog(), 5, 0).unwrap()[0];
        assert_eq!((bids(at_5), at_5.uncertain), (vec![4, 5, 6], 3), "{markers:?}");
    }
}

#[test]
fn a_catalog_that_fails_is_named() {
    let markers = sidecar(vec![cursor(1, 4, 0, 3)]);
    let fails = MemoryCatalog { fails_to_plan: true, ..MemoryCatalog::default() };
    let error = join_at_entry(&markers, &fails, 5, 0).unwrap_err();
    assert_eq!(
        error_chain(&error),
        "cannot read quote of instrument 0 from the catalog: the index is gone"
    );
    let unreadable =
        MemoryCatalog::default().and(slice("instrument 0", TimeRange::new(1000, 1100)), &[None]);
    let error = join_at_entry(&markers, &unreadable, 5, 100).unwrap_err();
    assert_matches!(error, MarkerJoinError::Catalog { .. });
}
