//! Files that [`CatalogFileWriter`] writes are read back, and the catalog lists them.

use tapline::UnixNanos;
use tapline_catalog::{
    Aggressor, Bar, BookAction, BookDelta, BookDeltas, BookDepth10, BookLevel, BookSide,
    CatalogFileWriter, MarketDataClass, MarketRecord, ParquetCatalog, ParquetCatalogError, Quote,
    TimeRange, Trade,
};

use super::Catalog;
use crate::assert_matches;

const INSTRUMENT: &str = "ES";

/// A record of each class at each of these times, with the extremes of every number.
fn records(class: MarketDataClass, times: &[u64]) -> Vec<MarketRecord> {
    let record = |time: &u64| {
        let (ts_init, ts_event) = (UnixNanos::new(*time), UnixNanos::new(i64::MAX as u64));
        let size = i64::MAX as u64;
        match class {
            MarketDataClass::BookDeltas => {
                let delta = |action, side, sequence| BookDelta {
                    action,
                    side,
                    price: i64::MIN,
                    size,
                    order_id: u64::MAX - sequence,
                    sequence,
                };
                let deltas = vec![
                    delta(BookAction::Clear, BookSide::None, 0),
                    delta(BookAction::Add, BookSide::Bid, 1),
                    delta(BookAction::Update, BookSide::Ask, 2),
                    delta(BookAction::Delete, BookSide::Ask, 3),
                ];
                MarketRecord::BookDeltas(BookDeltas { ts_event, ts_init, deltas })
            }
            MarketDataClass::BookDepth10 => {
                let level =
                    |n: i64| BookLevel { price: n - 7, size: n.unsigned_abs(), orders: size };
                let bids = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(level);
                let asks = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19].map(level);
                MarketRecord::BookDepth10(Box::new(BookDepth10 { ts_event, ts_init, bids, asks }))
            }
            MarketDataClass::Quote => {
                let (bid_price, ask_price) = (i64::MIN, i64::MAX);
                let (bid_size, ask_size) = (0, size);
                let quote = Quote { ts_event, ts_init, bid_price, ask_price, bid_size, ask_size };
                MarketRecord::Quote(quote)
            }
            MarketDataClass::Trade => {
                let aggressor = match time % 3 {
                    0 => Aggressor::Unknown,
                    1 => Aggressor::Buyer,
                    _ => Aggressor::Seller,
                };
                MarketRecord::Trade(Trade { ts_event, ts_init, price: -1, size, aggressor })
            }
            MarketDataClass::Bar => {
                let (open, high, low, close) = (1, i64::MAX, i64::MIN, 4);
                let bar = Bar { ts_event, ts_init, open, high, low, close, volume: size };
                MarketRecord::Bar(bar)
            }
        }
    };
    times.iter().map(record).collect()
}

/// More records than a row group has, some at the same time.
#[test]
fn every_class_reads_back_as_written() {
    let times: Vec<u64> = (0..20_000).map(|n| 10 + n / 2).collect();
    for class in MarketDataClass::ALL {
        let catalog = Catalog::new();
        let files = &catalog.catalog;
        let written = records(class, &times);
        let from = UnixNanos::new(5);
        let mut file = CatalogFileWriter::create(files, class, INSTRUMENT, from).unwrap();
        for record in &written {
            file.push(record).unwrap();
        }
        let path = file.finish(UnixNanos::new(7)).unwrap();
        let name = path.file_name().unwrap();
        assert_eq!(name, "5-10009.parquet", "it covers its last record");
        assert_eq!(files.streams().unwrap(), [(class, INSTRUMENT.to_owned())]);
        assert!(catalog.load(class, TimeRange::new(5, 10_009)).unwrap() == written, "{class}");
    }
}

#[test]
fn a_file_that_is_not_finished_leaves_nothing() {
    let here = Catalog::new();
    let catalog = &here.catalog;
    let class = MarketDataClass::Trade;
    let mut file =
        CatalogFileWriter::create(catalog, class, INSTRUMENT, UnixNanos::new(1)).unwrap();
    file.push(&records(class, &[3])[0]).unwrap();
    assert_eq!(catalog.streams().unwrap(), [], "what is being written is not listed");
    drop(file);
    let left = std::fs::read_dir(catalog.folder(class, INSTRUMENT)).unwrap().count();
    assert_eq!(left, 0);
    assert_eq!(catalog.streams().unwrap(), []);
}

