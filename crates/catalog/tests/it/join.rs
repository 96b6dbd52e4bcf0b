//! Entries and market data in one order.

use tapline::EventStoreReader;
use tapline::internals::error_chain;
use tapline::read::ReadError;
use tapline_catalog::{
    DataRequest, EmptyCatalog, JoinError, MarketRecord, ReplayInputs, ReplayItem, TimeRange,
};

use crate::market::{MemoryCatalog, quote, request, slice};
use crate::{assert_matches, runs};

const ALL: TimeRange = TimeRange::new(0, 100);

/// Quotes told apart by their bids.
fn quotes(quotes: &[(u64, i64)]) -> Vec<Option<MarketRecord>> {
    quotes.iter().map(|(ts_init, bid)| Some(quote(*ts_init, *bid))).collect()
}

/// What the replay returns: `entry <seq>`, or instrument and bid. An error ends it.
fn replay(
    reader: &EventStoreReader,
    catalog: &MemoryCatalog,
    inputs: &ReplayInputs,
) -> (Vec<String>, Option<JoinError>) {
    let planned = inputs.plan(catalog).unwrap();
    let mut replay = planned.replay(reader, catalog);
    let mut items = Vec::new();
    let error = loop {
        match replay.next() {
            None => break None,
            Some(Err(error)) => break Some(error),
            Some(Ok(ReplayItem::Entry(entry))) => items.push(format!("entry {}", entry.seq)),
            Some(Ok(ReplayItem::Market { instrument, record: MarketRecord::Quote(quote) })) => {
                items.push(format!("{instrument} {}", quote.bid_price));
            }
            Some(Ok(other)) => panic!("{other:?}"),
        }
    };
    assert!(replay.next().is_none() && replay.next().is_none(), "an ended replay stays ended");
    (items, error)
}

fn everything(data: Vec<DataRequest>) -> ReplayInputs {
    ReplayInputs { data, ..ReplayInputs::entries(1, u64::MAX) }
}

#[test]
fn records_precede_entries_of_their_time() {
    // Entry 3 is of an earlier time than entry 2, and stays behind it.
    let reader = runs::of(&[10, 30, 20, 40]);
    let catalog = MemoryCatalog::default().and(
        slice("ES", ALL),
        &quotes(&[(5, 1), (10, 2), (15, 3), (25, 4), (30, 5), (35, 6), (40, 7), (41, 8), (50, 9)]),
    );
    let (items, error) = replay(&reader, &catalog, &everything(vec![request("ES", ALL)]));
    assert!(error.is_none(), "{error:?}");
    let expected = [
        "ES 1", "ES 2", "entry 1", "ES 3", "ES 4", "ES 5", "entry 2", "entry 3", "ES 6", "ES 7",
        "entry 4", "ES 8", "ES 9",
    ];
    assert_eq!(items, expected);
}

#[test]
fn entries_from_0_begin_with_entry_1() {
    let reader = runs::of(&[10, 20, 30]);
    let (items, error) = replay(&reader, &MemoryCatalog::default(), &ReplayInputs::entries(0, 2));
    assert!(error.is_none(), "{error:?}");
    assert_eq!(items, ["entry 1", "entry 2"]);
}

#[test]
fn an_empty_range_replays_only_market_data() {
    let reader = runs::of(&[10, 20, 30, 40, 50]);
    let catalog = MemoryCatalog::default().and(slice("ES", ALL), &quotes(&[(5, 1), (25, 2)]));
    for (from, to) in [(5, 2), (0, 0), (1, 0)] {
        let inputs = ReplayInputs::entries(from, to);
        let (items, error) = replay(&reader, &catalog, &inputs);
        assert!(items.is_empty() && error.is_none(), "{items:?}, {error:?}");
        let inputs = ReplayInputs { data: vec![request("ES", ALL)], ..inputs };
        let (items, error) = replay(&reader, &catalog, &inputs);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(items, ["ES 1", "ES 2"]);
    }
}

#[test]
fn records_of_one_time_come_in_the_order_of_the_requests_and_of_the_catalog() {
    let reader = runs::of(&[10, 10]);
    let catalog = MemoryCatalog::default()
        .and(slice("ES", ALL), &quotes(&[(10, 1), (10, 2), (11, 3)]))
        .and(slice("NQ", ALL), &quotes(&[(9, 4), (10, 5), (10, 6)]));
    let (es, nq) = (request("ES", ALL), request("NQ", ALL));
    let (items, _) = replay(&reader, &catalog, &everything(vec![es.clone(), nq.clone()]));
    let expected = ["NQ 4", "ES 1", "ES 2", "NQ 5", "NQ 6", "entry 1", "entry 2", "ES 3"];
    assert_eq!(items, expected);
    let (items, _) = replay(&reader, &catalog, &everything(vec![nq, es]));
    let expected = ["NQ 4", "NQ 5", "NQ 6", "ES 1", "ES 2", "entry 1", "entry 2", "ES 3"];
    assert_eq!(items, expected);
}

