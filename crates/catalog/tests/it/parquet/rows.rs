//! The content of a file is read back row for row.

use parquet::basic::Compression;
use tapline::UnixNanos;
use tapline_catalog::{
    Aggressor, Bar, MarketDataClass, MarketRecord, Quote, ReplayInputs, ReplayItem, TimeRange,
    Trade,
};

use super::{Catalog, Table, of};
use crate::runs;

const ALL: TimeRange = TimeRange::new(0, 1_000_000);

#[test]
fn all_classes_read_back_as_written() {
    let catalog = Catalog::new();
    let (ts_event, ts_init) = (UnixNanos::new(7), UnixNanos::new(9));
    // In another order than they are requested, with one more column, required and optional.
    Table::new(&[
        "required int64 ask_size (INTEGER(64,false))",
        "required int64 bid_size",
        "optional int64 bid_price",
        "required int64 something_else",
        "optional int64 ask_price (DECIMAL(18,2))",
        "required int64 ts_event",
        "required int64 ts_init (TIMESTAMP(NANOS,true))",
    ])
    .group(&[vec![4], vec![3], vec![-1], vec![99], vec![i64::MAX], vec![7], vec![9]])
    .write(&catalog.path("quote", "0-1000000.parquet"));
    let quote =
        Quote { ts_event, ts_init, bid_price: -1, ask_price: i64::MAX, bid_size: 3, ask_size: 4 };
    let quotes = catalog.load(MarketDataClass::Quote, ALL).unwrap();
    assert_eq!(quotes, [MarketRecord::Quote(quote)]);

    let fields = ["ts_init", "ts_event", "price", "size", "aggressor"];
    Table::new(&fields.map(|name| format!("required int64 {name}")))
        .group(&[vec![9, 9, 9], vec![7, 7, 7], vec![1, 2, 3], vec![4, 5, 6], vec![2, 0, 1]])
        .write(&catalog.path("trade", "0-1000000.parquet"));
    let trade = |price, size, aggressor| {
        MarketRecord::Trade(Trade { ts_event, ts_init, price, size, aggressor })
    };
    let expected = [
        trade(1, 4, Aggressor::Seller),
        trade(2, 5, Aggressor::Unknown),
        trade(3, 6, Aggressor::Buyer),
    ];
    assert_eq!(catalog.load(MarketDataClass::Trade, ALL).unwrap(), expected);

    let fields = ["ts_init", "ts_event", "open", "high", "low", "close", "volume"];
    Table::new(&fields.map(|name| format!("required int64 {name}")))
        .group(&[vec![9], vec![7], vec![1], vec![2], vec![-3], vec![4], vec![5]])
        .write(&catalog.path("bar", "0-1000000.parquet"));
    let bar = Bar { ts_event, ts_init, open: 1, high: 2, low: -3, close: 4, volume: 5 };
    let bars = catalog.load(MarketDataClass::Bar, ALL).unwrap();
    assert_eq!(bars, [MarketRecord::Bar(bar)]);
}

/// Row groups, pages and batches have different sizes.
#[test]
fn files_of_many_row_groups_read_back() {
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
        for optional in ["required", "optional"] {
            let catalog = Catalog::new();
            let mut table =
                Table::new(&super::QUOTE.map(|name| format!("{optional} int64 {name}")));
            (table.compression, table.page_rows) = (compression, 1000);
            let mut next = 0;
            for rows in [1_i64, 4095, 4096, 0, 4097, 12_000] {
                let times: Vec<i64> = (next..next + rows).collect();
                let scaled = |scale: i64| times.iter().map(|time| time * scale).collect::<Vec<_>>();
                let columns = [1, 2, 3, -4, 5, 6].map(scaled);
                table = table.group(&columns);
                next += rows;
            }
            table.write(&catalog.path("quote", "0-1000000.parquet"));

            let quotes = catalog.load(MarketDataClass::Quote, ALL).unwrap();
            assert_eq!(i64::try_from(quotes.len()), Ok(next));
            for (n, quote) in (0_i64..).zip(quotes) {
                let unsigned = |scale: u64| n.unsigned_abs() * scale;
                let expected = Quote {
                    ts_init: UnixNanos::new(unsigned(1)),
                    ts_event: UnixNanos::new(unsigned(2)),
                    bid_price: n * 3,
                    ask_price: n * -4,
                    bid_size: unsigned(5),
                    ask_size: unsigned(6),
                };
                assert_eq!(quote, MarketRecord::Quote(expected));
            }
        }
    }
}

#[test]
fn only_rows_within_the_slice_come_out() {
    let catalog = Catalog::new();
    catalog.quotes(TimeRange::new(0, 99), &[5, 10, 10, 15, 20, 20, 25]);
    let times = |from, to| -> Vec<u64> {
        let records = catalog.load(MarketDataClass::Quote, TimeRange::new(from, to)).unwrap();
        records.iter().map(|record| record.ts_init().as_u64()).collect()
    };
    assert_eq!(times(10, 20), [10, 10, 15, 20, 20]);
    assert_eq!(times(11, 19), [15]);
    assert_eq!(times(0, 99), [5, 10, 10, 15, 20, 20, 25]);
    assert_eq!(times(26, 99), [0; 0]);
    assert_eq!(times(0, 4), [0; 0]);
}

#[test]
fn a_run_is_joined_with_files() {
    let catalog = Catalog::new();
    catalog.quotes(TimeRange::new(0, 19), &[5, 10]);
    catalog.quotes(TimeRange::new(20, 99), &[20, 30]);
    let reader = runs::of(&[10, 25]);

    let data = vec![of(MarketDataClass::Quote, TimeRange::new(6, 99))];
    let inputs = ReplayInputs { data, ..ReplayInputs::entries(1, u64::MAX) };
    let planned = inputs.plan(&catalog.catalog).unwrap();
    let order: Vec<(bool, u64)> = planned
        .replay(&reader, &catalog.catalog)
        .map(|item| match item.unwrap() {
            ReplayItem::Entry(entry) => (true, entry.ts_init.as_u64()),
            ReplayItem::Market { record, .. } => (false, record.ts_init().as_u64()),
        })
        .collect();
    assert_eq!(order, [(false, 10), (true, 10), (false, 20), (true, 25), (false, 30)]);
}
