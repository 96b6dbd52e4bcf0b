use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::data_type::Int64Type;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use tapline::UnixNanos;

use super::ParquetCatalog;
use super::error::ParquetCatalogError;
use super::schema::{ACTIONS, AGGRESSORS, LAST, SIDES, columns_of, is_time, place_of};
use crate::market_data::{BookDelta, BookLevel, MarketDataClass, MarketRecord};

/// Rows to a row group: a few megabytes of memory for the widest class.
const GROUP_ROWS: usize = 8192;

/// Writes one file of a [`ParquetCatalog`]: records of one class and instrument, in the order of
/// their `ts_init`.
///
/// The file is written beside its place, and comes to be there when it is
/// [finished](Self::finish), synced and whole. Without that it is removed again.
pub struct CatalogFileWriter {
    folder: PathBuf,
    /// The file while it is written.
    part: PathBuf,
    class: MarketDataClass,
    covers_from: UnixNanos,
    last: UnixNanos,
    /// `None` when it is finished.
    file: Option<SerializedFileWriter<File>>,
    /// One a column.
    rows: Vec<Vec<i64>>,
    rows_written: u64,
}

impl CatalogFileWriter {
    /// Begins a file for the time from `covers_from` on. Makes the folders that it needs.
    pub fn create(
        catalog: &ParquetCatalog,
        class: MarketDataClass,
        instrument: &str,
        covers_from: UnixNanos,
    ) -> Result<Self, ParquetCatalogError> {
        let folder = catalog.folder(class, instrument);
        fs::create_dir_all(&folder).map_err(|source| io_error(&folder, source))?;
        let part = folder.join(format!("{covers_from}.part"));
        let file = File::create_new(&part).map_err(|source| io_error(&part, source))?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let file = SerializedFileWriter::new(file, schema(class), Arc::new(properties));
        let file = file.map_err(|source| cannot_write(&part, source))?;
        let rows = vec![Vec::new(); columns_of(class).len()];
        let last = covers_from;
        let file = Some(file);
        Ok(Self { folder, part, class, covers_from, last, file, rows, rows_written: 0 })
    }

    /// Adds a record. It is not before the one ahead of it, nor before the time that the file
    /// covers, and of its class. After an error the file is as before. A message of book changes
    /// without any leaves no trace.
    pub fn push(&mut self, record: &MarketRecord) -> Result<(), ParquetCatalogError> {
        let ts_init = record.ts_init();
        let path = || self.part.clone();
        if record.class() != self.class {
            let (class, of_file) = (record.class(), self.class);
            return Err(ParquetCatalogError::OtherClass { path: path(), class, of_file });
        }
        if ts_init < self.last {
            let row = self.rows_written + self.rows[0].len() as u64;
            return Err(ParquetCatalogError::Unsorted { path: path(), row, ts_init });
        }
        let rows = self.rows[0].len();
        if let Err(error) = self.add_rows(record) {
            // No part of it stays.
            self.rows.iter_mut().for_each(|column| column.truncate(rows));
            return Err(error);
        }
        self.last = ts_init;
        if self.rows[0].len() >= GROUP_ROWS { self.write_group() } else { Ok(()) }
    }

    /// Ends the file, which covers the time up to `covers_to`, or to its last record if that is
    /// later. Returns its path. A file in that place is an error.
    pub fn finish(mut self, covers_to: UnixNanos) -> Result<PathBuf, ParquetCatalogError> {
        self.write_group()?;
        let written = |source| cannot_write(&self.part, source);
        if let Some(file) = self.file.take() {
            let file = file.into_inner().map_err(written)?;
            file.sync_all().map_err(|source| io_error(&self.part, source))?;
        }
        let covers_to = covers_to.max(self.last);
        let path = self.folder.join(format!("{}-{covers_to}.parquet", self.covers_from));
        // A rename would replace what is there.
        fs::hard_link(&self.part, &path).map_err(|source| io_error(&path, source))?;
        Ok(path)
    }