#[test]
fn empty_slices_are_skipped() {
    let catalog = MemoryCatalog::default()
        .and(slice("ES", TimeRange::new(60, 100)), &quotes(&[(60, 4)]))
        .and(slice("ES", TimeRange::new(0, 19)), &quotes(&[(5, 1), (19, 2)]))
        .and(slice("ES", TimeRange::new(20, 39)), &[])
        .and(slice("ES", TimeRange::new(40, 59)), &quotes(&[(45, 3)]));
    let (items, _) = replay(&runs::of(&[30]), &catalog, &everything(vec![request("ES", ALL)]));
    assert_eq!(items, ["ES 1", "ES 2", "entry 1", "ES 3", "ES 4"]);
}

#[test]
fn only_the_entries_asked_for_are_replayed() {
    let reader = runs::of(&[1, 2, 3, 4, 5]);
    let planned = ReplayInputs::entries(2, 4).plan(&EmptyCatalog).unwrap();
    let seqs: Vec<u64> = planned
        .replay(&reader, &EmptyCatalog)
        .map(|item| match item.unwrap() {
            ReplayItem::Entry(entry) => entry.seq,
            other @ ReplayItem::Market { .. } => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seqs, [2, 3, 4]);
}

#[test]
fn an_unloadable_record_ends_the_replay() {
    let mut records = quotes(&[(5, 1), (10, 2)]);
    records.push(None);
    let catalog = MemoryCatalog::default().and(slice("ES", ALL), &records);
    let (items, error) =
        replay(&runs::of(&[7, 50]), &catalog, &everything(vec![request("ES", ALL)]));
    assert_eq!(items, ["ES 1", "entry 1", "ES 2"]);
    let error = error.unwrap();
    assert_eq!(error_chain(&error), "cannot load quote of ES from ES@0: a bad record");
    assert_matches!(error, JoinError::Load { .. });
}

#[test]
fn a_lost_slice_ends_the_replay() {
    let catalog = MemoryCatalog::with(&[("ES", TimeRange::new(50, 100))])
        .and(slice("ES", TimeRange::new(0, 49)), &quotes(&[(5, 1)]));
    let (items, error) = replay(&runs::of(&[3]), &catalog, &everything(vec![request("ES", ALL)]));
    assert_eq!(items, ["entry 1", "ES 1"]);
    assert_matches!(error, Some(JoinError::Load { slice_ref, .. }) if slice_ref == "ES@50");
}

#[test]
fn misplaced_records_are_refused() {
    let (first, second) = (TimeRange::new(10, 49), TimeRange::new(50, 100));
    // Records of the two slices, how many are returned, the time that is refused, and what could
    // follow there.
    let cases = [
        (vec![(20, 1), (19, 2)], vec![], 1, 19, TimeRange::new(20, 49)),
        (vec![(9, 1)], vec![], 0, 9, first),
        (vec![(20, 1), (50, 2)], vec![], 1, 50, TimeRange::new(20, 49)),
        (vec![(20, 1)], vec![(49, 2)], 1, 49, second),
    ];
    for (of_first, of_second, handed_out, refused, could_follow) in cases {
        let catalog = MemoryCatalog::default()
            .and(slice("ES", first), &quotes(&of_first))
            .and(slice("ES", second), &quotes(&of_second));
        let data = vec![request("ES", TimeRange::new(10, 100))];
        let (items, error) = replay(&runs::of(&[]), &catalog, &everything(data));
        assert_eq!(items.len(), handed_out);
        assert_matches!(
            error,
            Some(JoinError::OutOfOrder { ts_init, allowed, .. })
                if (ts_init.as_u64(), allowed) == (refused, could_follow)
        );
    }
}

#[test]
fn an_entry_that_cannot_be_read_ends_the_replay() {
    let reader = runs::without_names(&[10]);
    let catalog = MemoryCatalog::default().and(slice("ES", ALL), &quotes(&[(5, 1)]));
    let (items, error) = replay(&reader, &catalog, &everything(vec![request("ES", ALL)]));
    assert!(items.is_empty(), "what comes before an entry of unknown time is unknown: {items:?}");
    assert_matches!(error, Some(JoinError::Read(ReadError::Store(_))));
}

#[test]
fn a_run_cut_short_ends_the_replay_with_what_is_missing() {
    let (_folder, reader) = runs::cut_short(&[1, 2, 3, 4, 5, 6, 7, 8, 9], 7);
    let planned = ReplayInputs::entries(5, u64::MAX).plan(&EmptyCatalog).unwrap();
    let items: Vec<_> = planned.replay(&reader, &EmptyCatalog).take(10).collect();
    assert_eq!(items.len(), 3);
    assert!(items[..2].iter().all(Result::is_ok));
    assert_matches!(&items[2], Err(JoinError::Read(ReadError::Gap { from: 7, to: 9 })));
}
