//! Which part of the requested market data a catalog has, and which is missing.

use tapline_catalog::{
    Coverage, DataRequest, DataSlice, EmptyCatalog, MarketDataClass, MissingData, PlanError,
    ReplayInputs, TimeRange,
};

use crate::assert_matches;
use crate::market::{MemoryCatalog, request, slice};

fn range(from: u64, to: u64) -> TimeRange {
    TimeRange::new(from, to)
}

#[test]
fn uncovered_time_is_missing() {
    type Case<'a> = (&'a [(u64, u64)], &'a [(u64, u64)]);
    // Requested: 10 to 20. What the slices cover, and what is missing.
    let cases: [Case; 12] = [
        (&[], &[(10, 20)]),
        (&[(10, 20)], &[]),
        (&[(0, 100)], &[]),
        (&[(0, 9), (21, 30)], &[(10, 20)]),
        (&[(0, 10), (20, 30)], &[(11, 19)]),
        (&[(10, 14), (15, 20)], &[]),
        (&[(15, 20), (10, 14)], &[]),
        (&[(10, 14), (16, 20)], &[(15, 15)]),
        (&[(11, 19)], &[(10, 10), (20, 20)]),
        (&[(12, 13), (17, 17)], &[(10, 11), (14, 16), (18, 20)]),
        (&[(10, 18), (12, 14)], &[(19, 20)]),
        (&[(0, u64::MAX)], &[]),
    ];
    for (covered, missing) in cases {
        let slices = covered.iter().map(|(from, to)| slice("ES", range(*from, *to))).collect();
        let coverage = Coverage::of(range(10, 20), slices);
        let expected: Vec<_> = missing.iter().map(|(from, to)| range(*from, *to)).collect();
        assert_eq!(coverage.missing, expected, "{covered:?}");
        assert!(coverage.slices.is_sorted_by_key(|slice| slice.range));
        for slice in coverage.slices {
            assert!(slice.range.from.as_u64() >= 10 && slice.range.to.as_u64() <= 20);
        }
    }
}

#[test]
fn the_ends_of_time_can_be_covered_and_missing() {
    let all = range(0, u64::MAX);
    assert_eq!(Coverage::of(all, vec![]).missing, [all]);
    assert_eq!(Coverage::of(all, vec![slice("ES", all)]).missing, []);
    let inner = Coverage::of(all, vec![slice("ES", range(1, u64::MAX - 1))]);
    assert_eq!(inner.missing, [range(0, 0), range(u64::MAX, u64::MAX)]);
    let empty = Coverage::of(range(5, 4), vec![slice("ES", all)]);
    assert_eq!(empty, Coverage::default());
}

#[test]
fn a_slice_is_cut_to_the_request() {
    let coverage = Coverage::of(range(10, 20), vec![slice("ES", range(5, 12))]);
    let cut = DataSlice { range: range(10, 12), ..slice("ES", range(5, 12)) };
    assert_eq!(coverage.slices, [cut]);
}

#[test]
fn all_missing_required_data_is_reported_together() {
    let catalog = MemoryCatalog::with(&[("ES", range(10, 14)), ("NQ", range(0, 100))]);
    let optional = DataRequest { required: false, ..request("CL", range(10, 20)) };
    let inputs = ReplayInputs {
        data: vec![
            request("ES", range(10, 20)),
            optional,
            request("NQ", range(10, 20)),
            DataRequest { class: MarketDataClass::Bar, ..request("NQ", range(1, 2)) },
        ],
        ..ReplayInputs::entries(1, u64::MAX)
    };
    let error = inputs.plan(&catalog).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the catalog lacks required market data: quote of ES, 15 to 20; bar of NQ, 1 to 2; add it, \
         or ask for it as not required"
    );
    let missing = |class, instrument: &str, range| MissingData {
        class,
        instrument: instrument.to_owned(),
        range,
        required: true,
    };
    let expected = [
        missing(MarketDataClass::Quote, "ES", range(15, 20)),
        missing(MarketDataClass::Bar, "NQ", range(1, 2)),
    ];
    assert_matches!(error, PlanError::Missing(missing) if missing == expected);
}

#[test]
fn missing_optional_data_is_listed() {
    let catalog = MemoryCatalog::with(&[("ES", range(10, 14))]);
    let optional = DataRequest { required: false, ..request("ES", range(10, 20)) };
    let inputs = ReplayInputs { data: vec![optional], ..ReplayInputs::entries(1, 5) };
    let planned = inputs.plan(&catalog).unwrap();
    assert_eq!(planned.inputs(), &inputs);
    let missing: Vec<_> = planned.missing().collect();
    let expected = MissingData {
        class: MarketDataClass::Quote,
        instrument: "ES".to_owned(),
        range: range(15, 20),
        required: false,
    };
    assert_eq!(missing, [expected]);
    assert_eq!(planned.coverage()[0].slices, [slice("ES", range(10, 14))]);
}

#[test]
fn entries_alone_need_no_catalog() {
    let inputs = ReplayInputs::entries(3, 9);
    assert_eq!(inputs.plan(&EmptyCatalog).unwrap().missing().count(), 0);
    let with_data = ReplayInputs { data: vec![request("ES", range(1, 1))], ..inputs };
    assert_matches!(with_data.plan(&EmptyCatalog), Err(PlanError::Missing(_)));
}

#[test]
fn a_failing_catalog_plan_is_an_error() {
    let catalog = MemoryCatalog { fails_to_plan: true, ..MemoryCatalog::default() };
    let inputs =
        ReplayInputs { data: vec![request("ES", range(1, 1))], ..ReplayInputs::entries(1, 1) };
    let error = inputs.plan(&catalog).unwrap_err();
    assert_eq!(error.to_string(), "cannot look up quote of ES in the catalog");
    let source = std::error::Error::source(&error).expect("the catalog's error");
    assert_eq!(source.to_string(), "the index is gone");
}
