//! A catalog of market data in Parquet files. The tests write them by the library that reads them.

mod damage;
mod rows;
mod slices;
mod written;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::Int64Type;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tapline_catalog::{
    CatalogError, DataRequest, DataSlice, MarketDataClass, MarketRecord, ParquetCatalog,
    ReplayCatalog, TimeRange,
};
use tempfile::TempDir;

/// A catalog in its own folder.
struct Catalog {
    folder: TempDir,
    catalog: ParquetCatalog,
}

impl Catalog {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = ParquetCatalog::new(folder.path());
        Self { folder, catalog }
    }

    /// The path of a file for the class and instrument ES. Makes its folder.
    fn path(&self, class: &str, name: &str) -> PathBuf {
        let folder = self.folder.path().join(class).join("ES");
        fs::create_dir_all(&folder).unwrap();
        folder.join(name)
    }

    /// Writes a file of quotes that covers `range`, with quotes at these times.
    fn quotes(&self, range: TimeRange, times: &[i64]) -> PathBuf {
        let path = self.path("quote", &format!("{}-{}.parquet", range.from, range.to));
        let ones = vec![1; times.len()];
        let columns = [times, &ones, &ones, &ones, &ones, &ones];
        Table::new(&QUOTE.map(|name| format!("required int64 {name}")))
            .group(&columns.map(<[i64]>::to_vec))
            .write(&path);
        path
    }

    /// The slice of the one file that covers a part of `range`.
    fn slice(&self, class: MarketDataClass, range: TimeRange) -> DataSlice {
        let coverage = self.catalog.plan(&of(class, range)).unwrap();
        let [slice] = &coverage.slices[..] else { panic!("{coverage:?}") };
        slice.clone()
    }

    /// All records of that slice, or the first error.
    fn load(
        &self,
        class: MarketDataClass,
        range: TimeRange,
    ) -> Result<Vec<MarketRecord>, CatalogError> {
        self.catalog.load(&self.slice(class, range))?.collect()
    }
}

const QUOTE: [&str; 6] = ["ts_init", "ts_event", "bid_price", "ask_price", "bid_size", "ask_size"];

/// The request for instrument ES.
fn of(class: MarketDataClass, range: TimeRange) -> DataRequest {
    DataRequest { class, instrument: "ES".to_owned(), range, required: true }
}

/// A Parquet file to be written: integer columns, in row groups.
struct Table {
    fields: Vec<String>,
    groups: Vec<Vec<Vec<i64>>>,
    compression: Compression,
    page_rows: usize,
}

impl Table {
    /// With these fields, as Parquet's language for schemas has them.
    fn new(fields: &[impl AsRef<str>]) -> Self {
        let fields = fields.iter().map(|field| field.as_ref().to_owned()).collect();
        let compression = Compression::UNCOMPRESSED;
        Self { fields, groups: Vec::new(), compression, page_rows: 20_000 }
    }

    /// With one more row group, by columns. A value of `i64::MIN` in an optional column is a null.
    fn group(mut self, columns: &[Vec<i64>]) -> Self {
        self.groups.push(columns.to_vec());
        self
    }

    fn write(&self, path: &Path) {
        let schema = format!("message rows {{ {}; }}", self.fields.join("; "));
        let schema = Arc::new(parse_message_type(&schema).unwrap());
        let properties = WriterProperties::builder()
            .set_compression(self.compression)
            .set_data_page_row_count_limit(self.page_rows)
            .set_write_batch_size(self.page_rows.min(1024))
            .build();
        let file = File::create(path).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
        for columns in &self.groups {
            let mut group = writer.next_row_group().unwrap();
            for (field, values) in self.fields.iter().zip(columns) {
                let mut column = group.next_column().unwrap().unwrap();
                let typed = column.typed::<Int64Type>();
                if field.starts_with("optional") {
                    let levels: Vec<i16> =
                        values.iter().map(|value| i16::from(*value != i64::MIN)).collect();
                    let there: Vec<i64> =
                        values.iter().copied().filter(|value| *value != i64::MIN).collect();
                    typed.write_batch(&there, Some(&levels), None).unwrap();
                } else {
                    typed.write_batch(values, None, None).unwrap();
                }
                column.close().unwrap();
            }
            group.close().unwrap();
        }
        writer.close().unwrap();
    }
}
