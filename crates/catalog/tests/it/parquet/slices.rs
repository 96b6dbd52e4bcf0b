//! Which files cover a request, by their names.

use std::fs;

use tapline_catalog::{
    CatalogError, MarketDataClass, ParquetCatalog, ParquetCatalogError, PlanError, ReplayCatalog,
    ReplayInputs, TimeRange,
};

use super::{Catalog, of};
use crate::assert_matches;

fn typed(error: &CatalogError) -> &ParquetCatalogError {
    error.downcast_ref().expect("the catalog's own error")
}

#[test]
fn gaps_between_files_are_found() {
    let catalog = Catalog::new();
    // The files are adjacent. One has no row at its end, and one comes after a gap.
    catalog.quotes(TimeRange::new(10, 19), &[12]);
    catalog.quotes(TimeRange::new(20, 29), &[]);
    catalog.quotes(TimeRange::new(40, 49), &[40]);
    fs::write(catalog.path("quote", "50-59.parquet.tmp"), "half written").unwrap();
    fs::write(catalog.path("quote", "README"), "quotes").unwrap();

    let coverage =
        catalog.catalog.plan(&of(MarketDataClass::Quote, TimeRange::new(5, 45))).unwrap();
    let slices: Vec<_> =
        coverage.slices.iter().map(|slice| (slice.range, &slice.slice_ref[..])).collect();
    let expected = [
        (TimeRange::new(10, 19), "quote/ES/10-19.parquet"),
        (TimeRange::new(20, 29), "quote/ES/20-29.parquet"),
        (TimeRange::new(40, 45), "quote/ES/40-49.parquet"),
    ];
    assert_eq!(slices, expected);
    assert_eq!(coverage.missing, [TimeRange::new(5, 9), TimeRange::new(30, 39)]);
}

#[test]
fn an_unknown_instrument_is_missing() {
    let catalog = Catalog::new();
    let range = TimeRange::new(5, 45);
    let data = vec![of(MarketDataClass::Trade, range)];
    let inputs = ReplayInputs { data, ..ReplayInputs::entries(1, 1) };
    let error = inputs.plan(&catalog.catalog).unwrap_err();
    assert_matches!(error, PlanError::Missing(missing) if missing[0].range == range);
}

#[test]
fn a_missing_catalog_is_an_error() {
    let catalog = Catalog::new();
    let root = catalog.folder.path().join("nowhere");
    let error = ParquetCatalog::new(&root)
        .plan(&of(MarketDataClass::Quote, TimeRange::new(1, 2)))
        .unwrap_err();
    assert_matches!(typed(&error), ParquetCatalogError::Io { path, .. } if *path == root);
}

#[test]
fn an_instrument_cannot_lead_out_of_its_folder() {
    let root = std::path::Path::new("/catalog");
    let catalog = ParquetCatalog::new(root);
    let cases = [
        ("ES.SIM", "ES.SIM"),
        ("BTC/USD", "BTC%2FUSD"),
        ("..", "%2E."),
        ("../../etc", "%2E.%2F..%2Fetc"),
        ("ES-1-MINUTE_LAST", "ES-1-MINUTE_LAST"),
        ("%2F", "%252F"),
        ("Ö", "%C3%96"),
    ];
    for (instrument, folder) in cases {
        let expected = root.join("bar").join(folder);
        assert_eq!(catalog.folder(MarketDataClass::Bar, instrument), expected);
    }
}

#[test]
fn a_file_without_a_range_is_reported() {
    for name in ["x", "1", "1-", "-2", "2-1", "1-2-3", "01-2", "+1-2", "1-18446744073709551616"] {
        let catalog = Catalog::new();
        let path = catalog.path("quote", &format!("{name}.parquet"));
        fs::write(&path, "").unwrap();
        let request = of(MarketDataClass::Quote, TimeRange::new(1, 2));
        let error = catalog.catalog.plan(&request).unwrap_err();
        assert_matches!(typed(&error), ParquetCatalogError::Name { path: named } if *named == path);
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    }
}

#[test]
fn files_that_cover_the_same_time_are_reported() {
    for (from, to) in [(19, 30), (12, 13), (0, 10), (0, 50)] {
        let catalog = Catalog::new();
        let one = catalog.quotes(TimeRange::new(10, 19), &[]);
        let other = catalog.quotes(TimeRange::new(from, to), &[]);
        let request = of(MarketDataClass::Quote, TimeRange::new(0, 1));
        let error = catalog.catalog.plan(&request).unwrap_err();
        let (expected_first, expected_second) =
            if from < 10 { (&other, &one) } else { (&one, &other) };
        assert_matches!(
            typed(&error),
            ParquetCatalogError::Overlap { first, second }
                if (first, second) == (expected_first, expected_second)
        );
    }
}