#[test]
fn a_record_that_does_not_belong_is_refused_and_the_file_goes_on() {
    let here = Catalog::new();
    let catalog = &here.catalog;
    let class = MarketDataClass::Quote;
    let from = UnixNanos::new(10);
    let mut file = CatalogFileWriter::create(catalog, class, INSTRUMENT, from).unwrap();
    let [early, first, late] = [9, 12, 11].map(|time| records(class, &[time]).remove(0));
    file.push(&first).unwrap();
    for record in [&early, &late] {
        assert_matches!(
            file.push(record),
            Err(ParquetCatalogError::Unsorted { row: 1, ts_init, .. }) if ts_init == record.ts_init()
        );
    }
    let bar = records(MarketDataClass::Bar, &[13]).remove(0);
    assert_matches!(
        file.push(&bar),
        Err(ParquetCatalogError::OtherClass { class: MarketDataClass::Bar, .. })
    );
    let mut large = Quote { ts_event: from, ts_init: UnixNanos::new(14), ..quote() };
    large.ask_size = i64::MAX as u64 + 1;
    assert_matches!(
        file.push(&MarketRecord::Quote(large)),
        Err(ParquetCatalogError::Value { column: "ask_size", row: 1, .. })
    );
    file.finish(UnixNanos::new(20)).unwrap();
    assert_eq!(here.load(class, TimeRange::new(10, 20)).unwrap(), [first]);
}

fn quote() -> Quote {
    let zero = UnixNanos::default();
    Quote { ts_event: zero, ts_init: zero, bid_price: 0, ask_price: 0, bid_size: 0, ask_size: 0 }
}

#[test]
fn no_file_is_replaced() {
    let here = Catalog::new();
    let catalog = &here.catalog;
    let class = MarketDataClass::Bar;
    let write = || {
        let file = CatalogFileWriter::create(catalog, class, INSTRUMENT, UnixNanos::new(1))?;
        file.finish(UnixNanos::new(9))
    };
    let first = write().unwrap();
    let bytes = std::fs::read(&first).unwrap();
    assert_matches!(write(), Err(ParquetCatalogError::Write { path, .. }) if path == first);
    assert_eq!(std::fs::read(&first).unwrap(), bytes);
}

#[test]
fn a_catalog_lists_its_streams_by_their_names() {
    let here = Catalog::new();
    let (folder, catalog) = (&here.folder, &here.catalog);
    let names = ["BTC/USD", ".hidden", "100%", "Zürich", "a.b-c_d", "ES.SIM"];
    for name in names {
        for class in [MarketDataClass::Bar, MarketDataClass::Quote] {
            let file = CatalogFileWriter::create(catalog, class, name, UnixNanos::new(1)).unwrap();
            file.finish(UnixNanos::new(2)).unwrap();
        }
    }
    // What is no market data is not looked at.
    std::fs::create_dir_all(folder.path().join("notes/ES.SIM")).unwrap();
    std::fs::create_dir_all(folder.path().join("trade/EMPTY")).unwrap();
    std::fs::write(folder.path().join("trade/README"), "text").unwrap();
    let mut expected = Vec::new();
    for class in [MarketDataClass::Quote, MarketDataClass::Bar] {
        let mut sorted = names;
        sorted.sort_unstable();
        expected.extend(sorted.map(|name| (class, name.to_owned())));
    }
    assert_eq!(catalog.streams().unwrap(), expected);

    for wrong in ["BTC USD", "a%2", "a%zz", "%ff", "a%2e", "%41"] {
        let path = folder.path().join("trade").join(wrong);
        std::fs::create_dir(&path).unwrap();
        assert_matches!(
            catalog.streams(),
            Err(ParquetCatalogError::Instrument { path: named }) if named == path
        );
        std::fs::remove_dir(&path).unwrap();
    }
    let missing = ParquetCatalog::new(folder.path().join("nowhere"));
    assert_matches!(missing.streams(), Err(ParquetCatalogError::Io { .. }));
}