    fn add_rows(&mut self, record: &MarketRecord) -> Result<(), ParquetCatalogError> {
        match record {
            MarketRecord::BookDeltas(deltas) => {
                for (at, delta) in deltas.deltas.iter().enumerate() {
                    let is_last = at + 1 == deltas.deltas.len();
                    self.add_delta(deltas.ts_init, deltas.ts_event, delta, is_last)?;
                }
                Ok(())
            }
            MarketRecord::BookDepth10(depth) => {
                let sides = [&depth.bids, &depth.asks];
                let numbers = sides.into_iter().flat_map(|levels| {
                    let of = |number: fn(&BookLevel) -> i128| levels.iter().map(number);
                    of(|level| level.price.into())
                        .chain(of(|level| level.size.into()))
                        .chain(of(|level| level.orders.into()))
                });
                self.add_row(depth.ts_init, depth.ts_event, numbers)
            }
            MarketRecord::Quote(quote) => {
                let prices = [quote.bid_price, quote.ask_price].map(i128::from);
                let sizes = [quote.bid_size, quote.ask_size].map(i128::from);
                self.add_row(quote.ts_init, quote.ts_event, prices.into_iter().chain(sizes))
            }
            MarketRecord::Trade(trade) => {
                let aggressor = place_of(&AGGRESSORS, &trade.aggressor) as i128;
                let numbers = [trade.price.into(), trade.size.into(), aggressor];
                self.add_row(trade.ts_init, trade.ts_event, numbers)
            }
            MarketRecord::Bar(bar) => {
                let prices = [bar.open, bar.high, bar.low, bar.close].map(i128::from);
                let volume = [bar.volume.into()];
                self.add_row(bar.ts_init, bar.ts_event, prices.into_iter().chain(volume))
            }
        }
    }

    fn add_delta(
        &mut self,
        ts_init: UnixNanos,
        ts_event: UnixNanos,
        delta: &BookDelta,
        is_last: bool,
    ) -> Result<(), ParquetCatalogError> {
        let action = place_of(&ACTIONS, &delta.action) as i128;
        let side = place_of(&SIDES, &delta.side) as i128;
        let (price, size) = (delta.price.into(), delta.size.into());
        // An id may have all 64 bits.
        let order_id = delta.order_id.cast_signed().into();
        let sequence = delta.sequence.into();
        let numbers = [action, side, price, size, order_id, sequence, i128::from(is_last)];
        debug_assert_eq!(numbers.len() + 1, LAST);
        self.add_row(ts_init, ts_event, numbers)
    }

    /// `numbers` are those of the columns after `ts_init` and `ts_event`.
    fn add_row(
        &mut self,
        ts_init: UnixNanos,
        ts_event: UnixNanos,
        numbers: impl IntoIterator<Item = i128>,
    ) -> Result<(), ParquetCatalogError> {
        let times = [ts_init, ts_event].map(|time| i128::from(time.as_u64()));
        let row = self.rows_written + self.rows[0].len() as u64;
        let all = times.into_iter().chain(numbers);
        for ((column, name), number) in self.rows.iter_mut().zip(columns_of(self.class)).zip(all) {
            let Ok(number) = i64::try_from(number) else {
                let (path, value) = (self.part.clone(), number.to_string());
                let (column, problem) = (*name, "larger than a column can hold");
                return Err(ParquetCatalogError::Value { path, row, column, value, problem });
            };
            column.push(number);
        }
        Ok(())
    }

    /// Writes the rows that were added since the last group.
    fn write_group(&mut self) -> Result<(), ParquetCatalogError> {
        let Some(file) = self.file.as_mut().filter(|_| !self.rows[0].is_empty()) else {
            return Ok(());
        };
        let rows = self.rows[0].len() as u64;
        write_columns(file, &self.rows).map_err(|source| cannot_write(&self.part, source))?;
        self.rows_written += rows;
        self.rows.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}

impl Drop for CatalogFileWriter {
    fn drop(&mut self) {
        // A finished file has its name by now. What stays is ignored by a catalog.
        let _ = fs::remove_file(&self.part);
    }
}

fn write_columns(
    file: &mut SerializedFileWriter<File>,
    columns: &[Vec<i64>],
) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    for column in columns {
        if let Some(mut writer) = group.next_column()? {
            writer.typed::<Int64Type>().write_batch(column, None, None)?;
            writer.close()?;
        }
    }
    group.close()?;
    Ok(())
}

fn schema(class: MarketDataClass) -> TypePtr {
    let column = |name: &&str| {
        let column = Type::primitive_type_builder(name, PhysicalType::INT64)
            .with_repetition(Repetition::REQUIRED);
        let time = LogicalType::timestamp(true, TimeUnit::NANOS);
        let column = column.with_logical_type(is_time(name).then_some(time));
        Arc::new(column.build().expect("an INT64 may be a time in nanoseconds"))
    };
    let columns = columns_of(class).iter().map(column).collect();
    let schema = Type::group_type_builder(class.as_str()).with_fields(columns);
    Arc::new(schema.build().expect("a group of columns"))
}

fn io_error(path: &Path, source: io::Error) -> ParquetCatalogError {
    ParquetCatalogError::Write { path: path.to_owned(), source: source.into() }
}

fn cannot_write(path: &Path, source: ParquetError) -> ParquetCatalogError {
    ParquetCatalogError::Write { path: path.to_owned(), source: source.into() }
}
