//! The content of a file is read back row for row.

use parquet::basic::Compression;
use tapline::UnixNanos;
use tapline_catalog::{
    Aggressor, Bar, BookAction, BookDelta, BookDeltas, BookDepth10, BookLevel, BookSide,
    MarketDataClass, MarketRecord, ParquetCatalogError, Quote, ReplayInputs, ReplayItem, TimeRange,
    Trade,
};

use super::{Catalog, Table, of};
use crate::{assert_matches, runs};

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

const BOOK_DELTAS: [&str; 9] =
    ["ts_init", "ts_event", "action", "side", "price", "size", "order_id", "sequence", "last"];

/// Writes a file of changes, each a row of the columns above.
fn write_deltas(catalog: &Catalog, rows: &[[i64; 9]]) -> std::path::PathBuf {
    let path = catalog.path("book_deltas", "0-1000000.parquet");
    let columns = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|at| rows.iter().map(|row| row[at]).collect());
    let table = Table::new(&BOOK_DELTAS.map(|name| format!("required int64 {name}")));
    table.group(&columns).write(&path);
    path
}

#[test]
fn book_changes_read_back_by_message() {
    let catalog = Catalog::new();
    write_deltas(
        &catalog,
        &[
            [9, 5, 3, 0, 0, 0, 0, 1, 0],
            [9, 6, 0, 1, -7, 8, -1, 2, 0],
            [9, 7, 1, 2, 11, 12, 13, 3, 1],
            [9, 8, 2, 1, -7, 0, 0, 4, 1],
            [10, 9, 0, 2, 1, 2, 3, 5, 1],
        ],
    );
    let delta = |action, side, price, size, order_id, sequence| BookDelta {
        action,
        side,
        price,
        size,
        order_id,
        sequence,
    };
    let message = |ts_event, ts_init, deltas: &[BookDelta]| {
        let (ts_event, ts_init) = (UnixNanos::new(ts_event), UnixNanos::new(ts_init));
        MarketRecord::BookDeltas(BookDeltas { ts_event, ts_init, deltas: deltas.to_vec() })
    };
    let at_9 = [
        message(
            7,
            9,
            &[
                delta(BookAction::Clear, BookSide::None, 0, 0, 0, 1),
                delta(BookAction::Add, BookSide::Bid, -7, 8, u64::MAX, 2),
                delta(BookAction::Update, BookSide::Ask, 11, 12, 13, 3),
            ],
        ),
        message(8, 9, &[delta(BookAction::Delete, BookSide::Bid, -7, 0, 0, 4)]),
    ];
    let at_10 = message(9, 10, &[delta(BookAction::Add, BookSide::Ask, 1, 2, 3, 5)]);
    let load = |range| catalog.load(MarketDataClass::BookDeltas, range).unwrap();
    assert_eq!(load(ALL), [&at_9[..], std::slice::from_ref(&at_10)].concat());
    assert_eq!(load(TimeRange::new(0, 9)), at_9);
    assert_eq!(load(TimeRange::new(10, 20)), [at_10]);
}

/// A message may be longer than what is read at a time.
#[test]
fn a_long_message_of_book_changes_is_one_record() {
    let catalog = Catalog::new();
    let rows: Vec<_> =
        (1..=10_000).map(|n| [9, 7, 0, 1, n, 1, n, n, i64::from(n == 10_000)]).collect();
    write_deltas(&catalog, &rows);
    let records = catalog.load(MarketDataClass::BookDeltas, ALL).unwrap();
    let [MarketRecord::BookDeltas(message)] = &records[..] else { panic!("one message") };
    let sequences: Vec<u64> = message.deltas.iter().map(|delta| delta.sequence).collect();
    assert_eq!(sequences, (1..=10_000).collect::<Vec<_>>());
}

#[test]
fn impossible_book_changes_are_reported() {
    let good = [9, 7, 0, 1, 1, 1, 1, 1, 1];
    let with = |column: usize, value| {
        let mut row = good;
        row[column] = value;
        row
    };
    let cases = [
        (vec![good, with(2, 4)], 1, "action", "none of 0 (add), 1 (update), 2 (delete), 3 (clear)"),
        (vec![with(3, -1)], 0, "side", "none of 0 (none), 1 (bid), 2 (ask)"),
        (vec![with(5, -1)], 0, "size", "below 0"),
        (vec![with(8, 2)], 0, "last", "none of 0 (more follow), 1 (the last of its message)"),
        (vec![good, with(8, 0)], 1, "last", "not 1, although no row follows"),
        (
            vec![with(8, 0), with(0, 10)],
            1,
            "ts_init",
            "not the time of the row ahead, which is of the same message",
        ),
    ];
    for (rows, expected_row, expected_column, expected_problem) in cases {
        let catalog = Catalog::new();
        let path = write_deltas(&catalog, &rows);
        let error = catalog.load(MarketDataClass::BookDeltas, ALL).unwrap_err();
        assert_matches!(
            error.downcast_ref(),
            Some(ParquetCatalogError::Value { path: named, row, column, problem, .. })
                if *named == path
                    && (*row, *column, *problem)
                        == (expected_row, expected_column, expected_problem)
        );
    }
}

#[test]
fn ten_levels_of_a_book_read_back() {
    let catalog = Catalog::new();
    let mut fields = vec!["required int64 ts_event".to_owned()];
    let mut columns = vec![vec![7, 8]];
    // Level by level, while the catalog reads them side by side.
    for level in 0..10 {
        for (at, name) in (1..).zip([
            "bid_price",
            "bid_size",
            "bid_orders",
            "ask_price",
            "ask_size",
            "ask_orders",
        ]) {
            fields.push(format!("required int64 {name}_{level}"));
            columns.push(vec![100 * at + level, 0]);
        }
    }
    fields.push("required int64 ts_init".to_owned());
    columns.push(vec![9, 10]);
    Table::new(&fields).group(&columns).write(&catalog.path("book_depth10", "0-1000000.parquet"));

    let levels = |price: u64| {
        let level = |n: u64| BookLevel {
            price: (price + n).cast_signed(),
            size: price + 100 + n,
            orders: price + 200 + n,
        };
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(level)
    };
    let full = BookDepth10 {
        ts_event: UnixNanos::new(7),
        ts_init: UnixNanos::new(9),
        bids: levels(100),
        asks: levels(400),
    };
    let empty = BookDepth10 {
        ts_event: UnixNanos::new(8),
        ts_init: UnixNanos::new(10),
        bids: [BookLevel::default(); 10],
        asks: [BookLevel::default(); 10],
    };
    let records = catalog.load(MarketDataClass::BookDepth10, ALL).unwrap();
    assert_eq!(records, [full, empty].map(|depth| MarketRecord::BookDepth10(Box::new(depth))));
}

#[test]
fn a_catalog_has_every_class_that_is_marked() {
    let classes = tapline::DataMarkerClass::ALL.map(MarketDataClass::from);
    assert_eq!(classes, MarketDataClass::ALL);
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
