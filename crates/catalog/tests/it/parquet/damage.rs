//! Files that are damaged or do not follow the layout. The error names the file and says what is
//! wrong.

use std::fs;
use std::path::{Path, PathBuf};

use tapline_catalog::{MarketDataClass, ParquetCatalogError, ReplayCatalog, TimeRange};

use super::{Catalog, QUOTE, Table};
use crate::assert_matches;

const ALL: TimeRange = TimeRange::new(0, 99);

/// The error of loading the one file of quotes. Checks that it names the file.
fn error_of(catalog: &Catalog, path: &Path) -> ParquetCatalogError {
    let error = catalog.load(MarketDataClass::Quote, ALL).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    *error.downcast().expect("the catalog's own error")
}

/// A new file each time: some file systems write a file to the disk at once when it is truncated to
/// nothing.
fn rewrite(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A catalog with one file of quotes, 0 to 99, that has these fields and columns.
fn with_file(fields: &[String], columns: &[Vec<i64>]) -> (Catalog, PathBuf) {
    let catalog = Catalog::new();
    let path = catalog.path("quote", "0-99.parquet");
    Table::new(fields).group(columns).write(&path);
    (catalog, path)
}

fn fields() -> Vec<String> {
    QUOTE.map(|name| format!("required int64 {name}")).to_vec()
}

#[test]
fn a_file_cut_anywhere_is_reported() {
    let catalog = Catalog::new();
    let path = catalog.quotes(ALL, &(0..50).collect::<Vec<_>>());
    let whole = fs::read(&path).unwrap();
    for len in 0..whole.len() {
        rewrite(&path, &whole[..len]);
        assert_matches!(
            error_of(&catalog, &path),
            ParquetCatalogError::Damaged { path: named, .. } if named == path
        );
    }
}

/// Parquet has no hash over a file, so a changed value looks like a right one. With any byte
/// changed, rows come out, or an error that names the file.
#[test]
fn a_changed_byte_never_panics() {
    let catalog = Catalog::new();
    let path = catalog.quotes(ALL, &(0..50).collect::<Vec<_>>());
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        for bits in [0xFF, 0x01, 0x80] {
            let mut changed = whole.clone();
            changed[at] ^= bits;
            rewrite(&path, &changed);
            if let Err(error) = catalog.load(MarketDataClass::Quote, ALL) {
                assert!(error.to_string().contains("0-99.parquet"), "byte {at}: {error}");
            }
        }
    }
}

#[test]
fn a_file_that_is_gone_is_reported() {
    let catalog = Catalog::new();
    let path = catalog.quotes(ALL, &[1]);
    let slice = catalog.slice(MarketDataClass::Quote, ALL);
    fs::remove_file(&path).unwrap();
    let error = catalog.catalog.load(&slice).err().expect("gone");
    assert_matches!(
        error.downcast_ref(),
        Some(ParquetCatalogError::Io { path: named, .. }) if *named == path
    );
}

#[test]
fn a_missing_or_wrong_column_is_reported() {
    let cases = [
        ("required int64 bid", "is missing"),
        ("required double bid_price", "is DOUBLE, not INT64"),
        ("required int32 bid_price", "is INT32, not INT64"),
        (
            "required int64 bid_price (TIMESTAMP(MICROS,true))",
            "is INT64 (a time in MICROS), not INT64 in nanoseconds",
        ),
        ("repeated int64 bid_price", "is a list of INT64, not INT64"),
    ];
    for (field, expected) in cases {
        let mut fields = fields();
        fields[2] = field.to_owned();
        let catalog = Catalog::new();
        let path = catalog.path("quote", "0-99.parquet");
        Table::new(&fields).write(&path);
        assert_matches!(
            error_of(&catalog, &path),
            ParquetCatalogError::Schema { column: "bid_price", problem, .. } if problem == expected
        );
    }
}

#[test]
fn an_impossible_value_is_reported_with_its_row() {
    let good = vec![1, 2, 3];
    let cases = [
        ("ts_init", vec![1, 2, -1], 2, "-1", "below 0"),
        ("ts_event", vec![1, -5, 3], 1, "-5", "below 0"),
        ("ask_size", vec![-1, 2, 3], 0, "-1", "below 0"),
        ("ask_price", vec![1, i64::MIN, 3], 1, "no value", "required"),
    ];
    for (column, values, row, value, problem) in cases {
        let place = QUOTE.iter().position(|name| *name == column).unwrap();
        let (mut fields, mut columns) = (fields(), vec![good.clone(); QUOTE.len()]);
        columns[place] = values;
        if value == "no value" {
            fields[place] = format!("optional int64 {column}");
        }
        let (catalog, path) = with_file(&fields, &columns);
        let ParquetCatalogError::Value {
            row: found_row,
            column: found,
            value: text,
            problem: why,
            ..
        } = error_of(&catalog, &path)
        else {
            panic!("{column}: not an error of a value");
        };
        assert_eq!((found, found_row, &text[..], why), (column, row, value, problem));
    }
}

#[test]
fn an_aggressor_that_is_none_is_reported() {
    let catalog = Catalog::new();
    let fields = ["ts_init", "ts_event", "price", "size", "aggressor"];
    Table::new(&fields.map(|name| format!("required int64 {name}")))
        .group(&[vec![1], vec![1], vec![1], vec![1], vec![3]])
        .write(&catalog.path("trade", "0-99.parquet"));
    let error = catalog.load(MarketDataClass::Trade, ALL).unwrap_err();
    assert_matches!(
        error.downcast_ref(),
        Some(ParquetCatalogError::Value { row: 0, column: "aggressor", value, .. }) if value == "3"
    );
}

#[test]
fn unsorted_rows_are_reported_anywhere() {
    let (catalog, path) = with_file(&fields(), &vec![vec![10, 20, 19, 30]; QUOTE.len()]);
    for range in [ALL, TimeRange::new(30, 40)] {
        let error = catalog.load(MarketDataClass::Quote, range).unwrap_err();
        assert_matches!(
            error.downcast_ref(),
            Some(ParquetCatalogError::Unsorted { path: named, row: 2, ts_init })
                if *named == path && ts_init.as_u64() == 19
        );
    }
}

#[test]
fn rows_outside_the_named_range_are_reported() {
    let (catalog, path) = with_file(&fields(), &vec![vec![10, 20, 100]; QUOTE.len()]);
    assert_matches!(
        error_of(&catalog, &path),
        ParquetCatalogError::OutsideName { row: 2, ts_init, stated: ALL, .. }
            if ts_init.as_u64() == 100
    );
}
